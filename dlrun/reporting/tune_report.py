"""What is said about a search: `trials.csv`, the best trials, what mattered, and how far to trust the best score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.config.keys import value_text
from dlrun.records import counted
from dlrun.reporting.tables import Column, Table
from dlrun.reporting.train_report import ERROR_NAMES, figure, kept_in, shown
from dlrun.tuning.trials import Trial

TOP = 10
SHOWN_FAILURES = 3


def trial_columns(keys: Sequence[str]) -> list[str]:
    """The header of `trials.csv`."""
    return ["trial", "status", "score", "epochs", *keys, "cost", "round", "reason"]


def trial_rows(keys: Sequence[str], trials: Iterable[Trial]) -> list[list[Any]]:
    """A row per trial; lists are written as TOML has them, what a trial lacks is left empty."""
    return [
        [
            trial.number,
            trial.status,
            trial.score,
            trial.epochs,
            *(cell(trial.values.get(key)) for key in keys),
            trial.cost,
            trial.round,
            trial.reason or None,
        ]
        for trial in trials
    ]


def cell(value: Any) -> Any:
    """A value of a key for a CSV cell."""
    return value_text(value) if isinstance(value, list | tuple | dict) else value


def trial_json(trial: Trial) -> dict[str, Any]:
    """A trial as `summary.json` has it."""
    return {
        "trial": trial.number,
        "round": trial.round,
        "status": trial.status,
        "score": trial.score,
        "cost": trial.cost,
        "epochs": trial.epochs,
        "values": {key: list(value) if isinstance(value, tuple) else value for key, value in trial.values.items()},
    }


def tune_tables(summary: Mapping[str, Any], folder: Path | None) -> list[Table]:
    """The best trials with the verdict below, the importance of each key, and the rounds and outer folds there were."""
    tables = [_top(summary)]
    if summary["importance"]:
        tables.append(_importance(summary["importance"]))
    if summary["rounds"]:
        tables.append(_rounds(summary["rounds"]))
    tables[-1].footnotes += [*verdict(summary), *kept_in(folder)]
    return tables


def _top(summary: Mapping[str, Any]) -> Table:
    error = ERROR_NAMES[summary["task"]]
    scored = "dev" if summary["scored_by"]["scheme"] == "holdout" else f"{summary['scored_by']['folds']}-fold"
    keys = list(summary["space"])
    heads = ["trial", f"{scored} {error}", "cost", "epochs", *keys]
    table = Table(
        title=f"{summary['name']}: the best of {counted(summary['trials'], 'trial')} ({summary['sampler']})",
        columns=[Column(name, "right") for name in heads],
    )
    for each in summary["top"]:
        cells = [_brief(each["values"].get(key)) for key in keys]
        table.add(each["trial"], shown(each["score"]), shown(each["cost"]), each["epochs"], *cells)
    return table


def _brief(value: Any) -> Any:
    if isinstance(value, list | tuple | dict):
        return value_text(value)
    return shown(value) if isinstance(value, float) else value


def _importance(found: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(
        title="What mattered (share of the differences between ranks that a key explains by itself)",
        columns=["key", Column("importance", "right"), Column("p", "right"), "better"],
    )
    for each in found:
        trend = each["trend"]
        better = None if trend is None or abs(trend) < 0.3 else ("larger" if trend < 0 else "smaller")
        table.add(each["key"], f"{100 * each['importance']:.0f} %", f"{each['p']:.3f}", better)
    return table


def _rounds(rounds: Sequence[Mapping[str, Any]]) -> Table:
    keys = list(rounds[0]["box"])
    table = Table(title="Rounds", columns=[Column("round", "right"), "trials", *keys, "why"])
    for each in rounds:
        boxes = [_box(each["box"][key]) for key in keys]
        table.add(each["round"], f"{each['first']} to {each['last']}", *boxes, each["reason"])
    return table


def _box(bounds: Sequence[Any]) -> str:
    if len(bounds) == 2 and all(isinstance(b, int | float) for b in bounds):
        return f"{figure(bounds[0])} to {figure(bounds[1])}"
    return ", ".join(value_text(bound) for bound in bounds)


# -- sentences ---------------------------------------------------------------------------------


def verdict(summary: Mapping[str, Any]) -> list[str]:
    """Sentences below the tables: how far to trust the best score, what was lost or saved, what to look at."""
    lines = [*_trust(summary), *_nested(summary), *_halving(summary), *_losses(summary)]
    lines += [f"Warning: {warning}." for warning in summary["warnings"]]
    stacks = summary["stacks"]
    if stacks["count"]:
        lines.append(
            f"{counted(stacks['replicas'], 'model')} in {counted(stacks['count'], 'stack')}, "
            f"{summary['seconds']:.2f} s on the {summary['device']}."
        )
    return lines


def _trust(summary: Mapping[str, Any]) -> list[str]:
    best, error = summary["best"], ERROR_NAMES[summary["task"]]
    if best is None:
        return []
    baseline = summary["baseline"]
    lines = [
        f"The best: trial {best['trial']}, {error} {figure(best['score'])}; "
        f"the {baseline['kind']} baseline has {figure(baseline['error'])}."
    ]
    if best["score"] >= baseline["error"]:
        lines.append("No trial beats the baseline.")
    chosen = f"The best score was chosen among {counted(summary['trials'], 'trial')} on the rows that it is measured on"
    if summary["optimism"] is not None:
        lines.append(
            f"{chosen}, and flatters: about {figure(summary['optimism']['bias'])} has to be added, "
            f"which gives {figure(summary['optimism']['corrected'])} (Tibshirani and Tibshirani's correction)."
        )
    elif summary["nested"] is None:
        lines.append(f"{chosen}, and flatters.")
    if summary["test"] is not None:
        test = summary["test"]
        lines.append(
            f"On the {counted(test['rows'], 'test row')}, which the search never saw, the best has {error} "
            f"{figure(test['error'])}."
        )
    elif summary["nested"] is None:
        lines.append("There is no test part that could say how good it is; --outer-folds 5 estimates that.")
    return lines


def _nested(summary: Mapping[str, Any]) -> list[str]:
    nested = summary["nested"]
    if nested is None:
        return []
    e = nested["error"]
    between = ""
    if e["ci_low"] is not None:
        between = f", 95 % interval {figure(e['ci_low'])} to {figure(e['ci_high'])}"
    return [
        f"Nested: a model tuned like this errs {figure(e['mean'])} on rows that its search did not see "
        f"({nested['folds']} outer folds{between}); the searches' own best scores were {figure(nested['inner'])} "
        f"on average (optimism {figure(nested['optimism'])})."
    ]


def _halving(summary: Mapping[str, Any]) -> list[str]:
    halving = summary["halving"]
    if halving is None:
        return []
    return [
        f"Halving: {halving['trained']} of {counted(halving['planned'], 'epoch')} were trained, "
        f"{100 * halving['saved_share']:.0f} % were saved by pruning {counted(halving['pruned'], 'trial')}."
    ]


def _losses(summary: Mapping[str, Any]) -> list[str]:
    lines = []
    for status in ("diverged", "failed"):
        count = summary["counts"].get(status, 0)
        if count:
            lines.append(f"{count} of {counted(summary['trials'], 'trial')} {status}; trials.csv says why.")
    return lines
