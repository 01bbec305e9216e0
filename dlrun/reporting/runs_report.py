"""The table of runs, and what `--where` and `--sort` make of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from dlrun.errors import ConfigError
from dlrun.records import counted, four_digits
from dlrun.reporting.tables import Column, Table
from dlrun.runs.listing import COLUMNS, ListedRun, differing

MOST_SETTINGS = 5  # columns of settings in the table; more are in the CSV file


def where(runs: Sequence[ListedRun], conditions: Sequence[str]) -> list[ListedRun]:
    """The runs that meet all of KEY=VALUE, a column's text or a setting's. ConfigError for a key that none has."""
    kept = list(runs)
    for condition in conditions:
        key, equals, text = (part.strip() for part in condition.partition("="))
        if not equals:
            raise ConfigError(f"--where {condition}: should be KEY=VALUE, such as model.hidden=[] or status=finished")
        _known(key, runs, "--where")
        if key in COLUMNS:
            kept = [run for run in kept if str(run.value(key)) == text]
        else:
            from dlrun.config.keys import value_text
            from dlrun.config.overrides import parse_override

            wanted = {text, value_text(parse_override(condition).value)}
            kept = [run for run in kept if run.value(key) in wanted]
    return kept


def ordered(runs: Sequence[ListedRun], column: str | None) -> list[ListedRun]:
    """By a column or a setting, downwards with a minus before it; runs that have none come last."""
    if column is None:
        return list(runs)
    down, key = column.startswith("-"), column.removeprefix("-")
    _known(key, runs, "--sort")
    with_it = [run for run in runs if run.value(key) is not None]
    without = [run for run in runs if run.value(key) is None]
    return [*sorted(with_it, key=lambda run: _order(run.value(key)), reverse=down), *without]


def _known(key: str, runs: Sequence[ListedRun], option: str) -> None:
    if key in COLUMNS or not runs or any(key in run.settings for run in runs):
        return
    raise ConfigError(
        f"{option} {key}: no run here has it; should be one of {', '.join(COLUMNS)}, or a key of the "
        "experiment such as model.hidden"
    )


def _order(value: Any) -> tuple[int, float, str]:
    try:
        return (0, float(value), "")
    except (TypeError, ValueError):
        return (1, 0.0, str(value))


def runs_table(runs: Sequence[ListedRun], folder: Path, *, left_out: int = 0) -> Table:
    """A row for each run, with the settings in which they differ."""
    keys = differing(runs)
    shown = keys[:MOST_SETTINGS]
    if "data.source" in shown:
        shown.remove("data.source")  # which has a column
    several = len({run.data for run in runs}) > 1
    columns: list[Column | str] = ["run", "command", "when", "status", *(["data"] if several else []), *shown]
    columns += [Column("error", "right"), Column("interval", "right"), Column("seconds", "right")]
    table = Table(title=f"{counted(len(runs), 'run')} in {folder}", columns=columns)
    for run in runs:
        interval = None if run.low is None or run.high is None else f"{four_digits(run.low)} to {four_digits(run.high)}"
        table.add(
            _below(run.folder, folder),
            run.command or None,
            _time(run.when, "minutes").replace("T", " "),
            run.status,
            *([run.data or None] if several else []),
            *(run.settings.get(key) for key in shown),
            None if run.error is None else four_digits(run.error),
            interval,
            None if run.seconds is None else f"{run.seconds:.2f}",
        )
    if len(keys) > len(shown) + several:
        rest = [key for key in keys if key not in shown and key != "data.source"]
        table.footnotes.append(f"They differ too in {', '.join(rest)}: --csv has them all")
    if left_out:
        table.footnotes.append(f"{left_out} more, left out by --limit")
    return table


def _below(path: Path, folder: Path) -> str:
    return str(path).removeprefix(f"{folder}{os.sep}")


def _time(when: float, digits: str) -> str:
    """Local time in ISO 8601; empty for one that no calendar has, as a file's may be."""
    try:
        return datetime.fromtimestamp(when).isoformat(timespec=digits)
    except (ValueError, OverflowError, OSError):
        return ""


def runs_columns(runs: Sequence[ListedRun]) -> list[str]:
    """The columns of the CSV file: those of every run, then the settings in which they differ."""
    return [*COLUMNS, *(key for key in differing(runs) if key not in COLUMNS)]


def run_cells(run: ListedRun, columns: Sequence[str]) -> list[Any]:
    """A row of it; the time in ISO 8601."""
    plain = {"when": _time(run.when, "seconds"), "folder": str(run.folder)}
    return [plain.get(column, run.value(column)) for column in columns]
