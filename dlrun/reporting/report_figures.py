"""What a report says of a run in figures: its error beside the baseline's, and what there is to warn of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.reporting.plots.source import Source
from dlrun.reporting.resampling_report import bootstrap_table, scheme_text
from dlrun.reporting.tables import Column, Table
from dlrun.reporting.train_report import ERROR_NAMES, PARTS, shown


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The one figure to compare runs by, where there is one: an error on rows that the model did not see."""

    measured: str
    error: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    baseline_kind: str = "baseline"


def headline(source: Source) -> Headline:
    """The error that the run is about: of the test part, the folds, the .632+ estimate, or the best trial."""
    summary = source.summary
    kind, other = _baseline(summary)
    if source.command == "train":
        figures = _mapping(summary.get("figures"))
        part = next((part for part in PARTS if part in figures), None)
        if part is None:
            return Headline(measured="", baseline_kind=kind)
        beside = _mapping(_mapping(_mapping(summary.get("baseline")).get("figures")).get(part)).get("error")
        error = _number(_mapping(figures[part]).get("error"))
        return Headline(measured=f"{part} part", error=error, baseline=_number(beside), baseline_kind=kind)
    if source.command in ("crossval", "holdout"):
        told = _mapping(summary.get("error"))
        low, high = _number(told.get("ci_low")), _number(told.get("ci_high"))
        measured = "test parts, mean"
        return Headline(
            measured=measured, error=_number(told.get("mean")), low=low, high=high, baseline=other, baseline_kind=kind
        )
    if source.command == "bootstrap":
        told = _mapping(_mapping(summary.get("estimates")).get("632plus"))
        beside = _mapping(_mapping(_mapping(summary.get("baseline")).get("estimates")).get("632plus"))
        low, high = _number(told.get("ci_low")), _number(told.get("ci_high"))
        return Headline(
            measured=".632+",
            error=_number(told.get("value")),
            low=low,
            high=high,
            baseline=_number(beside.get("value")),
            baseline_kind=kind,
        )
    if source.command == "tune":
        test, best = _mapping(summary.get("test")), _mapping(summary.get("best"))
        if _number(test.get("error")) is not None:
            return Headline(measured="best trial, test part", error=_number(test["error"]), baseline_kind=kind)
        score = _number(best.get("score"))
        return Headline(measured="best trial, as scored", error=score, baseline=other, baseline_kind=kind)
    return Headline(measured="", baseline=other, baseline_kind=kind)


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
    }.get(source.command)
    try:
        tables = make(source) if make is not None else []
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        tables = []  # a summary of another version: better its plain numbers than no page
    return tables or [_plain(summary)]


def warnings_of(source: Source) -> list[str]:
    """What a reader must not miss."""
    summary = source.summary
    found = _told(summary)
    if summary.get("status") == "diverged":
        found.insert(0, f"The training diverged: {summary.get('reason')}.")
    if summary.get("passed") is False:
        found.insert(0, f"The gradient check fails: {summary.get('verdict')}.")
    top = headline(source)
    beaten = top.error is None or top.baseline is None or top.error < top.baseline
    if not beaten and summary.get("model") != top.baseline_kind:
        found.append(
            f"The model does not beat the {top.baseline_kind} baseline: "
            f"{shown(top.error)} against {shown(top.baseline)} ({top.measured})."
        )
    return list(dict.fromkeys(found))


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
    table = Table(
        title=f"Error: {scheme_text(summary['scheme'])}",
        columns=[_error_name(summary), Column(str(summary["model"]), "right"), Column(_baseline(summary)[0], "right")],
    )
    for name, key in (("mean", "mean"), ("standard deviation", "std"), ("pooled over predictions", "pooled")):
        table.add(name, *(_rounded(_number(each.get(key))) for each in (model, other)))
    table.add("interval", *(_between(_number(each["ci_low"]), _number(each["ci_high"])) for each in (model, other)))
    if summary.get("interval"):
        table.footnotes.append(f"Interval of {100 * summary['confidence']:g} %: {summary['interval']}.")
    return [table]


def _rounded(value: float | None) -> float | None:
    """Without the last digits, in which the spread of equal numbers is not quite 0."""
    return None if value is None else shown(round(value, 12))


def _between(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{shown(low):g} to {shown(high):g}"


def _bootstrap(source: Source) -> list[Table]:
    return [_without(bootstrap_table(source.summary, Path(source.path)), source.summary)]


def _without(table: Table, summary: Mapping[str, Any]) -> Table:
    """A command's own table without the notes that stand elsewhere on the page."""
    told = {each.rstrip(".").lower() for each in _told(summary)}
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
        relative = _number(each["relative_difference"])
        table.add(
            name,
            each["verdict"],
            each["components"],
            None if relative is None else f"{relative:.2e}",
            _number(each["analytic"]),
            _number(each["numerical"]),
            each["worst_component"],
        )
    overall = _number(source.summary["relative_difference"])
    table.footnotes.append(f"Overall: {source.summary['verdict']}, relative difference {overall or 0:.2e}.")
    return [table]


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


# -- the comparison of several ---------------------------------------------------------------------


def comparison_table(sources: Sequence[Source]) -> Table:
    """A row per run: what it is, its error with the interval, the baseline's, its size and time."""
    tasks = {source.summary.get("task") for source in sources}
    error = ERROR_NAMES.get(str(tasks.pop()), "error") if len(tasks) == 1 else "error"
    numbers = (error, "95 % from", "to", "baseline", "parameters", "seconds")
    table = Table(
        title="", columns=["run", "experiment", "command", "measured on", *(Column(each, "right") for each in numbers)]
    )
    for source in sources:
        top = headline(source)
        summary = source.summary
        figures = (shown(top.error), shown(top.low), shown(top.high), shown(top.baseline))
        known = (_number(summary.get("parameters")), _number(summary.get("seconds")))
        table.add(
            source.called,
            str(summary.get("name") or ""),
            source.command,
            top.measured or None,
            *figures,
            None if known[0] is None else int(known[0]),
            shown(known[1]),
        )
    return table


# -- reading summaries -----------------------------------------------------------------------------


def _told(summary: Mapping[str, Any]) -> list[str]:
    """The warnings that the command gave."""
    told = summary.get("warnings")
    return [str(each) for each in told] if isinstance(told, list) else []


def _error_name(summary: Mapping[str, Any]) -> str:
    return ERROR_NAMES.get(str(summary.get("task")), "error")


def _baseline(summary: Mapping[str, Any]) -> tuple[str, float | None]:
    """Kind and error of the baseline, of whichever shape this command writes it in."""
    told = _mapping(summary.get("baseline"))
    error = told.get("error")
    if isinstance(error, Mapping):
        error = error.get("mean")
    return str(told.get("kind") or "baseline"), _number(error)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
