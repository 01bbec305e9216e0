"""How a table in text is written: what stands between its fields, and what marks decimals.

A comma is taken wherever it makes of every line as many fields as of the header; else a semicolon, a tab or a bar
that does. Where that is no comma, and the first lines have decimal commas and no decimal points, a comma is the decimal
mark.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dlrun.data.table import Column, Table
from dlrun.data.values import MISSING
from dlrun.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LINES = 50  # that are looked at
_SAMPLE = 1 << 20  # characters of them
_COMMA_NUMBER = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
_POINT_NUMBER = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(\.\d{3})+(,\d+)?")
_NUMBER = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """`found` says whether it was found out, and not asked for."""

    delimiter: str = ","
    decimal: str = "."
    found: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is that of RFC 4180."""
        return (self.delimiter, self.decimal) == (",", ".")

    @property
    def note(self) -> str:
        """What is to be said about it; nothing about the plain one, or one that was asked for."""
        if self.plain or not self.found:
            return ""
        marks = "commas" if self.decimal == "," else "points"
        return f"is read with {NAMES[self.delimiter]} between its fields and decimal {marks}"


PLAIN = Dialect()


def find_dialect(path: Path, *, delimiter: str = "auto", decimal: str = "auto") -> Dialect:
    """The dialect of a UTF-8 file, as far as it is not given."""
    if delimiter != "auto" and decimal != "auto":
        return Dialect(delimiter, decimal)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(islice(iter(lambda: file.readline(_SAMPLE), ""), _LINES + 1))
    if len(lines) > _LINES or (lines and len(lines[-1]) == _SAMPLE):
        lines.pop()  # perhaps the first half of a field that spans lines
    fields = {each: _fields(lines, each) for each in (DELIMITERS if delimiter == "auto" else (delimiter,))}
    asked = delimiter != "auto"
    if not asked:
        fitting = [each for each in DELIMITERS if _even(fields[each])]
        delimiter = max(fitting, key=lambda each: (each == ",", len(fields[each][0]))) if fitting else ","
    if decimal == "auto":
        decimal = "," if delimiter != "," and _decimal_commas(fields[delimiter][1:]) else "."
        asked = asked and decimal == "."
    return Dialect(delimiter, decimal, found=not asked)


def _fields(lines: list[str], delimiter: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return []


def _even(rows: list[list[str]]) -> bool:
    """Whether every row has as many fields as the header, and more than one."""
    return bool(rows) and len(rows[0]) > 1 and all(len(row) == len(rows[0]) for row in rows)


def _decimal_commas(rows: list[list[str]]) -> bool:
    texts = [field.strip() for row in rows for field in row]
    if any(_POINT_NUMBER.fullmatch(text) and not _THOUSANDS.fullmatch(text) for text in texts):
        return False
    return any(_COMMA_NUMBER.fullmatch(text) for text in texts)


def refuse_thousands(table: Table) -> None:
    """DataError for a column of numbers with points between thousands, beside decimal commas: 1.500 may be either."""
    for name, values in table.columns.items():
        if values.dtype != object:
            continue
        row = _first_with_thousands(values)
        if row is not None:
            text = str(values[row])
            raise DataError(
                f"{table.where(row, name)}: {text!r} has a point, which between decimal commas is one of thousands; "
                f"write {text.replace('.', '')} without it, or give data.decimal = '.' where it is no such"
            )


def _first_with_thousands(values: Column) -> int | None:
    known = [(row, value) for row, value in enumerate(values.tolist()) if value is not None]
    if not known or not all(_NUMBER.fullmatch(value) for _, value in known):
        return None
    return next((row for row, value in known if _THOUSANDS.fullmatch(value)), None)


def with_points(texts: list[str]) -> list[str] | None:
    """Numbers with decimal commas as ones with points; None where a point stands in one, which is no decimal mark."""
    if any("." in text for text in texts if text.strip() not in MISSING):
        return None
    return [text.replace(",", ".") if text.strip() not in MISSING else text for text in texts]
