"""The rows of a table that stays in its file, with the interface of `RowStore`.

Before an epoch or a measurement the store is told which rows will be asked for. It reads them a window of batches at
a time, in the order of the file, scales them as `RowStore` does, and has the next window read while this one is
trained on. Two windows, and four bytes for each row of the table, are all that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from threading import Thread

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend
from dlrun.data.stored_features import StoredFeatures
from dlrun.training.epoch_order import window_batches
from dlrun.training.rows import Normalization, RowStore, storage_scaling

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

STACK_WINDOWS = 4  # windows' worth of memory that the replicas of a stack may take together
_PIECE_VALUES = 1 << 16  # numbers scaled at a time: they stay in the cache
_SAMPLED_ROWS = 1 << 14


@dataclass(frozen=True)
class Window:
    """Some rows of the table in ascending order, ready for a batch: (m + 1, D), the last one the padding."""

    rows: IntArray
    array: npt.NDArray[np.generic]


class StreamedRows(RowStore):
    """Rows read from their file when they are about to be gathered; the same numbers as a `RowStore` of them."""

    in_memory = False

    def __init__(
        self,
        backend: Backend,
        features: StoredFeatures,
        target_rows: Callable[[IntArray], FloatArray],  # row numbers (m,) → targets (m, C)
        reference: Normalization,
        dtype: str,
        *,
        shared: bool,
    ) -> None:
        self._backend, self._features, self._target_rows = backend, features, target_rows
        self.dtype = np.dtype(dtype)
        n, d = features.shape
        self.padding = n
        self.inputs, self.outputs = d, reference.y_shift.shape[1]
        self.width = d + 1 + self.outputs + 1
        self._reference, self.shared, self._raw = reference, shared, None
        self.copied = False
        self.missing = shared and features.gaps
        self.bytes = 2 * window_batches(d, 1) * self.width * self.dtype.itemsize
        self._window = Window(np.zeros(0, np.int64), np.zeros((0, self.width), self.dtype))
        self._on_device: Array = None
        self._ahead: Iterator[IntArray] = iter(())
        self._reading: _Reading | None = None

    @cached_property
    def _places(self) -> npt.NDArray[np.int32]:
        """Where in the window each row of the table is, −1 where it is not."""
        return np.full(self.padding + 1, -1, np.int32)

    def own(self) -> StreamedRows:
        """The same rows with windows of their own: stacks of one table may be trained by several threads."""
        features, reference, dtype = self._features, self._reference, self.dtype.name
        return StreamedRows(self._backend, features, self._target_rows, reference, dtype, shared=self.shared)

    def announce(self, index: IntArray) -> None:
        """The rows (S, R, B) of the batches that will be taken next, in this order."""
        self._features.file.check()
        if self._reading is not None:
            self._reading.result()
            self._reading = None
        S, R, B = index.shape
        batches = window_batches(self.inputs, B)
        batches = max(1, min(batches, STACK_WINDOWS * batches // R))
        self._ahead = (index[start : start + batches] for start in range(0, S, batches))

    def take(self, index: IntArray, out: Array) -> None:
        """out (R, B, D) ← the rows `index` (R, B)."""
        places = self._places[index]
        if places.min() < 0:
            self._advance(index)
            places = self._places[index]
        self._backend.take(
            self._on_device, places if self._backend.name == "cpu" else self._backend.to_device(places), out
        )

    def _advance(self, index: IntArray) -> None:
        """Go on to the window that has these rows; rows that were never announced are read by themselves."""
        while (self._places[index] < 0).any():
            self._install(self._next() or self._read(index))

    def _next(self) -> Window | None:
        reading, self._reading = self._reading, None
        if reading is None:
            piece = next(self._ahead, None)
            window = None if piece is None else self._read(piece)
        else:
            window = reading.result()
        following = next(self._ahead, None)
        if following is not None:
            self._reading = _Reading(self._read, following)
        return window

    def _install(self, window: Window) -> None:
        self._places[self._window.rows] = -1
        self._places[window.rows] = np.arange(len(window.rows), dtype=np.int32)
        self._places[self.padding] = len(window.rows)
        self._window = window
        self._on_device = window.array if self._backend.name == "cpu" else self._backend.to_device(window.array)

    def _read(self, piece: IntArray) -> Window:
        """The rows of some batches, each once, read and scaled."""
        rows = np.sort(piece, axis=None)
        new = np.ones(len(rows), np.bool_)
        np.not_equal(rows[1:], rows[:-1], out=new[1:])
        rows = rows[new]
        rows = rows[: np.searchsorted(rows, self.padding)]
        d, n = self.inputs, self._reference
        array = np.zeros((len(rows) + 1, self.width), self.dtype)
        array[:-1, d] = array[:-1, -1] = 1
        step = max(1, _PIECE_VALUES // d)
        room = np.empty((min(step, len(rows)), d))
        with np.errstate(all="ignore"):
            for start in range(0, len(rows), step):
                part = slice(start, min(start + step, len(rows)))
                x = room[: part.stop - start]
                self._features.take(rows[part], x)
                if self._features.gaps and not self.shared:
                    np.copyto(x, n.fill[0], where=np.isnan(x))
                x -= n.shift[0]
                x *= n.scale[0]
                array[part, :d] = x
                array[part, d + 1 : -1] = (self._target_rows(rows[part]) - n.y_shift[0]) * n.y_scale[0]
        return Window(rows, array)


class _Reading:
    """A window being read by a thread of its own. There is none while processes are forked."""

    def __init__(self, read: Callable[[IntArray], Window], piece: IntArray) -> None:
        self._read, self._piece = read, piece
        self._found: Window | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="dlrun-reader")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = self._read(self._piece)
        except BaseException as error:  # it is raised where the window is asked for
            self._error = error

    def result(self) -> Window:
        """The window, as soon as it is there."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._found is not None
        return self._found


def streamed_storage_scaling(features: StoredFeatures, scaled: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """`storage_scaling` of a table in a file: medians of the same sampled rows, and one pass for the extremes."""
    n, d = features.shape
    low, high = np.full(d, np.nan), np.full(d, np.nan)
    step = max(1, _PIECE_VALUES // d)
    for start in range(0, n, step):
        block = features[np.arange(start, min(start + step, n))]
        np.fmin(low, np.fmin.reduce(block, axis=0), out=low)
        np.fmax(high, np.fmax.reduce(block, axis=0), out=high)
    sample = features[np.arange(0, n, -(-n // _SAMPLED_ROWS))]
    return storage_scaling(sample, scaled, extremes=np.stack([low, high]))
