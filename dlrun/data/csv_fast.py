"""The quick way through a large, plain CSV file: pandas parses, this module checks that it may.

The result is what `csv_file` would give, or None. None means "read it the other way": nothing here
words an error, so that each message exists once.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.csv_columns import ColumnReader, read_header
from dlrun.data.table import Column, Table
from dlrun.data.values import MAX_MAGNITUDE, MISSING

_BLOCK = 1 << 22
_COMMA, _NEWLINE = ord(","), ord("\n")


def read_plain_csv(path: Path, *, name: str, as_text: Collection[str]) -> Table | None:
    """The table of a file without quotes and carriage returns, or None if it is unusual."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        first = handle.readline(csv.field_size_limit() + 1)
    if not first.strip():
        return None
    if len(first) > csv.field_size_limit():
        return None
    header = read_header(csv.reader([first]), name=name)
    if not header[0]:
        return None
    rows = _count_rows(path, commas=len(header) - 1)
    if not rows:
        return None
    numbers = _parse_numbers(path, header)
    if numbers is None:
        return None
    texts = [field for field in header if field in as_text or field not in numbers]
    columns: dict[str, Column] = {field: numbers[field] for field in header if field not in texts}
    for field, values in _parse_texts(path, header, texts).items():
        column = ColumnReader(field, as_text=field in as_text)
        column.add(values)
        if column.too_large and not column.as_text:
            return None
        columns[field] = column.result()
    if any(len(values) != rows for values in columns.values()):
        return None
    ordered = {field: columns[field] for field in header}
    return Table(name, ordered, np.arange(2, rows + 2, dtype=np.int64), "line")


def _count_rows(path: Path, *, commas: int) -> int | None:
    """The rows after the header, or None unless every line has so many commas and none is blank."""
    lines, carried, carried_bytes = 0, 0, 0
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            data = np.frombuffer(block, dtype=np.uint8)
            ends = np.flatnonzero(data == _NEWLINE)
            if not ends.size:
                return None  # a line of megabytes
            marks = np.flatnonzero(data == _COMMA)
            counts = np.diff(np.searchsorted(marks, ends), prepend=0)
            lengths = np.diff(ends, prepend=-1) - 1
            counts[0] += carried
            lengths[0] += carried_bytes
            if (counts != commas).any() or (lengths < 1).any() or lengths.max() > csv.field_size_limit():
                return None
            lines += len(ends)
            carried = int(marks.size - np.searchsorted(marks, ends[-1]))
            carried_bytes = int(data.size - 1 - ends[-1])
    if carried_bytes:  # the last line has no newline
        if carried != commas or carried_bytes > csv.field_size_limit():
            return None
        lines += 1
    return lines - 1


def _options(header: list[str]) -> dict[str, Any]:
    return {
        "header": None,
        "skiprows": 1,
        "names": range(len(header)),
        "index_col": False,
        "encoding": "utf-8",
        "engine": "c",
        "keep_default_na": False,
        "skip_blank_lines": False,
    }


def _parse_numbers(path: Path, header: list[str]) -> dict[str, Column] | None:
    """The columns that pandas takes for numbers, or None where a value is infinite or too large."""
    import pandas

    options = _options(header)
    if tuple(int(part) for part in pandas.__version__.split(".")[:2]) < (3, 1):
        options["float_precision"] = "round_trip"  # later versions are exact by themselves
    frame = pandas.read_csv(path, na_values=sorted(MISSING), low_memory=False, **options)
    columns: dict[str, Column] = {}
    for position, field in enumerate(header):
        if frame[position].dtype.kind not in "iuf":
            continue
        values = frame[position].to_numpy(dtype=np.float64)
        if (np.abs(values) > MAX_MAGNITUDE).any():
            return None
        columns[field] = values
    return columns


def _parse_texts(path: Path, header: list[str], texts: list[str]) -> dict[str, list[str]]:
    """The other columns exactly as written."""
    if not texts:
        return {}
    import pandas

    positions = [header.index(field) for field in texts]
    frame = pandas.read_csv(path, usecols=positions, dtype=object, na_filter=False, **_options(header))
    return {field: frame[position].tolist() for field, position in zip(texts, positions, strict=True)}
