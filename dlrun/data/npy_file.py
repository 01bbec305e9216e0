"""NPY: one 2-D array of numbers, whose columns are named "0", "1", "2", …; never a pickle."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.array_header import read_array_header
from dlrun.data.table import Table, check_numbers
from dlrun.data.values import cut, refuse_size
from dlrun.errors import DataError

_REMEDY = "write it with numpy.save"
_MOST_COLUMNS = 1_000_000


@dataclass(frozen=True)
class NpyHeader:
    """What the file says of its array: `rows` × `columns` numbers of `dtype`, which begin at byte `offset`."""

    rows: int
    columns: int
    dtype: np.dtype[Any]
    offset: int
    by_column: bool  # Fortran order

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [str(number) for number in range(self.columns)]


def read_header(path: Path, name: str) -> NpyHeader:
    """The header, checked against the size of the file; DataError for what is no 2-D array of numbers."""
    try:
        with path.open("rb") as file:
            shape, by_column, dtype = read_array_header(file)
            offset = file.tell()
            held = os.fstat(file.fileno()).st_size - offset
    except ValueError as error:
        reason = cut(str(error).splitlines()[0]) if str(error) else "it is empty"
        raise DataError(f"{name} is not readable as an .npy file ({reason}); {_REMEDY}.") from None
    if dtype.hasobject or dtype.names is not None or dtype.kind not in "iufb":
        raise DataError(
            f"{name}: the array is of type {dtype}; numbers are needed. Texts go into a .csv, .parquet or .npz file."
        )
    if len(shape) != 2:
        raise DataError(
            f"{name}: the array has the shape {shape}; it must be 2-D, rows × columns with the target among them "
            "(for images: X.reshape(len(X), -1); with a target of its own: an .npz file of X and y)."
        )
    rows, columns = shape
    if rows < 1 or columns < 1:
        raise DataError(f"{name}: the array has the shape {shape}: it holds no rows, or no columns.")
    if columns > _MOST_COLUMNS:
        raise DataError(
            f"{name}: the array has {columns} columns; at most {_MOST_COLUMNS} are read. Rows are examples, "
            "columns are features: array.T turns it round."
        )
    size = math.prod((rows, columns, int(dtype.itemsize)))
    if size != held:
        raise DataError(f"{name}: the array declares {size} bytes and the file holds {held}; {_REMEDY} again.")
    return NpyHeader(rows, columns, dtype, offset, by_column)


def read_npy(path: Path, *, name: str) -> Table:
    """The table of an .npy file, in memory."""
    header = read_header(path, name)
    size = path.stat().st_size
    refuse_size(name, declared=header.rows * header.columns * 8, stored=size, remedy=_REMEDY)
    array = np.load(path, allow_pickle=False)
    columns = {label: array[:, number].astype(np.float64) for number, label in enumerate(header.names)}
    return check_numbers(Table(name, columns, np.arange(1, header.rows + 1, dtype=np.int64)))
