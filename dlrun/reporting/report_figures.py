"""What a report says of a run in figures: its error beside the baseline's, and what there is to warn of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlrun.reporting.plots.source import Source
from dlrun.reporting.tables import Column, Table
from dlrun.reporting.train_report import ERROR_NAMES, PARTS, figure, shown


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
    kind, other = baseline_of(summary)
    if source.command == "train":
        figures = mapping(summary.get("figures"))
        part = next((part for part in PARTS if part in figures), None)
        if part is None:
            return Headline(measured="", baseline_kind=kind)
        beside = mapping(mapping(mapping(summary.get("baseline")).get("figures")).get(part)).get("error")
        error = number(mapping(figures[part]).get("error"))
        return Headline(measured=f"{part} part", error=error, baseline=number(beside), baseline_kind=kind)
    if source.command in ("crossval", "holdout"):
        told = mapping(summary.get("error"))
        low, high = number(told.get("ci_low")), number(told.get("ci_high"))
        measured = "test parts, mean"
        return Headline(
            measured=measured, error=number(told.get("mean")), low=low, high=high, baseline=other, baseline_kind=kind
        )
    if source.command == "bootstrap":
        told = mapping(mapping(summary.get("estimates")).get("632plus"))
        beside = mapping(mapping(mapping(summary.get("baseline")).get("estimates")).get("632plus"))
        low, high = number(told.get("ci_low")), number(told.get("ci_high"))
        return Headline(
            measured=".632+",
            error=number(told.get("value")),
            low=low,
            high=high,
            baseline=number(beside.get("value")),
            baseline_kind=kind,
        )
    if source.command == "tune":
        test, best = mapping(summary.get("test")), mapping(summary.get("best"))
        if number(test.get("error")) is not None:
            return Headline(measured="best trial, test part", error=number(test["error"]), baseline_kind=kind)
        score = number(best.get("score"))
        return Headline(measured="best trial, as scored", error=score, baseline=other, baseline_kind=kind)
    return Headline(measured="", baseline=other, baseline_kind=kind)


def warnings_of(source: Source) -> list[str]:
    """What a reader must not miss."""
    summary = source.summary
    found = warnings_told(summary)
    if summary.get("status") == "diverged":
        found.insert(0, f"The training diverged: {summary.get('reason')}.")
    if summary.get("passed") is False:
        found.insert(0, f"The gradient check fails: {summary.get('verdict')}.")
    top = headline(source)
    beaten = top.error is None or top.baseline is None or top.error < top.baseline
    if not beaten and summary.get("model") != top.baseline_kind:
        found.append(
            f"The model does not beat the {top.baseline_kind} baseline: "
            f"{figure(top.error)} against {figure(top.baseline)} ({top.measured})."
        )
    return list(dict.fromkeys(found))


# -- the comparison of several ---------------------------------------------------------------------


def comparison_table(sources: Sequence[Source]) -> Table:
    """A row per run: what it is, its error with the interval, the baseline's, its size and time."""
    tasks = {source.summary.get("task") for source in sources}
    error = ERROR_NAMES.get(str(tasks.pop()), "error") if len(tasks) == 1 else "error"
    numbers = (error, "95 % interval", "baseline", "parameters", "seconds")
    table = Table(
        title="", columns=["run", "experiment", "command", "measured on", *(Column(each, "right") for each in numbers)]
    )
    for source in sources:
        top = headline(source)
        summary = source.summary
        figures = (shown(top.error), between(top.low, top.high), shown(top.baseline))
        known = (number(summary.get("parameters")), number(summary.get("seconds")))
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


def warnings_told(summary: Mapping[str, Any]) -> list[str]:
    """The warnings that the command gave."""
    told = summary.get("warnings")
    return [str(each) for each in told] if isinstance(told, list) else []


def baseline_of(summary: Mapping[str, Any]) -> tuple[str, float | None]:
    """Kind and error of the baseline, of whichever shape this command writes it in."""
    told = mapping(summary.get("baseline"))
    error = told.get("error")
    if isinstance(error, Mapping):
        error = error.get("mean")
    return str(told.get("kind") or "baseline"), number(error)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object of JSON, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def number(value: Any) -> float | None:
    """The value if it is a number, else None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def between(low: float | None, high: float | None) -> str | None:
    """An interval as tables show it."""
    return None if low is None or high is None else f"{figure(low)} to {figure(high)}"
