"""The verdict of `dlrun compare` for runs in their folders, from the predictions that they left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlrun.errors import RunError
from dlrun.reporting.plots.source import Source
from dlrun.resampling.comparison import RunLosses, compare_all
from dlrun.resampling.estimates import Task

COMMANDS = ("crossval", "holdout")


def verdicts(sources: Sequence[Source]) -> list[str]:
    """A sentence for each pair of runs. RunError where their splits differ, or they keep no predictions."""
    pairs = compare_all([losses_of(source) for source in sources])
    warnings = dict.fromkeys(warning for pair in pairs for warning in pair.warnings)
    return [*(pair.verdict for pair in pairs), *warnings]


def losses_of(source: Source) -> RunLosses:
    """The loss of every test row, fold by fold: 0 or 1 for classes, the squared error for numbers."""
    if source.command not in COMMANDS:
        raise RunError(f"{source.called} is a run of `dlrun {source.command}`, which leaves no errors of folds to pair")
    summary, answers, folds = source.summary, source.table("predictions.csv"), source.table("folds.csv")
    if summary.get("task") not in ("classification", "regression"):
        raise RunError(f"{source.path}: summary.json does not tell the task")
    task: Task = summary["task"]
    if task == "classification":
        losses = (answers.text("target") != answers.text("prediction")).astype(np.float64)
        losses[answers.text("prediction") == ""] = np.nan
    else:
        losses = (answers.numbers("target") - answers.numbers("prediction")) ** 2
    place = np.stack([answers.numbers("repeat"), answers.numbers("fold")], axis=1)
    each = np.stack([folds.numbers("repeat"), folds.numbers("fold")], axis=1)
    rows = answers.numbers("row")
    parts = []
    for division in each:
        chosen = np.flatnonzero((place == division).all(axis=1))
        parts.append(losses[chosen[np.argsort(rows[chosen], kind="stable")]])
    return RunLosses(
        name=source.called,
        task=task,
        data_hash=str(summary.get("data_hash")),
        split_hash=str(summary.get("split_hash")),
        n_train=folds.numbers("n_train").astype(np.int64),
        losses=tuple(parts),
    )
