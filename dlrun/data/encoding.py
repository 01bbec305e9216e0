"""From a table's columns to the matrix of features, (n, d) float64.

A numeric column stays as it is, NaN where missing. A text column becomes one 0/1 column for each
category, named "column=category", NaN in all of them where missing. A column of true and false
becomes one 0/1 column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dlrun.data.table import BoolArray, Column, FloatArray, Table
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

MAX_CATEGORIES = 1000
_FEW_ROWS = 50  # up to here a text column may be all different


@dataclass(frozen=True, kw_only=True)
class ColumnEncoding:
    """How one column of the table is encoded; `categories` are those of a "categorical" column, sorted."""

    name: str
    kind: Literal["numeric", "boolean", "categorical"]
    categories: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns that it becomes."""
        if self.kind == "categorical":
            return tuple(f"{self.name}={category}" for category in self.categories)
        return (self.name,)


def fit_encoding(table: Table, names: Sequence[str]) -> tuple[ColumnEncoding, ...]:
    """The encoding of the named columns, from all rows of the table.

    Raises DataError for a text column with more than 1000 different values, or, in a table of more
    than 50 rows, with more than half as many as rows: names, identifiers and dates tell nothing.
    """
    encoding: list[ColumnEncoding] = []
    wrong: dict[str, str] = {}
    for name in names:
        try:
            encoding.append(_fit_column(table, name))
        except DataError as error:
            wrong[name] = str(error)
    if wrong:
        raise DataError(_cannot_be_used(table.name, wrong, others=bool(encoding)))
    refuse_equal_features(table.name, encoding)
    return tuple(encoding)


def _cannot_be_used(table: str, wrong: dict[str, str], *, others: bool) -> str:
    """What is wrong with all these columns, and the setting that leaves them out where others are left."""
    from dlrun.config.keys import value_text

    told = next(iter(wrong.values()))
    if len(wrong) > 1:
        told = "\n  ".join([f"{table}: {len(wrong)} columns cannot be used", *wrong.values()])
    if not others:
        return told
    out = f"--set 'data.exclude={value_text(list(wrong))}'"
    return f"{told}\n  {out} leaves {'it' if len(wrong) == 1 else 'them'} out"


def refuse_equal_features(table: str, encoding: Sequence[ColumnEncoding]) -> None:
    """DataError where two features would have the same name."""
    features = feature_names(encoding)
    if len(set(features)) < len(features):
        twice = next(name for name in features if features.count(name) > 1)
        raise DataError(f"{table}: two columns would be encoded as {twice!r}; rename one of them.")


def _fit_column(table: Table, name: str) -> ColumnEncoding:
    values = table.column(name, key="data.features")
    if values.dtype == np.float64:
        return ColumnEncoding(name=name, kind="numeric")
    present = {value for value in values.tolist() if value is not None}
    encoding = text_encoding(name, present, len(table))
    if encoding is None:
        raise DataError(_too_many(table, name, values, present))
    return encoding


def text_encoding(name: str, present: set[str], rows: int) -> ColumnEncoding | None:
    """The encoding of a column with these texts in so many rows; None where they are too many for categories."""
    if present and {value.lower() for value in present} <= BOOLEANS:
        return ColumnEncoding(name=name, kind="boolean")
    if len(present) > MAX_CATEGORIES or (rows > _FEW_ROWS and len(present) > rows / 2):
        return None
    return ColumnEncoding(name=name, kind="categorical", categories=tuple(sorted(present)))


def _too_many(table: Table, name: str, values: Column, present: set[str]) -> str:
    texts = {value for value in present if parse_number(value) is None}
    if commas := decimal_commas(value for value in values if value in present):
        return f"{table.name}, column {name!r}: {commas}."
    if len(texts) <= len(present) / 10:  # numbers, with a few slips among them
        row = next(index for index, value in enumerate(values) if value in texts)
        return (
            f"{table.where(row, name)}: {values[row]!r} is no number, and nearly all other values are; "
            "correct it, or leave the field empty if it is missing."
        )
    return (
        f"{table.name}, column {name!r} is text with {len(present)} different values in {len(table)} rows, "
        "as names, identifiers and dates have; leave it out by listing the "
        "columns to use in data.features."
    )


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
    elif values.dtype == np.float64:
        block[:, 0] = values
    else:
        block[:, 0] = [_as_number(value, row, table, column) for row, value in enumerate(values)]


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
