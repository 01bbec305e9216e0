"""What workflows return: plain values, pandas frames where they are asked for, and the tables of the command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.runs.unkept import Unkept

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.reporting.tables import Table
    from dlrun.runs.folder import RunFolder

Rows = Iterable[Sequence[Any]]
Files = Mapping[str, tuple[Sequence[str], Callable[[], Rows]]]  # a CSV file's name → its columns and its rows


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """What a command found.

    summary   all figures, as `summary.json` has them
    folder    where the run is kept; None where nothing was written
    files     the tables of the run, as its CSV files have them
    """

    summary: Mapping[str, Any]
    folder: Path | None = None
    files: Files = field(default_factory=dict)
    shown: Callable[[], Sequence[Table | str]] = field(default=tuple, repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """The one object that the command prints with --json."""
        return {**self.summary, "folder": None if self.folder is None else str(self.folder)}

    @cached_property
    def tables(self) -> Sequence[Table | str]:
        """What the command shows."""
        return self.shown()

    def frame(self, name: str) -> pd.DataFrame:
        """The table that a run keeps as this CSV file. KeyError where it has none of this name."""
        import pandas as pd

        if name in self.files:
            columns, rows = self.files[name]
            found = pd.DataFrame.from_records([tuple(row) for row in rows()], columns=list(columns))
            return found.where(found.notna(), float("nan")).infer_objects()  # an empty field, as pandas reads one
        if self.folder is not None and (self.folder / name).is_file():  # of a run that had ended before
            return pd.read_csv(self.folder / name)
        raise KeyError(f"{name}: this result has {', '.join(self.files) or 'no tables'}")

    def __str__(self) -> str:
        from dlrun.reporting.tables import render_plain

        return "\n\n".join(part if isinstance(part, str) else render_plain(part) for part in self.tables)

    def _repr_html_(self) -> str:
        from dlrun.reporting.report_html import html_table, tag

        return "".join(tag("pre", part) if isinstance(part, str) else html_table(part) for part in self.tables)


def unkept_files(folder: RunFolder | Unkept) -> Files:
    """The tables of a run that is not kept; those of one that is are read from its folder."""
    tables = folder.tables if isinstance(folder, Unkept) else {}
    return {name: (table.columns, table.rows.copy) for name, table in tables.items()}


@dataclass(frozen=True)
class Estimate:
    """An error or another figure, with its spread over the folds and its interval."""

    mean: float
    std: float | None
    ci_low: float | None
    ci_high: float | None
    pooled: float | None

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The lower and the upper end."""
        return self.ci_low, self.ci_high

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Estimate:
        return cls(*(found[key] for key in ("mean", "std", "ci_low", "ci_high", "pooled")))
