"""From a table's columns to the matrix of features, (n, d) float64.

A numeric column stays as it is, NaN where missing. A text column becomes one 0/1 column for each
category, named "column=category", NaN in all of them where missing. A column of true and false
becomes one 0/1 column, and one of dates numbers: "column.year", "column.month", and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from dlrun.data.dates import PARTS, read_date
from dlrun.data.table import BoolArray, Column, FloatArray, Table, missing_in
from dlrun.data.values import (
    BOOLEANS,
    decimal_commas,
    memory_bytes,
    number_label,
    parse_number,
    shorten,
    show_bytes,
)
from dlrun.errors import DataError

Kind = Literal["numeric", "boolean", "categorical", "date"]
KINDS: tuple[str, ...] = get_args(Kind)
DATE_PARTS = (*PARTS, "hour")  # in the order of `read_date`


@dataclass(frozen=True, kw_only=True)
class ColumnEncoding:
    """How one column of the table is encoded.

    categories  of a "categorical" column, sorted; of a "date" what it becomes: "year", "month", …
    form        how a "date" is written, one of `dates.FORMS`
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    form: str = ""

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns that it becomes."""
        if self.kind in ("categorical", "date"):
            mark = "=" if self.kind == "categorical" else "."
            return tuple(f"{self.name}{mark}{category}" for category in self.categories)
        return (self.name,)


def feature_names(encoding: Sequence[ColumnEncoding]) -> tuple[str, ...]:
    """The names of the encoded columns, (d,)."""
    return tuple(feature for column in encoding for feature in column.features)


def categorical_mask(encoding: Sequence[ColumnEncoding]) -> BoolArray:
    """True for the 0/1 columns of categories, (d,)."""
    return np.array([column.kind == "categorical" for column in encoding for _ in column.features], dtype=bool)


def encode_table(table: Table, encoding: Sequence[ColumnEncoding]) -> FloatArray:
    """The features of a table by an encoding fitted before, (m, d).

    A category that the encoding does not know is 0 in all its columns. Raises DataError for a column
    that is not there, and for a text in a numeric column.
    """
    absent = [column.name for column in encoding if column.name not in table.names]
    if absent:
        plural = "columns" if len(absent) > 1 else "column"
        raise DataError(
            f"{table.name} lacks the {plural} {shorten(map(repr, absent))} that the model was trained on. "
            f"Columns there: {shorten(table.names)}"
        )
    width = sum(len(column.features) for column in encoding)
    size = len(table) * width * 8
    if size > memory_bytes():
        raise DataError(
            f"{table.name} takes {show_bytes(size)} when encoded ({len(table)} rows × {width} features), and "
            f"this machine has {show_bytes(memory_bytes())}; leave out text columns with many categories."
        )
    matrix = np.empty((len(table), width))
    start = 0
    for column in encoding:
        stop = start + len(column.features)
        _fill(matrix[:, start:stop], table, column)
        start = stop
    return matrix


def _fill(block: FloatArray, table: Table, column: ColumnEncoding) -> None:
    values = table.column(column.name, key="data.features")
    if column.kind == "categorical":
        if values.dtype == np.float64:  # a file in which every category happens to look like a number
            values = np.array([None if np.isnan(value) else number_label(value) for value in values], dtype=object)
        index = {category: position for position, category in enumerate(column.categories)}
        codes = np.fromiter((index.get(value, -1) for value in values), np.int64, len(values))
        block[:] = codes[:, None] == np.arange(len(column.categories))
        block[[value is None for value in values]] = np.nan
    elif column.kind == "date":
        _fill_dates(block, table, column, values)
    elif values.dtype == np.float64:
        block[:, 0] = values
    else:
        block[:, 0] = [_as_number(value, row, table, column) for row, value in enumerate(values)]


def _fill_dates(block: FloatArray, table: Table, column: ColumnEncoding, values: Column) -> None:
    wanted = [DATE_PARTS.index(part) for part in column.categories]
    block[:] = np.nan
    known: dict[str, list[int]] = {}
    for row in np.flatnonzero(~missing_in(values)):
        text = str(values[row])
        if text not in known:
            found = read_date(text, column.form)
            if found is None:
                raise DataError(
                    f"{table.where(int(row), column.name)}: {text!r} where the model was trained on dates "
                    f"as {column.form}."
                )
            known[text] = [found[place] for place in wanted]
        block[row] = known[text]


def _as_number(value: str | None, row: int, table: Table, column: ColumnEncoding) -> float:
    if value is None:
        return float("nan")
    if column.kind == "boolean" and value.lower() in BOOLEANS:
        return float(value.lower() == "true")
    number = parse_number(value)
    if number is None or (column.kind == "boolean" and number not in (0, 1)):
        if commas := decimal_commas([value]):
            raise DataError(f"{table.where(row, column.name)}: {commas}.")
        wanted = "true or false" if column.kind == "boolean" else "a number"
        raise DataError(f"{table.where(row, column.name)}: {value!r} where the model was trained on {wanted}.")
    return number
