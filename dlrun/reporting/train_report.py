"""What is said about one trained model: the figures of `summary.json`, and the table at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlrun.records import Figures, counted, four_digits
from dlrun.reporting.tables import Column, Table

ERROR_NAMES = {"classification": "error", "regression": "RMSE"}
BASELINES = {"classification": "majority", "regression": "mean"}
PARTS = ("test", "dev", "train")  # the most telling first


def figures_json(figures: Mapping[str, Figures]) -> dict[str, dict[str, float]]:
    """Figures by part, as `summary.json` holds them."""
    return {part: {"rows": each.rows, "cost": each.cost, "error": each.error} for part, each in figures.items()}


def kept_in(folder: Path | None) -> list[str]:
    """Where the run's files are, if it has any."""
    return [] if folder is None else [f"Files: {folder}"]


def train_table(summary: Mapping[str, Any], folder: Path | None) -> Table:
    """Cost and error of each part beside the baseline's error, and what else there is to know about the run."""
    table = figures_table(summary["name"], summary["task"], summary["figures"], summary["baseline"])
    table.footnotes += verdict(summary["model"], summary["task"], summary["figures"], summary["baseline"])
    table.footnotes += [*_effort(summary), *_weights(summary), *kept_in(folder)]
    return table


def figures_table(title: str, task: str, figures: Mapping[str, Any], baseline: Mapping[str, Any]) -> Table:
    """One row per part. `baseline` is that of the summary: its kind, and its figures by part."""
    error = ERROR_NAMES[task]
    columns = ["part", "rows", "cost", error, f"{error} of the {baseline['kind']}"]
    if task == "classification":
        columns.insert(4, "wrong")
    table = Table(title=title, columns=[columns[0], *(Column(name, "right") for name in columns[1:])])
    for part, each in figures.items():
        cells = [part, each["rows"], shown(each["cost"]), shown(each["error"])]
        if task == "classification":
            cells.append(round(each["error"] * each["rows"]))
        other = baseline["figures"].get(part)
        table.add(*cells, shown(other["error"]) if other else None)
    return table


def verdict(kind: str, task: str, figures: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """A sentence where a model of this kind is no better than the baseline, on the most telling part."""
    part = next((part for part in (*PARTS, *figures) if part in figures and part in baseline["figures"]), None)
    if part is None or kind == baseline["kind"]:
        return []
    model, other = figures[part]["error"], baseline["figures"][part]["error"]
    if model < other:
        return []
    where = f"the {part} part" if part in PARTS else "this table"
    return [
        f"The model does not beat the {baseline['kind']} baseline on {where}: "
        f"{ERROR_NAMES[task]} {figure(model)} against {figure(other)}."
    ]


def _effort(summary: Mapping[str, Any]) -> list[str]:
    """Epochs, parameters, time."""
    if summary["model"] != "network":
        return [f"{summary['model']} is a baseline: nothing was trained. {_time(summary)}"]
    epochs, best = summary["epochs"], summary["best_epoch"]
    trained = f"{counted(epochs, 'epoch')} ({counted(summary['steps'], 'update')})"
    if summary["status"] == "stopped":
        trained += ", stopped early"
    elif summary["status"] == "settled":
        trained += ", until the cost settled"
    if best != epochs:
        trained += f"; the weights are those of epoch {best}"
    if not epochs:
        trained = "0 epochs: these are the initial weights"
    return [f"{trained}.", f"{counted(summary['parameters'], 'parameter')}, {_time(summary)}"]


def _weights(summary: Mapping[str, Any]) -> list[str]:
    """W and b of a model that has a handful of parameters; of one layer without its number."""
    named = summary.get("weights")
    if not named:
        return []
    one = "W2" not in named
    return [", ".join(f"{name.rstrip('1') if one else name} = {_numbers(values)}" for name, values in named.items())]


def _numbers(values: Any) -> str:
    """(1.5, 2) for a vector or a matrix of one column, ((1, 2), (3, 4)) for other matrices, a number for one."""
    if not isinstance(values, list):
        return f"{values:.6g}"
    parts = [_numbers(each[0] if isinstance(each, list) and len(each) == 1 else each) for each in values]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _time(summary: Mapping[str, Any]) -> str:
    threads = f", {counted(summary['threads'], 'thread')}" + compiled(summary)
    return f"{summary['seconds']:.2f} s on the {summary['device']}{threads if summary['device'] == 'cpu' else ''}."


def compiled(summary: Mapping[str, Any]) -> str:
    """What is added to a run's seconds where its steps were compiled."""
    return ", compiled steps" if summary.get("engine") == "compiled" else ""


def shown(value: float | None) -> float | None:
    """A figure as tables show it: four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def figure(value: float | None) -> str:
    """The same in a sentence: 39030, where Python would write 39030.0."""
    return "-" if value is None else four_digits(value)
