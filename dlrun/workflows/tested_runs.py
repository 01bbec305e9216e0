"""Runs of `crossval`, `holdout` and `bootstrap` read back from their folders, to be compared."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.reporting.plots.source import Source, open_source
from dlrun.resampling.comparison import RunLosses
from dlrun.resampling.estimates import row_losses

# Command → the table with a row per division, and its columns of training rows and of test rows.
DIVISIONS = {
    "crossval": ("folds.csv", "n_train", "n_test"),
    "holdout": ("folds.csv", "n_train", "n_test"),
    "bootstrap": ("replicates.csv", "n_unique", "n_oob"),
}


@dataclass(frozen=True, eq=False)
class TestedRun:
    """A run's losses, and the rows and targets that they belong to, by which damage shows."""

    folder: Path
    summary: dict[str, Any]
    losses: RunLosses
    rows: npt.NDArray[np.float64]
    targets: npt.NDArray[np.str_]


def read_runs(folders: Sequence[Path], *, check: bool = True) -> list[TestedRun]:
    """The runs, each called by its experiment's name where the names differ, else by its folder.

    RunError for a folder that holds no such run, or a damaged one.
    """
    sources = [_open(folder, check) for folder in folders]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise RunError("the same run is given twice; a comparison needs different ones")
    names = [source.title for source in sources]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    runs = [_read(source, name) for source, name in zip(sources, names, strict=True)]
    for run in runs[1:]:
        _check_rows(runs[0], run)
    return runs


def _open(folder: Path, check: bool) -> Source:
    if folder.is_file():
        raise RunError(f"{folder}: is a file; should be the folder of a run")
    source = open_source(folder, check=check)
    if source.command not in DIVISIONS:
        what = f"a run of `dlrun {source.command}`" if source.command else "a summary of no known command"
        raise RunError(f"{folder}: {what}; should be one of `dlrun {'`, `dlrun '.join(DIVISIONS)}`")
    for key in ("task", "data_hash", "split_hash"):
        if not isinstance(source.summary.get(key), str):
            raise RunError(f"{folder / 'summary.json'}: damaged: there is no {key!r} in it")
    if source.summary["task"] not in ("classification", "regression"):
        raise RunError(f"{folder / 'summary.json'}: damaged: its task is {source.summary['task']!r}")
    if source.summary.get("status") == "diverged":
        raise RunError(f"{folder}: in this run every model diverged, or the one on all rows; there is no error of it")
    return source


def _read(source: Source, name: str) -> TestedRun:
    table, train, test = DIVISIONS[source.command]
    divisions, answers = source.table(table), source.table("predictions.csv")
    rows, targets = answers.numbers("row"), answers.text("target")
    first = answers.numbers("repeat") >= (1 if source.command == "bootstrap" else 0)  # 0 is the fit on all rows
    losses = _losses(source, answers.text("prediction"), targets)[first]
    sizes = divisions.numbers(test)
    if not np.isfinite(sizes).all() or sizes.sum() != len(losses):
        raise RunError(
            f"{answers.path}: damaged: {len(losses)} predictions, where {divisions.path.name} tells of {sizes.sum():g}"
        )
    place = [answers.numbers(key)[first] for key in ("repeat", "fold")]
    if (np.diff(place[0] * (place[1].max(initial=0) + 1) + place[1]) < 0).any():
        raise RunError(f"{answers.path}: damaged: its rows are not in the order of repeats and folds")
    ends = np.cumsum(sizes).astype(np.int64)
    return TestedRun(
        folder=source.path,
        summary=dict(source.summary),
        losses=RunLosses(
            name=name,
            task=source.summary["task"],
            data_hash=source.summary["data_hash"],
            split_hash=source.summary["split_hash"],
            n_train=divisions.numbers(train).astype(np.int64),
            losses=tuple(np.split(losses, ends[:-1])),
        ),
        rows=rows[first],
        targets=targets[first],
    )


def _losses(source: Source, predicted: npt.NDArray[np.str_], targets: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
    """NaN where there is no prediction."""
    if source.summary["task"] == "classification":
        return np.where(predicted == "", np.nan, (predicted != targets).astype(np.float64))
    answers = source.table("predictions.csv")
    return row_losses(answers.numbers("target"), answers.numbers("prediction"), task="regression")


def _check_rows(a: TestedRun, b: TestedRun) -> None:
    """Equal hashes promise equal rows and targets; files that break the promise were changed."""
    if a.losses.task != b.losses.task or a.losses.data_hash != b.losses.data_hash:
        return  # the comparison says so
    if a.losses.split_hash != b.losses.split_hash:
        raise RunError(
            f"{a.losses.name} and {b.losses.name} were tested on different splits ({_differences(a, b)}), so that "
            f"their errors cannot be paired; this tests the second on the splits of the first: {_again_as(a, b)}"
        )
    if not (np.array_equal(a.rows, b.rows) and np.array_equal(a.targets, b.targets)):
        raise RunError(
            f"{a.folder} and {b.folder}: their predictions.csv are not of the same rows and targets, though their "
            "summaries say so; one of them was changed"
        )


def _differences(a: TestedRun, b: TestedRun) -> str:
    """What was asked for otherwise, by the summaries."""
    settings = [
        {"command": run.summary.get("command"), "seed": run.summary.get("seed"), **_scheme(run)} for run in (a, b)
    ]
    keys = [key for key in dict.fromkeys([*settings[0], *settings[1]]) if key != "kind"]
    differing = [
        f"{key} {_shown(each[0])} and {_shown(each[1])}"
        for key in keys
        if len(set(each := [x.get(key) for x in settings])) > 1 and None not in each
    ]
    return ", ".join(differing) or "by their hashes"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _scheme(run: TestedRun) -> dict[str, Any]:
    scheme = run.summary.get("scheme")
    return scheme if isinstance(scheme, dict) else {}


def _again_as(a: TestedRun, b: TestedRun) -> str:
    """The command that runs b's experiment on a's splits."""
    words = [str(b.folder / "config.toml") if word == "config.toml" else word for word in _words(a)]
    words += ["--seed", str(a.summary.get("seed"))]
    if "--leave-one-out" not in words:
        words.append("--stratify" if _scheme(a).get("stratify") else "--no-stratify")
    if _scheme(a).get("groups") != _scheme(b).get("groups"):
        words += ["--set", f"data.group={_scheme(a).get('groups') or ''}"]
    return shlex.join(words)


def _words(run: TestedRun) -> list[str]:
    """The command that does the run again."""
    return shlex.split(str(run.summary.get("again") or f"dlrun {run.summary.get('command')} config.toml"))
