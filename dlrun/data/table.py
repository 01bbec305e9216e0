"""A table as read: named columns of numbers or texts, before any choice of target or features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.data.column_hash import ColumnHash
from dlrun.data.values import MAX_MAGNITUDE, MISSING, suggestion
from dlrun.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Column = npt.NDArray[Any]  # float64 with NaN for missing, or object: str with None for missing


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of equal length.

    `columns` maps a name to float64 (NaN is missing) or to an object array of str (None is missing);
    booleans are the texts "true" and "false". `numbers` (n,) is what a message calls each row:
    the line of a CSV file, the row from 1 elsewhere; `numbered` says which. `unusable` maps columns
    of other types (dates, nested values) to the reason why they cannot be used.
    """

    name: str
    columns: Mapping[str, Column]
    numbers: IntArray
    numbered: str = "row"
    default_target: str | None = None
    unusable: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what is to be said about how it was read
    shape: tuple[int, ...] | None = None  # of a row whose columns are a picture (H, W, C) or a sequence (T, d)
    masked: bool = False  # the last number of each step of a sequence is 1, or 0 for padding

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def names(self) -> list[str]:
        """All columns, the unusable ones last."""
        return [*self.columns, *self.unusable]

    @cached_property
    def hash(self) -> str:
        """SHA-256 over names, types and values: the same content hashes alike in any file format."""
        digest = ColumnHash()
        digest.update(self.columns)
        return digest.hexdigest()

    def where(self, row: int, column: str) -> str:
        """How a message names a cell: `cars.csv, line 17, column 'weight'`."""
        return f"{self.name}, {self.numbered} {self.numbers[row]}, column {column!r}"

    def column(self, name: str, *, key: str) -> Column:
        """The named column; `key` is what asked for it, for the message if there is none."""
        if name in self.unusable:
            raise DataError(
                f"{self.name}, column {name!r} ({key}): {self.unusable[name]}; "
                "list the columns to use in data.features, without it."
            )
        if name not in self.columns:
            hint = suggestion(name, self.names, what="Columns")
            raise DataError(f"{self.name} has no column {name!r} ({key}){hint}")
        return self.columns[name]

    def take(self, rows: IntArray) -> Table:
        """The table of these rows alone."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return replace(self, columns=columns, numbers=self.numbers[rows], notes=())


def missing_in(values: Column) -> BoolArray:
    """True where a value is missing, (n,)."""
    if values.dtype == np.float64:
        return np.isnan(values)
    return np.fromiter((value is None for value in values), np.bool_, len(values))


def clean_text(values: Any) -> Column:
    """An object array of stripped texts, None where a value is None or a marker of a missing value."""
    cleaned = np.empty(len(values), dtype=object)
    cache: dict[Any, str | None] = {None: None}
    for index, value in enumerate(values):
        if value not in cache:
            text = value.strip()
            cache[value] = None if text in MISSING else text
        cleaned[index] = cache[value]
    return cleaned


def check_numbers(table: Table) -> Table:
    """The table itself, or a DataError for the first number that no computation could use."""
    for name, values in table.columns.items():
        if values.dtype != np.float64:
            continue
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero(np.abs(values) > MAX_MAGNITUDE)
        if bad.size:
            raise DataError(
                f"{table.where(int(bad[0]), name)}: the value {values[bad[0]]} is infinite or beyond "
                f"±{MAX_MAGNITUDE:g}; give a finite number, or leave the field empty if it is missing."
            )
    return table
