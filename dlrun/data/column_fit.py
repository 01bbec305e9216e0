"""How the columns of a table are to be encoded: found out from their values, as `[data]` asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dlrun.data.dates import ambiguous_dates, date_forms, date_parts
from dlrun.data.encoding import ColumnEncoding, feature_names
from dlrun.data.table import Column, Table
from dlrun.data.values import BOOLEANS, decimal_commas, parse_number
from dlrun.errors import DataError

if TYPE_CHECKING:
    from dlrun.config.schema import DataConfig

MAX_CATEGORIES = 1000
_FEW_ROWS = 50  # up to here a text column may be all different


@dataclass(frozen=True, kw_only=True)
class EncodingRules:
    """What `[data]` says about columns, under the names of its keys."""

    dates: Literal["expand", "error"] = "expand"

    @classmethod
    def of(cls, data: DataConfig) -> EncodingRules:
        """Those of an experiment."""
        return cls(dates=data.dates)


_PLAIN = EncodingRules()


def fit_encoding(table: Table, names: Sequence[str], rules: EncodingRules = _PLAIN) -> tuple[ColumnEncoding, ...]:
    """The encoding of the named columns, from all rows of the table.

    Raises DataError for a text column with more than 1000 different values, or, in a table of more
    than 50 rows, with more than half as many as rows: names and identifiers tell nothing.
    """
    encoding: list[ColumnEncoding] = []
    wrong: dict[str, str] = {}
    for name in names:
        try:
            encoding.append(_fit_column(table, name, rules))
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


def _fit_column(table: Table, name: str, rules: EncodingRules) -> ColumnEncoding:
    values = table.column(name, key="data.features")
    if values.dtype == np.float64:
        return ColumnEncoding(name=name, kind="numeric")
    present = {value for value in values.tolist() if value is not None}
    encoding = text_encoding(table.name, name, present, len(table), rules)
    if encoding is None:
        raise DataError(_too_many(table, name, values, present))
    return encoding


def text_encoding(table: str, name: str, present: set[str], rows: int, rules: EncodingRules) -> ColumnEncoding | None:
    """The encoding of a column with these texts in so many rows; None where they are too many for categories."""
    if present and {value.lower() for value in present} <= BOOLEANS:
        return ColumnEncoding(name=name, kind="boolean")
    forms = date_forms(present)
    if forms and rules.dates == "error":
        raise DataError(
            f'{table}, column {name!r} holds dates, and data.dates = "error"; "expand" makes numbers of them '
            "(year, month, day, weekday)."
        )
    if len(forms) == 1:
        return ColumnEncoding(name=name, kind="date", categories=date_parts(present, forms[0]), form=forms[0])
    if len(present) > MAX_CATEGORIES or (rows > _FEW_ROWS and len(present) > rows / 2):
        return None
    return ColumnEncoding(name=name, kind="categorical", categories=tuple(sorted(present)))


def encoding_notes(table: str, encoding: Sequence[ColumnEncoding]) -> tuple[str, ...]:
    """What is to be said about columns that do not become what they are."""
    return tuple(
        f"{table}: column {column.name!r} holds dates ({column.form}) and becomes {', '.join(column.features)}"
        for column in encoding
        if column.kind == "date"
    )


def _too_many(table: Table, name: str, values: Column, present: set[str]) -> str:
    texts = {value for value in present if parse_number(value) is None}
    if commas := decimal_commas(value for value in values if value in present):
        return f"{table.name}, column {name!r}: {commas}."
    if dates := ambiguous_dates(present):
        return f"{table.name}, column {name!r} holds dates, and {dates}."
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
