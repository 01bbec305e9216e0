"""In place of a run's folder, for a run that is not kept: its tables stay in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class MemoryTable:
    """Rows that would have gone to a CSV file."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self.rows: list[Sequence[Any]] = []

    def write_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Keep these rows."""
        self.rows.extend(rows)

    @property
    def mark(self) -> tuple[int, str]:
        """There is no file to go on with."""
        return 0, ""

    def close(self) -> None:
        pass


class Unkept:
    """Takes tables as `RunFolder` does."""

    def __init__(self) -> None:
        self.tables: dict[str, MemoryTable] = {}

    def csv(self, name: str, columns: Sequence[str], *, append: bool = False) -> MemoryTable:
        """An empty table."""
        return self.tables.setdefault(name, MemoryTable(columns))
