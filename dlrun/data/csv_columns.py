"""What both ways of reading CSV share: the header, and columns whose type all their values decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dlrun.data.dialect import with_points
from dlrun.data.table import Column
from dlrun.data.values import MAX_MAGNITUDE, MISSING, parse_number
from dlrun.errors import DataError


def read_header(reader: Iterator[list[str]], *, name: str, delimiter: str = ",") -> list[str]:
    """The column names, checked: none empty but perhaps the first, none twice."""
    header = [field.strip() for field in next((row for row in reader if row), [])]
    if not header:
        raise DataError(f"{name} is empty; a header line with the columns' names is needed, then the rows.")
    if len(header) == 1 and delimiter == "," and (found := next((mark for mark in ";\t|" if mark in header[0]), None)):
        raise DataError(
            f"{name}, line 1: the fields seem to be separated by {found!r}, but not every line has as many; "
            f"--set data.delimiter={found!r} tells which."
        )
    for position, field in enumerate(header):
        if not field and (position or len(header) == 1):
            raise DataError(unnamed(name, position))
    twice = sorted({field for field in header if header.count(field) > 1}) if len(set(header)) < len(header) else []
    if twice:
        raise DataError(f"{name}, line 1: the name {twice[0]!r} stands over more than one column; make names unique.")
    return header


def unnamed(name: str, position: int) -> str:
    """The message about a column without a name."""
    return f"{name}, line 1: column {position + 1} has no name; name it or take it out."


class ColumnReader:
    """Gathers one column chunk by chunk: as numbers until a value is none, else as texts."""

    def __init__(self, name: str, *, as_text: bool, decimal: str = ".") -> None:
        self.name = name
        self._decimal = decimal
        self.as_text = as_text
        self.demoted = False  # a text turned up after chunks that were kept as numbers alone
        self.too_large: tuple[int, str] | None = None  # row and text of the first unusable number
        self._rows = 0
        self._chunks: list[Column] = []
        self._cache = _Cleaned()

    def add(self, texts: Sequence[str]) -> None:
        """The values of the next rows, as written in the file."""
        if self.demoted:
            return
        if not self.as_text:
            pointed = with_points(list(texts)) if self._decimal == "," else texts
            numbers = None if pointed is None else _numbers(pointed)
            if numbers is None:
                self.demoted = bool(self._chunks)
                self.as_text = True
            else:
                self._note_too_large(numbers, texts)
                self._chunks.append(numbers)
        if self.as_text and not self.demoted:
            cleaned = np.empty(len(texts), dtype=object)
            cleaned[:] = [self._cache[text] for text in texts]
            self._chunks.append(cleaned)
        self._rows += len(texts)

    def _note_too_large(self, numbers: Column, texts: Sequence[str]) -> None:
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero(np.abs(numbers) > MAX_MAGNITUDE)
        if bad.size and self.too_large is None:
            self.too_large = (self._rows + int(bad[0]), texts[bad[0]].strip())

    def result(self) -> Column:
        """The whole column."""
        if not self._chunks:
            return np.empty(0, dtype=object if self.as_text else np.float64)
        return np.concatenate(self._chunks)


class _Cleaned(dict[str, str | None]):
    """Raw text → stripped text or None; equal texts of a column share one object."""

    def __missing__(self, raw: str) -> str | None:
        text = raw.strip()
        value = self[raw] = None if text in MISSING else self.setdefault(text, text)
        return value


def _numbers(texts: Sequence[str]) -> Column | None:
    """float64 values, NaN where missing; None if some value is a text."""
    joined = "".join(texts)
    if "_" not in joined and joined.isascii():
        try:
            return np.fromiter(map(float, texts), np.float64, len(texts))
        except ValueError:
            pass  # a missing marker or a text: look at each value
    numbers = np.empty(len(texts))
    for index, raw in enumerate(texts):
        text = raw.strip()
        value = float("nan") if text in MISSING else parse_number(text)
        if value is None:
            return None
        numbers[index] = value
    return numbers
