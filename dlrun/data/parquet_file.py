"""Parquet, through pyarrow (the extra `dlrun[parquet]`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.table import Column, Table, check_numbers, clean_text
from dlrun.data.values import memory_bytes, show_bytes
from dlrun.errors import DataError


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
        with pyarrow.parquet.ParquetFile(path) as file:
            facts = file.metadata
            _check_size(facts.num_rows * facts.num_columns * 8, name)
            arrow = file.read()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{name} is not readable as a Parquet file ({reason.rstrip('.')}); write it with pandas' to_parquet."
        ) from None
    names = list(arrow.column_names)
    if len(set(names)) < len(names):
        twice = next(field for field in names if names.count(field) > 1)
        raise DataError(f"{name}: the name {twice!r} stands over more than one column; make names unique.")
    if not arrow.num_rows or not names:
        raise DataError(f"{name} holds no rows; at least 2 are needed.")
    columns: dict[str, Column] = {}
    unusable: dict[str, str] = {}
    for field in names:
        values = _column(pyarrow, arrow.column(field))
        if values is None:
            unusable[field] = f"it is of type {arrow.schema.field(field).type}, no number, boolean or text"
        else:
            columns[field] = values
    numbers = np.arange(1, arrow.num_rows + 1, dtype=np.int64)
    return check_numbers(Table(name, columns, numbers, "row", unusable=unusable))


def _check_size(size: int, name: str) -> None:
    if size > memory_bytes():
        raise DataError(
            f"{name} takes {show_bytes(size)} as numbers, more than this machine's "
            f"{show_bytes(memory_bytes())}; take fewer rows or columns."
        )


def _column(pyarrow: Any, values: Any) -> Column | None:
    """float64 or object texts; None for another type."""
    types, kind = pyarrow.types, values.type
    if types.is_dictionary(kind):
        kind = kind.value_type
        values = values.cast(kind)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = values.cast(pyarrow.float64(), safe=False).to_numpy()
        return np.array(numbers, dtype=np.float64)
    if types.is_boolean(kind):
        words = {None: None, False: "false", True: "true"}
        return np.array([words[value] for value in values.to_pylist()], dtype=object)
    if types.is_string(kind) or types.is_large_string(kind):
        return clean_text(values.to_pylist())
    if types.is_null(kind):
        return np.full(len(values), np.nan)
    return None
