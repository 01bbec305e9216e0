"""A run's figures as tables, by the command that made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlrun.reporting.plots.source import Source
from dlrun.reporting.report_figures import baseline_of, between, number, warnings_told
from dlrun.reporting.resampling_report import bootstrap_table, interval_methods, scheme_text
from dlrun.reporting.tables import Column, Table
from dlrun.reporting.train_report import ERROR_NAMES, shown


def figures_tables(source: Source) -> list[Table]:
    """The figures of a run as tables, by its command; of a command that is not known, its numbers as they are."""
    summary = source.summary
    make = {
        "train": _train,
        "crossval": _folds,
        "holdout": _folds,
        "bootstrap": _bootstrap,
        "tune": _tune,
        "gradcheck": _gradcheck,
        "diagnose": _diagnose,
    }.get(source.command)
    try:
        tables = make(source) if make is not None else []
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        tables = []  # a summary of another version: better its plain numbers than no page
    return tables or [_plain(summary)]


# -- by command ------------------------------------------------------------------------------------


def _train(source: Source) -> list[Table]:
    from dlrun.reporting.train_report import train_table

    if not source.summary.get("figures"):
        return []
    table = train_table(source.summary, Path(source.path))
    table.title = "Figures"
    return [_without(table, source.summary)]


def _folds(source: Source) -> list[Table]:
    """The estimate beside the baseline's."""
    summary = source.summary
    model, other = summary["error"], summary["baseline"]["error"]
    kind, _ = baseline_of(summary)
    table = Table(
        title=f"Error: {scheme_text(summary['scheme'])}",
        columns=[
            _error_name(summary),
            Column(str(summary["model"]), "right"),
            Column(kind, "right"),
        ],
    )
    for name, key in (("mean", "mean"), ("standard deviation", "std"), ("pooled over predictions", "pooled")):
        table.add(name, *(_rounded(number(each.get(key))) for each in (model, other)))
    table.add("interval", *(between(number(each["ci_low"]), number(each["ci_high"])) for each in (model, other)))
    if summary.get("interval"):
        table.footnotes.append(f"Interval of {100 * summary['confidence']:g} %: {interval_methods(summary)}.")
    return [table]


def _rounded(value: float | None) -> float | None:
    """Without the last digits, in which the spread of equal numbers is not quite 0."""
    return None if value is None else shown(round(value, 12))


def _bootstrap(source: Source) -> list[Table]:
    return [_without(bootstrap_table(source.summary, Path(source.path)), source.summary)]


def _without(table: Table, summary: Mapping[str, Any]) -> Table:
    """A command's own table without the notes that stand elsewhere on the page."""
    told = {each.rstrip(".").lower() for each in warnings_told(summary)}
    table.footnotes = [
        note
        for note in table.footnotes
        if not note.startswith(("Files:", "Warning:", "The model does not beat"))
        and note.rstrip(".").lower() not in told
    ]
    return table


def _tune(source: Source) -> list[Table]:
    from dlrun.reporting.tune_report import tune_tables

    return [_without(table, source.summary) for table in tune_tables(source.summary, Path(source.path))]


def _gradcheck(source: Source) -> list[Table]:
    numbers = ("components", "relative difference", "analytic", "numerical")
    table = Table(
        title="Gradient check",
        columns=["parameter", "verdict", *(Column(c, "right") for c in numbers), "worst component"],
    )
    for name, each in source.summary["by_parameter"].items():
        relative = number(each["relative_difference"])
        table.add(
            name,
            each["verdict"],
            each["components"],
            None if relative is None else f"{relative:.2e}",
            number(each["analytic"]),
            number(each["numerical"]),
            each["worst_component"],
        )
    overall = number(source.summary["relative_difference"])
    table.footnotes.append(f"Overall: {source.summary['verdict']}, relative difference {overall or 0:.2e}.")
    return [table]


def _diagnose(source: Source) -> list[Table]:
    """Errors and gaps with the verdict, the layers' sentences, and what to try next."""
    summary = source.summary
    found = []
    if "errors" in summary:
        errors = Table(title="Errors", columns=["part", Column("rows", "right"), Column(_error_name(summary), "right")])
        for part, each in summary["errors"].items():
            errors.add(part, each["rows"], shown(each["error"]))
        gaps = Table(
            title=f"It suffers from: {summary['verdict']}",
            columns=["gap", Column("size", "right"), Column("95 % interval", "right"), "large", "certain"],
        )
        for name, each in summary["gaps"].items():
            ends = between(number(each["ci_low"]), number(each["ci_high"]))
            gaps.add(name, shown(number(each["value"])), ends, each["large"], each["certain"])
        gaps.footnotes += [str(each["sentence"]) for each in summary.get("curve") or [] if "sentence" in each]
        found += [errors, gaps]
    networks = summary.get("initializations") or ([summary["layers"]] if summary.get("layers") else [])
    if networks:
        layers = Table(title="Layer by layer", columns=["network", "verdict", "why"])
        for each in networks:
            layers.add(each["name"], each["verdict"], each["sentence"].removeprefix(f"{each['name']}: "))
        found.append(layers)
    if summary.get("next_steps"):
        steps = Table(title="What to try next", columns=["against", "what", "set"])
        for each in summary["next_steps"]:
            steps.add(each["against"], each["what"], " ".join(each["set"]) or None)
        found.append(steps)
    return found


KNOWN = ("versions", "seconds", "seed", "threads", "data_hash", "split_hash", "device", "command", "name", "warnings")


def _plain(summary: Mapping[str, Any]) -> Table:
    """All numbers and short texts of a summary, as path and value."""
    table = Table(title="Figures", columns=["what", "value"])
    rest = {key: value for key, value in summary.items() if key not in KNOWN}
    for path, value in _leaves(rest):
        table.add(path, value)
    return table


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [leaf for key, each in value.items() for leaf in _leaves(each, f"{path} / {key}" if path else str(key))]
    if isinstance(value, list):
        text = json.dumps(value, ensure_ascii=False)
        return [(path, text if len(text) <= 200 else f"{text[:199]}…")]
    return [] if value is None else [(path, value)]


def _error_name(summary: Mapping[str, Any]) -> str:
    return ERROR_NAMES.get(str(summary.get("task")), "error")
