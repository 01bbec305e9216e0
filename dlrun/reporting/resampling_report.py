"""What a person is shown of cross-validation, holdout and bootstrap, and of their plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.records import counted
from dlrun.reporting.tables import Column, Table
from dlrun.reporting.train_report import ERROR_NAMES, compiled, figure, kept_in, shown
from dlrun.resampling.outcome import FoldFigures
from dlrun.resampling.plan import RunPlan

MOST_FOLDS = 20  # more are read in folds.csv
ESTIMATE_NAMES = {"apparent": "apparent", "oob": "out of bag", "632": ".632", "632plus": ".632+"}


def scheme_text(scheme: Mapping[str, Any]) -> str:
    """The scheme in words: `10 folds, stratified`."""
    kind, repeats = scheme["kind"], scheme["repeats"]
    text = {
        "holdout": f"{repeats} holdouts" if repeats > 1 else "one holdout",
        "k_fold": f"{repeats} × {scheme.get('folds')} folds" if repeats > 1 else f"{scheme.get('folds')} folds",
        "leave_one_out": "leave one out",
        "bootstrap": counted(repeats, "bootstrap sample"),
    }[kind]
    if kind == "holdout":
        text += f" of {100 * scheme['test_size']:.3g} %"
    if scheme["stratify"]:
        text += ", stratified"
    if scheme["groups"]:
        text += f", groups of {scheme['groups']} kept together"
    return text


def folds_tables(summary: Mapping[str, Any], folds: Sequence[FoldFigures], folder: Path | None) -> list[Table]:
    """The folds, where they are not too many; then the estimate beside the baseline."""
    tables = [_folds_table(summary, folds)] if len(folds) <= MOST_FOLDS else []
    error, baseline = summary["error"], summary["baseline"]
    name = ERROR_NAMES[summary["task"]]
    title = f"{summary['name']}: {scheme_text(summary['scheme'])}"
    table = Table(
        title=title if not tables else "",
        columns=[name, Column(summary["model"], "right"), Column(baseline["kind"], "right")],
    )
    if tables:
        tables[0].title = title
    if error is not None:
        several = len(folds) > 1
        parts = "repeats" if summary["command"] == "holdout" else "folds"
        rows = {f"mean of the {parts}" if several else "of the test part": "mean"}
        rows |= {"standard deviation": "std", "pooled over predictions": "pooled"} if several else {}
        for label, key in rows.items():
            table.add(label, shown(error[key]), shown(baseline["error"][key]))
        between = [_between(each["ci_low"], each["ci_high"]) for each in (error, baseline["error"])]
        table.add(f"{100 * summary['confidence']:g} % interval", *between)
        table.footnotes.append(f"Interval: {interval_methods(summary)}.")
    table.footnotes += [*_verdict(summary), *_remarks(summary), *kept_in(folder)]
    return [*tables, table]


def interval_methods(summary: Mapping[str, Any]) -> str:
    """How the model's interval was made, and the baseline's where that is another way."""
    baseline = summary["baseline"]
    own, other = summary["interval"], baseline.get("interval") or summary["interval"]
    text = own if own == other else f"{own}; of the {baseline['kind']}: {other}"
    return text.replace("folds", "repeats") if summary["command"] == "holdout" else str(text)


def _folds_table(summary: Mapping[str, Any], folds: Sequence[FoldFigures]) -> Table:
    name, kind = ERROR_NAMES[summary["task"]], summary["baseline"]["kind"]
    repeated = summary["scheme"]["repeats"] > 1
    places = (["repeat"] if repeated else []) + (["fold"] if summary["scheme"]["kind"] != "holdout" else [])
    columns = [*places, "train", "test", "epochs", "cost", name, f"{name} of the {kind}"]
    table = Table(title="", columns=[Column(each, "right") for each in columns])
    broken = any(each.division.result.reason for each in folds)
    if broken:
        table.columns = [*table.columns, "diverged"]
    for each in folds:
        division = each.division
        place = {"repeat": division.resample.repeat, "fold": division.resample.fold}
        cells: list[Any] = [place[name] for name in places]
        cells += [len(division.resample.train), len(division.resample.test), division.result.epochs]
        cells += [shown(each.cost), shown(each.error), shown(each.baseline)]
        table.add(*cells, *([division.result.reason or None] if broken else []))
    return table


def bootstrap_table(summary: Mapping[str, Any], folder: Path | None) -> Table:
    """The four estimates with their intervals, beside the baseline's."""
    name = ERROR_NAMES[summary["task"]]
    percent = f"{100 * summary['confidence']:g} %"
    kind = summary["baseline"]["kind"]
    columns = [name, summary["model"], f"{percent} interval", kind, f"its {percent} interval"]
    table = Table(
        title=f"{summary['name']}: {scheme_text(summary['scheme'])}",
        columns=[columns[0], *(Column(each, "right") for each in columns[1:])],
    )
    for key, label in ESTIMATE_NAMES.items() if summary["estimates"] else ():
        each, other = summary["estimates"][key], summary["baseline"]["estimates"][key]
        own, simple = (_between(told["ci_low"], told["ci_high"]) for told in (each, other))
        table.add(label, shown(each["value"]), own, shown(other["value"]), simple)
    if summary["estimates"]:
        table.footnotes.append(
            f"Without any relation of target and prediction the error would be {figure(summary['no_information'])}; "
            f"relative overfitting rate {figure(summary['overfitting_rate'])}."
        )
        table.footnotes.append(
            f"A sample draws {100 * summary['drawn_share']:.1f} % of the rows; the rest tests it, out of bag."
        )
    table.footnotes += [*_verdict(summary), *_remarks(summary), *kept_in(folder)]
    return table


def plan_table(name: str, scheme: Mapping[str, Any], plan: RunPlan) -> Table:
    """What a run would take."""
    table = Table(title=f"{name}: {scheme_text(scheme)}, planned", columns=["what", Column("value", "right")])
    table.add("models to train", plan.replicas)
    table.add("parameters of each", plan.parameters)
    table.add("epochs at most", plan.epochs)
    table.add("a step of one touches", _bytes(plan.replica_bytes))
    table.add("data, stored once", _bytes(plan.data_bytes))
    if plan.copies_bytes:
        table.add("copies scaled for a stack", _bytes(plan.copies_bytes))
    table.add("models in a stack", plan.replicas_per_stack)
    table.add("stacks", plan.stacks)
    table.add("stacks at a time", plan.jobs)
    table.add("memory in all, about", _bytes(plan.memory_bytes))
    table.add("time, about", None if plan.seconds is None else f"{plan.seconds:.2g} s")
    table.footnotes.append("Nothing was run. The time is that of training on this machine if no model stops early.")
    return table


def _verdict(summary: Mapping[str, Any]) -> list[str]:
    """A sentence where the model is no better than the baseline."""
    baseline = summary["baseline"]
    if summary["model"] == baseline["kind"]:
        return []
    if summary["command"] == "bootstrap":
        both = [each["estimates"] and each["estimates"]["oob"]["value"] for each in (summary, baseline)]
        where = "out of bag"
    else:
        both = [each["error"] and each["error"]["mean"] for each in (summary, baseline)]
        where = "on the test rows"
    if None in both or both[0] < both[1]:
        return []
    name = ERROR_NAMES[summary["task"]]
    return [
        f"The model does not beat the {baseline['kind']} baseline {where}: {name} {figure(both[0])} against "
        f"{figure(both[1])}."
    ]


def _remarks(summary: Mapping[str, Any]) -> list[str]:
    """Warnings, how training ended, what it took."""
    statuses, epochs = summary["statuses"], summary["epochs"]
    lines = [f"Warning: {each}." for each in summary["warnings"]]
    if statuses.get("stopped"):
        lines.append(
            f"{statuses['stopped']} of {counted(sum(statuses.values()), 'model')} stopped early, the first after "
            f"{counted(epochs['least'], 'epoch')}."
        )
    count, seconds = sum(statuses.values()), f"{summary['seconds']:.2f} s on the {summary['device']}{compiled(summary)}"
    if summary["model"] != "network":
        return [*lines, f"{summary['model']} is a baseline: nothing was trained. {seconds}."]
    stacks, jobs = summary["stacks"], summary["jobs"]
    together = counted(stacks, "stack") + (f", {jobs} at a time" if jobs > 1 else "")
    models = f"{counted(count, 'model')} of {counted(summary['parameters'], 'parameter')}"
    return [*lines, f"{models} in {together}, {seconds}."]


def _between(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{figure(low)} to {figure(high)}"


def _bytes(count: int) -> str:
    """1234567 → 1.2 MB."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"
