"""Epochs of replicas, each trained by itself by compiled steps; threads take replicas.

A call leaves the interpreter for many steps of a replica, and lets other threads in. What a replica comes to depends on
its own arrays alone: neither company nor the number of threads changes a bit.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.engines.cpu.jit import CompiledStep
from dlrun.engines.cpu.step import FIELDS

_ALIGNMENT = 64
AT_ONCE = 64  # steps of a call: between two calls Python looks after signals


@dataclass(frozen=True)
class EpochArrays:
    """What the steps of an epoch read and write.

    own      per name of `FIELDS`, an array whose first axis is the replica's; each row is contiguous
    rows     the stored rows that `index` numbers
    index    (S, R, B) row numbers; counts (S, R) real rows among them
    first    (R,) which of `rows` is each replica's row 0; None where it is the first for all
    keys     (R,) of the epoch's dropout masks
    """

    own: Mapping[str, npt.NDArray[Any]]
    rows: npt.NDArray[Any]
    index: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64] | None
    keys: npt.NDArray[np.uint64]

    def words(self) -> npt.NDArray[np.uint64]:
        """The arguments of every replica (R, fields), but for the workspace."""
        _, R, B = self.index.shape
        found = np.zeros((R, len(FIELDS)), np.uint64)
        places = {name: k for k, name in enumerate(FIELDS)}
        for name, array in self.own.items():
            assert len(array) == R, name
            assert array[:1].flags.c_contiguous, name
            found[:, places[name]] = _address(array) + np.arange(R, dtype=np.uint64) * np.uint64(array.strides[0])
        found[:, places["rows"]] = _address(self.rows)
        if self.first is not None:
            found[:, places["rows"]] += self.first.astype(np.uint64) * np.uint64(self.rows.strides[0])
        replica = np.arange(R, dtype=np.uint64) * np.uint64(8)
        found[:, places["index"]] = _address(self.index) + replica * np.uint64(B)
        found[:, places["index_stride"]] = R * B
        found[:, places["counts"]] = _address(self.counts) + replica
        found[:, places["counts_stride"]] = R
        found[:, places["key"]] = self.keys
        return found


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def run_steps(arrays: EpochArrays, kinds: Sequence[CompiledStep], first: int, *, threads: int) -> None:
    """Make the steps first, first + 1, … of every replica; kinds[i] makes the i-th of these."""
    words = arrays.words()
    place = FIELDS.index("workspace")
    stretches, at = [], first
    for kind, group in groupby(kinds, key=lambda each: id(each)):
        length = len(list(group))
        stretches.append((next(each for each in kinds if id(each) == kind), at, at + length))
        at += length
    bytes_ = max(kind.workspace for kind in kinds) + _ALIGNMENT

    stopped = threading.Event()

    def work(replicas: range) -> None:
        memory = np.zeros(bytes_, np.uint8)
        workspace = -(-_address(memory) // _ALIGNMENT) * _ALIGNMENT
        for r in replicas:
            words[r, place] = workspace
            arguments = ctypes.c_void_p(_address(words[r]))
            for kind, begin, end in stretches:
                for start in range(begin, end, AT_ONCE):
                    if stopped.is_set():
                        return
                    kind.call(arguments, start, min(start + AT_ONCE, end))

    R = len(words)
    workers = min(threads, R)
    if workers < 2:
        work(range(R))
        return
    with ThreadPoolExecutor(workers - 1, thread_name_prefix="dlrun") as executor:
        try:
            others = [executor.submit(work, range(k, R, workers)) for k in range(1, workers)]
            work(range(0, R, workers))
            for other in others:
                other.result()
        except BaseException:  # Ctrl-C among them: the others are not to go on to the end of the epoch
            stopped.set()
            raise
