"""Rows of numbers in a file, read where they are needed: the file is never mapped nor held in memory.

A memory map would be simpler, but its pages count as the process's own memory until the system takes them back.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.data.table import FloatArray, IntArray
from dlrun.data.values import show_bytes
from dlrun.errors import DataError, MachineError

READ_BYTES = 1 << 20  # what one call reads at most
GAP_BYTES = 1 << 15  # rows so near to each other are read in one call, with what lies between them


class RowFile:
    """n rows of `width` numbers of one type, from byte `offset` of a file on. Several threads may read at once."""

    def __init__(self, descriptor: int, name: str, *, rows: int, width: int, dtype: Any, offset: int = 0) -> None:
        """Takes the open file over, and closes it when nobody uses the rows any more."""
        self.name, self.rows, self.width = name, rows, width
        self.dtype = np.dtype(dtype)
        self.row_bytes = width * self.dtype.itemsize
        self._descriptor, self._offset = descriptor, offset
        self._found = self._state()
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def open(cls, path: Path, name: str, *, rows: int, width: int, dtype: Any, offset: int) -> RowFile:
        """The rows of a file that is there."""
        return cls(os.open(path, os.O_RDONLY), name, rows=rows, width=width, dtype=dtype, offset=offset)

    @classmethod
    def scratch(cls, pieces: Iterator[FloatArray], name: str, *, rows: int, width: int, dtype: Any) -> RowFile:
        """A temporary file of these rows. It has no name, and goes when the process ends, however it ends.

        Raises MachineError where the folder for temporary files has no room.
        """
        folder, needed = tempfile.gettempdir(), rows * width * np.dtype(dtype).itemsize
        full = (
            f"{name} is copied for reading by rows, which takes {show_bytes(needed)} of the folder for temporary "
            f"files, {folder}, and it has no room; free some, or set TMPDIR to a folder on another disk"
        )
        if shutil.disk_usage(folder).free < needed:
            raise MachineError(full)
        try:
            with tempfile.TemporaryFile(prefix="dlrun-") as file:
                for piece in pieces:
                    file.write(np.ascontiguousarray(piece, dtype).data)
                file.flush()
                return cls(os.dup(file.fileno()), name, rows=rows, width=width, dtype=dtype)
        except OSError as error:
            raise MachineError(f"{full} ({error.strerror})") from None

    def _state(self) -> tuple[int, int]:
        facts = os.fstat(self._descriptor)
        return facts.st_size, facts.st_mtime_ns

    def check(self) -> None:
        """DataError if the file is no longer what it was when it was opened."""
        if self._state() != self._found:
            raise DataError(f"{self.name} was changed while it was being read; start again, and leave it as it is.")

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Rows `start` to `stop`, (m, width), as they are stored."""
        return self.numbers(start * self.width, (stop - start) * self.width).reshape(-1, self.width)

    def numbers(self, first: int, count: int) -> npt.NDArray[Any]:
        """`count` numbers in the order of the file, from number `first` on."""
        raw = np.empty(count, self.dtype)
        room = memoryview(raw.data).cast("B")
        at, position = 0, self._offset + first * self.dtype.itemsize
        while at < len(room):
            read = os.preadv(self._descriptor, [room[at:]], position + at)
            if read == 0:
                raise DataError(f"{self.name} has become shorter while it was being read; start again.")
            at += read
        return raw

    def take(self, rows: IntArray, out: FloatArray, columns: slice | IntArray) -> None:
        """out[i] ← the columns of row rows[i] as float64; `rows` ascend and may repeat."""
        if not len(rows):
            return
        steps = np.diff(rows)
        apart = np.flatnonzero(steps * self.row_bytes > GAP_BYTES) + 1
        most = max(1, READ_BYTES // self.row_bytes)
        for begin, end in zip([0, *apart.tolist()], [*apart.tolist(), len(rows)], strict=True):
            while begin < end:
                first = int(rows[begin])
                stop = end
                if rows[end - 1] - first >= most:
                    stop = begin + int(np.searchsorted(rows[begin:end], first + most))
                raw = self.read(first, int(rows[stop - 1]) + 1)
                if not (steps[begin : stop - 1] == 1).all():
                    raw = raw.take(rows[begin:stop] - first, axis=0)
                out[begin:stop] = raw[:, columns]
                begin = stop
