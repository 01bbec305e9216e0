"""Parquet, through pyarrow (the extra `dlrun[parquet]`).

What the file declares (rows, columns, sizes of its pages) is checked before anything is read. Texts are read as
the dictionaries that the file holds: a long text in many rows takes its memory once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
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
    stored = ParquetPieces(path, name)
    with stored.opened(memory_map=True) as (pyarrow, file):
        stored.check(file)
        arrow = file.read(columns=stored.usable)
        columns = {field: _column(pyarrow, arrow.column(field), path, name) for field in stored.usable}
    return check_numbers(
        Table(name, columns, np.arange(1, stored.rows + 1, dtype=np.int64), "row", None, stored.unusable)
    )


@dataclass(frozen=True)
class ParquetPieces:
    """A Parquet file, read some rows at a time (`StoredTable`). DataError for what is no table."""

    path: Path
    name: str
    piece_values: int = 1 << 20

    @contextmanager
    def opened(self, *, memory_map: bool = False) -> Iterator[tuple[Any, Any]]:
        """pyarrow and the open file; its errors, as long as it is open, become DataErrors."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise DataError(
                f'{self.name}: reading Parquet needs pyarrow; install it with: pip install "dlrun[parquet]"'
            ) from None
        try:
            with pyarrow.parquet.ParquetFile(self.path, memory_map=memory_map) as file:
                texts = [field.name for field in file.schema_arrow if _is_text(pyarrow, field.type)]
            how = {"memory_map": memory_map, "read_dictionary": texts, "pre_buffer": memory_map}
            with pyarrow.parquet.ParquetFile(self.path, **how) as file:
                yield pyarrow, file
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(
                f"{self.name} is not readable as a Parquet file ({reason}); write it with pandas' to_parquet."
            ) from None

    def check(self, file: Any) -> None:
        """Refuse what would not fit the memory as a whole."""
        _check_size(self.path, file, self.usable, self.name)

    @cached_property
    def _facts(self) -> tuple[int, dict[str, tuple[str, bool]], dict[str, str]]:
        """Rows; of each usable column its kind and whether float32 holds it; why others are unusable."""
        with self.opened() as (pyarrow, file):
            schema, rows = file.schema_arrow, int(file.metadata.num_rows)
        names = list(schema.names)
        if len(set(names)) < len(names):
            twice = next(field for field in names if names.count(field) > 1)
            raise DataError(f"{self.name}: the name {twice!r} stands over more than one column; make names unique.")
        if not rows or not names:
            raise DataError(f"{self.name} holds no rows; at least 2 are needed.")
        usable, unusable = {}, {}
        for field in schema:
            if _is_usable(pyarrow, field.type):
                usable[field.name] = (_kind(pyarrow, field.type), _is_narrow(pyarrow, field.type))
            else:
                unusable[field.name] = f"it is of type {field.type}, no number, boolean or text"
        return rows, usable, unusable

    @cached_property
    def _checked(self) -> bool:
        """The whole need not fit the memory; what unfolds to hundreds of times its size is refused all the same."""
        with self.opened() as (_, file):
            _check_size(self.path, file, self.usable, self.name, 1 << 62)
        return True

    @property
    def rows(self) -> int:
        return self._facts[0]

    @property
    def usable(self) -> list[str]:
        """The columns that can be read."""
        return list(self._facts[1])

    @property
    def unusable(self) -> dict[str, str]:
        """Why the others cannot."""
        return self._facts[2]

    @cached_property
    def head(self) -> Table:
        columns = {name: np.empty(0, kind) for name, (kind, _) in self._facts[1].items()}
        return Table(self.name, columns, np.empty(0, np.int64), "row", None, self.unusable)

    def narrow(self, names: Sequence[str]) -> bool:
        return all(self._facts[1][name][1] for name in names)

    def row_file(self) -> None:
        """A Parquet file holds its numbers by column."""

    def pieces(self, names: Sequence[str] | None = None) -> Iterator[Table]:
        wanted = self.usable if names is None else list(names)
        height = max(1, self.piece_values // max(1, len(wanted)))
        start = 0
        assert self._checked
        with self.opened() as (pyarrow, file):
            for batch in file.iter_batches(height, columns=wanted, use_threads=False):
                table = pyarrow.Table.from_batches([batch])
                columns = {name: _column(pyarrow, table.column(name), self.path, self.name) for name in wanted}
                numbers = np.arange(start + 1, start + batch.num_rows + 1, dtype=np.int64)
                yield check_numbers(Table(self.name, columns, numbers))
                start += batch.num_rows
        if start != self.rows:
            raise DataError(f"{self.name} declares {self.rows} rows and holds {start}; write it again.")


def _check_size(path: Path, file: Any, usable: list[str], name: str, limit: int | None = None) -> None:
    """What the values take as numbers, or what the pages unfold to, whichever is more."""
    facts, stored = file.metadata, path.stat().st_size
    if facts.num_rows < 0:
        raise ValueError(f"it declares {facts.num_rows} rows")
    declared = facts.num_rows * max(len(usable), 1) * 8
    refuse_size(name, declared=declared, stored=stored, limit=limit, remedy=_REMEDY)
    refuse_size(name, declared=page_bytes(path, facts), stored=stored, limit=limit, remedy=_REMEDY)


def _is_text(pyarrow: Any, kind: Any) -> bool:
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _is_usable(pyarrow: Any, kind: Any) -> bool:
    """Numbers, booleans, texts, dictionaries of these, and columns without any value."""
    types = pyarrow.types
    if types.is_dictionary(kind):
        return _is_usable(pyarrow, kind.value_type)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return bool(number or types.is_boolean(kind) or _is_text(pyarrow, kind) or types.is_null(kind))


def _kind(pyarrow: Any, kind: Any) -> str:
    """The type of a column's array: float64, or texts."""
    types = pyarrow.types
    if types.is_dictionary(kind):
        return _kind(pyarrow, kind.value_type)
    return "object" if types.is_boolean(kind) or _is_text(pyarrow, kind) else "float64"


def _is_narrow(pyarrow: Any, kind: Any) -> bool:
    """Whether float32 holds all that a column of this type becomes; texts become 0 and 1."""
    types = pyarrow.types
    wide = types.is_float64(kind) or types.is_decimal(kind) or types.is_dictionary(kind)
    return not wide and not (types.is_integer(kind) and kind.bit_width > 16)


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
    size, stored = 0, path.stat().st_size
    for chunk in values.chunks:
        known = np.append(clean_text(chunk.dictionary.to_pylist()), np.array([None], dtype=object))
        codes = chunk.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
        lengths = np.array([len(text or "") for text in known])
        size += int(np.bincount(codes, minlength=len(known)) @ lengths)
        refuse_size(name, declared=size, stored=stored, remedy=_REMEDY)
        parts.append(known[codes])
    return np.concatenate(parts) if parts else np.empty(0, dtype=object)
