"""Tables that are read piece by piece from their files: NPY and Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dlrun.data.npy_file import NpyHeader, read_header
from dlrun.data.parquet_file import ParquetPieces
from dlrun.data.row_file import RowFile
from dlrun.data.table import Table, check_numbers

PIECE_VALUES = 1 << 20  # numbers read at a time


class StoredTable(Protocol):
    """A table in a file.

    head    the table without its rows: names and types
    rows    how many there are
    narrow  whether float32 holds every number of the named columns exactly
    """

    @property
    def name(self) -> str: ...
    @property
    def head(self) -> Table: ...
    @property
    def rows(self) -> int: ...
    def narrow(self, names: Sequence[str]) -> bool: ...
    def pieces(self, names: Sequence[str] | None = None) -> Iterator[Table]:
        """The table's rows in order, some thousand at a time; of the named columns alone, if they are given."""
        ...

    def row_file(self) -> RowFile | None:
        """The file itself, where it holds the numbers row by row, in the order of `head`'s columns."""
        ...


def stored_table(source: str, path: Path) -> StoredTable | None:
    """The table of a file whose kind can be read piece by piece; None for other kinds."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return NpyPieces(path, source)
    if suffix == ".parquet":
        return ParquetPieces(path, source, PIECE_VALUES)
    return None


@dataclass(frozen=True)
class NpyPieces:
    """A 2-D array of numbers; its columns are named "0", "1", …"""

    path: Path
    name: str

    @cached_property
    def _header(self) -> NpyHeader:
        return read_header(self.path, self.name)

    @cached_property
    def _file(self) -> RowFile:
        header = self._header
        return RowFile.open(
            self.path,
            self.name,
            rows=header.rows,
            width=header.columns,
            dtype=header.dtype,
            offset=header.offset,
        )

    @property
    def rows(self) -> int:
        return self._header.rows

    @cached_property
    def head(self) -> Table:
        return Table(self.name, dict.fromkeys(self._header.names, np.empty(0)), np.empty(0, np.int64))

    def narrow(self, names: Sequence[str]) -> bool:
        return fits_float32(self._header.dtype)

    def row_file(self) -> RowFile | None:
        return None if self._header.by_column else self._file

    def pieces(self, names: Sequence[str] | None = None) -> Iterator[Table]:
        header = self._header
        wanted = header.names if names is None else list(names)
        height = max(1, PIECE_VALUES // header.columns)
        for start in range(0, header.rows, height):
            stop = min(start + height, header.rows)
            block = self._block(start, stop)
            columns = {name: block[:, int(name)].astype(np.float64) for name in wanted}
            numbers = np.arange(start + 1, stop + 1, dtype=np.int64)
            yield check_numbers(Table(self.name, columns, numbers))

    def _block(self, start: int, stop: int) -> npt.NDArray[Any]:
        header = self._header
        if not header.by_column:
            return self._file.read(start, stop)
        parts = [self._file.numbers(j * header.rows + start, stop - start) for j in range(header.columns)]
        return np.stack(parts, axis=1)


def fits_float32(dtype: np.dtype[Any]) -> bool:
    """Whether every number of this type is a float32."""
    return dtype.itemsize <= (4 if dtype.kind == "f" else 2)
