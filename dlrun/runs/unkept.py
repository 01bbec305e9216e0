"""In place of a run's folder, for a run that is not kept: its tables stay in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self


class MemoryTable:
    """Rows that would have gone to a CSV file."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self.rows: list[Sequence[Any]] = []

    def write(self, *cells: Any) -> None:
        """Keep this row."""
        self.rows.append(cells)

    def write_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Keep these rows."""
        self.rows.extend(rows)

    @property
    def mark(self) -> tuple[int, str]:
        """There is no file to go on with."""
        return 0, ""

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class Unkept:
    """Takes tables as `RunFolder` does."""

    path: None = None

    def __init__(self) -> None:
        self.tables: dict[str, MemoryTable] = {}

    def write_text(self, name: str, text: str) -> None:
        """Nothing is written."""

    def write_summary(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The summary, as it is."""
        return dict(data)

    def csv(self, name: str, columns: Sequence[str], *, append: bool = False) -> MemoryTable:
        """An empty table."""
        return self.tables.setdefault(name, MemoryTable(columns))
