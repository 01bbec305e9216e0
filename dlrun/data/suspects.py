"""Columns of a user's table that are used as features and most likely should not be: identifiers and dates."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from dlrun.data.encoding import ColumnEncoding
from dlrun.data.stored_features import Features
from dlrun.data.table import FloatArray, IntArray
from dlrun.data.values import decimal_commas, shorten

_FEW_ROWS = 10  # so few numbers may count up by chance
_LONGEST = 200  # characters of a list of columns that is shown
_DATE = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d\d))([T ].*)?")


def column_notes(table: str, encoding: Sequence[ColumnEncoding], features: Features, rows: IntArray) -> list[str]:
    """What is to be said about the columns of these features (m, d), `rows` (m,) being their rows in the table.

    Rows that stayed in their file are not read for it.
    """
    found: dict[str, str] = {}
    notes = []
    start = 0
    for column in encoding:
        if column.kind == "categorical":
            if _mostly_dates(column.categories):
                found[column.name] = "holds dates, each of which becomes a feature of its own"
            elif commas := decimal_commas(column.categories):
                notes.append(f"{table}, column {column.name!r}: {commas}")
        elif column.kind == "numeric" and isinstance(features, np.ndarray) and _numbers_rows(features[:, start], rows):
            found[column.name] = "numbers the rows, as identifiers do"
        start += len(column.features)
    if found and len(found) < len(encoding):
        told = "; ".join(f"column {name!r} {what}" for name, what in found.items())
        notes.append(f"{table}: {told}. To leave {'it' if len(found) == 1 else 'them'} out: {_setting(list(found))}")
    return notes


def _mostly_dates(texts: Sequence[str]) -> bool:
    return 2 * sum(_DATE.fullmatch(text) is not None for text in texts) > len(texts)


def _numbers_rows(values: FloatArray, rows: IntArray) -> bool:
    """Whether these are whole numbers that go up by one from row to row (also dropped ones), or do so when sorted."""
    if len(values) < _FEW_ROWS or (values != np.floor(values)).any():  # NaN is unlike itself
        return False
    return bool(np.ptp(values - rows) == 0 or (np.diff(np.sort(values)) == 1).all())


def _setting(names: Sequence[str]) -> str:
    from dlrun.config.keys import value_text

    text = value_text(list(names))
    if len(text) > _LONGEST:
        return f"name them in data.exclude ({shorten(names, 3)})"
    return f"--set 'data.exclude={text}'"
