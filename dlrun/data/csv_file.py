"""CSV: UTF-8, header, RFC 4180 quotes, commas or another delimiter; the type of a column inferred from all its values.

Two readers with one meaning. `_read_rows` uses the standard library's parser: it names the line and
column of whatever is wrong, and starts at once. For large files `csv_fast` parses plain numbers with
pandas, ten times faster, and hands back every file that has anything unusual in it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from itertools import islice
from pathlib import Path

import numpy as np

from dlrun.data.byte_check import check_bytes
from dlrun.data.csv_columns import ColumnReader, read_header, unnamed
from dlrun.data.dialect import Dialect, find_dialect, refuse_thousands
from dlrun.data.table import Column, Table
from dlrun.data.values import MAX_MAGNITUDE, cut, shorten
from dlrun.errors import DataError
from dlrun.records import counted

FAST_FROM_BYTES = 4_000_000  # below, importing pandas takes longer than it saves
_CHUNK = 8192
_MARKS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_LINE_END = re.compile(r"\r\n|\r|\n")


def read_csv(
    path: Path, *, name: str, as_text: Collection[str] = (), delimiter: str = "auto", decimal: str = "auto"
) -> Table:
    """The table of a CSV file; the columns named in `as_text` are texts whatever they hold.

    A column is numeric when every value is a number or missing (`MISSING`, see `values`). Raises
    DataError with line, column and value for what is not UTF-8, ragged, unnamed, infinite or empty.
    A first column without a name that only counts the rows is left out, as pandas writes one.
    """
    facts = check_bytes(path, name=name)
    dialect = find_dialect(path, delimiter=delimiter, decimal=decimal)
    if dialect.plain and facts.size >= FAST_FROM_BYTES and facts.plain:
        from dlrun.data.csv_fast import read_plain_csv

        table = read_plain_csv(path, name=name, as_text=as_text)
        if table is not None:
            return table
    texts = set(as_text)
    while True:
        columns, lines = _read_rows(path, name, texts, dialect)
        demoted = {column.name for column in columns if column.demoted}
        if not demoted:
            break
        texts |= demoted  # rare: the first text came late; read again, keeping the texts
    for column in columns:
        if column.too_large and not column.as_text:
            row, text = column.too_large
            raise DataError(
                f"{name}, line {lines[row]}, column {column.name!r}: {cut(text)!r} is infinite or beyond "
                f"±{MAX_MAGNITUDE:g}; give a finite number, or leave the field empty if it is missing."
            )
    found = {column.name: column.result() for column in columns}
    notes = [f"{name} {dialect.note}"] if dialect.note else []
    if "" in found:
        notes.append(_without_count(found, name))
    table = Table(name, found, lines, "line", notes=tuple(notes))
    if dialect.decimal == ",":
        refuse_thousands(table)
    return table


def _without_count(columns: dict[str, Column], name: str) -> str:
    """Take the first column, which has no name, out where it counts the rows; what is said of it. DataError else."""
    values = columns.pop("")
    counted_from = values[0] if values.dtype == np.float64 else None
    if counted_from not in (0, 1) or not np.array_equal(values, np.arange(counted_from, counted_from + len(values))):
        raise DataError(unnamed(name, 0))
    if not columns:
        raise DataError(f"{name} has no column but one without a name, which counts its rows.")
    return f"{name}: the first column, which has no name and counts the rows, is left out"


def _read_rows(path: Path, name: str, as_text: Collection[str], dialect: Dialect) -> tuple[list[ColumnReader], Column]:
    """All columns, and the line on which each row begins."""
    lines: list[Column] = []
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, strict=True, delimiter=dialect.delimiter)
        try:
            header = read_header(reader, name=name, delimiter=dialect.delimiter)
            columns = [ColumnReader(field, as_text=field in as_text, decimal=dialect.decimal) for field in header]
            before = reader.line_num
            while chunk := list(islice(reader, _CHUNK)):
                starts = _starts(chunk, before, reader.line_num)
                filled = [index for index, row in enumerate(chunk) if row]
                if len(filled) < len(chunk):  # blank lines
                    chunk, starts = [chunk[index] for index in filled], starts[filled]
                _check_widths(chunk, starts, header, name, dialect.delimiter)
                if chunk:
                    for column, texts in zip(columns, zip(*chunk, strict=True), strict=True):
                        column.add(texts)
                lines.append(starts)
                before = reader.line_num
        except csv.Error as error:
            raise DataError(f"{name}, line {max(reader.line_num, 1)}: {explain(error)}") from None
    numbers = np.concatenate([*lines, np.empty(0, np.int64)])
    if not numbers.size:
        raise DataError(f"{name} has a header and no rows; a line for each row is needed below it.")
    return columns, numbers


def _starts(chunk: list[list[str]], before: int, after: int) -> Column:
    """The line on which each row of the chunk begins, (rows,); quoted fields may span lines."""
    if after - before == len(chunk):
        return np.arange(before + 1, after + 1, dtype=np.int64)
    heights = [1 + sum(len(_LINE_END.findall(field)) for field in row) for row in chunk]
    return before + 1 + np.concatenate([[0], np.cumsum(heights[:-1], dtype=np.int64)]).astype(np.int64)


def _check_widths(chunk: list[list[str]], starts: Column, header: list[str], name: str, delimiter: str) -> None:
    if set(map(len, chunk)) <= {len(header)}:
        return
    row = next(index for index, fields in enumerate(chunk) if len(fields) != len(header))
    raise DataError(
        f"{name}, line {starts[row]}: {counted(len(chunk[row]), 'field')} where the header has {len(header)} "
        f"({shorten(header, 6)}); a field that holds {_MARKS[delimiter]} must stand in double quotes."
    )


def explain(error: csv.Error) -> str:
    """The parser's complaint in the words of a remedy."""
    text = str(error)
    if "field larger" in text:
        return (
            f"a field of more than {csv.field_size_limit()} characters; is a double quote left open, "
            "or is this no table?"
        )
    if "unexpected end of data" in text:
        return "the file ends inside a quoted field; a double quote is left open."
    if "expected after" in text:
        return "text follows a closing double quote; write a quote inside a quoted field twice."
    return f"not readable as CSV ({text})."
