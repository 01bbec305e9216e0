"""Parquet, through pyarrow (the extra `dlrun[parquet]`).

What the file declares (rows, columns, sizes of its pages) is checked before anything is read. Texts are read as
the dictionaries that the file holds: a long text in many rows takes its memory once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.parquet_pages import page_bytes
from dlrun.data.table import Column, Table, check_numbers, clean_text
from dlrun.data.values import refuse_size
from dlrun.errors import DataError

_REMEDY = "write it without compression and dictionaries (pandas: compression=None, use_dictionary=False)"


def read_parquet(path: Path, *, name: str) -> Table:
    """The table of a Parquet file; columns that are neither numbers, booleans nor texts are unusable."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            f'{name}: reading Parquet needs pyarrow; install it with: pip install "dlrun[parquet]"'
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
            schema = file.schema_arrow
        texts = [field.name for field in schema if _is_text(pyarrow, field.type)]
        with pyarrow.parquet.ParquetFile(path, memory_map=True, read_dictionary=texts) as file:
            usable = [field.name for field in schema if _is_usable(pyarrow, field.type)]
            _check_size(path, file, usable, name)
            arrow = file.read(columns=usable)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(
            f"{name} is not readable as a Parquet file ({reason}); write it with pandas' to_parquet."
        ) from None
    names = list(schema.names)
    if len(set(names)) < len(names):
        twice = next(field for field in names if names.count(field) > 1)
        raise DataError(f"{name}: the name {twice!r} stands over more than one column; make names unique.")
    rows = arrow.num_rows
    if not rows or not names:
        raise DataError(f"{name} holds no rows; at least 2 are needed.")
    columns = {field: _column(pyarrow, arrow.column(field), path, name) for field in usable}
    unusable = {
        field.name: f"it is of type {field.type}, no number, boolean or text"
        for field in schema
        if field.name not in columns
    }
    numbers = np.arange(1, rows + 1, dtype=np.int64)
    return check_numbers(Table(name, columns, numbers, "row", unusable=unusable))


def _check_size(path: Path, file: Any, usable: list[str], name: str) -> None:
    """What the values take as numbers, or what the pages unfold to, whichever is more."""
    facts, stored = file.metadata, path.stat().st_size
    if facts.num_rows < 0:
        raise ValueError(f"it declares {facts.num_rows} rows")
    declared = facts.num_rows * max(len(usable), 1) * 8
    refuse_size(name, declared=declared, stored=stored, remedy=_REMEDY)
    refuse_size(name, declared=page_bytes(path, facts), stored=stored, remedy=_REMEDY)


def _is_text(pyarrow: Any, kind: Any) -> bool:
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _is_usable(pyarrow: Any, kind: Any) -> bool:
    """Numbers, booleans, texts, dictionaries of these, and columns without any value."""
    types = pyarrow.types
    if types.is_dictionary(kind):
        return _is_usable(pyarrow, kind.value_type)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return bool(number or types.is_boolean(kind) or _is_text(pyarrow, kind) or types.is_null(kind))


def _column(pyarrow: Any, values: Any, path: Path, name: str) -> Column:
    """float64 or object texts."""
    types, kind = pyarrow.types, values.type
    if types.is_dictionary(kind) and _is_text(pyarrow, kind.value_type):
        return _texts(values, path, name)
    if types.is_dictionary(kind):
        kind = kind.value_type
        values = values.cast(kind)
    if types.is_null(kind):
        return np.full(len(values), np.nan)
    if types.is_boolean(kind):
        words = {None: None, False: "false", True: "true"}
        return np.array([words[value] for value in values.to_pylist()], dtype=object)
    numbers = values.cast(pyarrow.float64(), safe=False).to_numpy()
    return np.array(numbers, dtype=np.float64)


def _texts(values: Any, path: Path, name: str) -> Column:
    """The texts behind a column's codes; equal ones share an object."""
    parts: list[Column] = []
    size = 0
    for chunk in values.chunks:
        known = np.append(clean_text(chunk.dictionary.to_pylist()), np.array([None], dtype=object))
        codes = chunk.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
        lengths = np.array([len(text or "") for text in known])
        size += int(lengths[codes].sum())
        parts.append(known[codes])
    refuse_size(name, declared=size, stored=path.stat().st_size, remedy=_REMEDY)
    return np.concatenate(parts) if parts else np.empty(0, dtype=object)
