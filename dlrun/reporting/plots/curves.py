"""Cost curves, error curves, and the learning rate, over epochs or steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import FAINT, LINES, colour, legend, line, log_axis, whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
METRICS = "metrics.csv"
BAND = (10, 90)  # percentiles of the replicas
COSTS = {
    "cross_entropy": "cross-entropy, nats",
    "binary_cross_entropy": "cross-entropy, nats",
    "sum_cross_entropy": "cross-entropy summed over rows, nats",
    "sum_binary_cross_entropy": "cross-entropy summed over rows, nats",
    "squared_error": "mean squared error",
    "sum_squared_error": "squared error summed over rows",
    "absolute_error": "mean absolute error",
    "huber": "mean Huber loss",
}


@dataclass(frozen=True, eq=False)
class Curve:
    """A figure of one part over x, (k,): mean over the replicas still there, and the band of their percentiles."""

    x: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    replicas: int


def curve(source: Source, column: str, split: str, by: str) -> Curve | None:
    """The curve of a column of metrics.csv; None where this part has no finite figure."""
    table = source.table(METRICS)
    chosen = table.text("split") == split
    values, x, replica = (table.numbers(name)[chosen] for name in (column, by, "replica"))
    good = np.isfinite(values)
    if not good.any():
        return None
    values, x = values[good], x[good]
    places, which = np.unique(x, return_inverse=True)
    order = np.argsort(which, kind="stable")
    groups = np.split(values[order], np.flatnonzero(np.diff(which[order])) + 1)
    low, high = (np.array([np.percentile(group, q) for group in groups]) for q in BAND)
    mean = np.array([group.mean() for group in groups])
    return Curve(places, mean, low, high, len(np.unique(replica[good])))


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Cost of train and dev, of the batches as training saw them, and of test at the end."""
    axes = figure.add_subplot()
    for index, source in enumerate(sources):
        _parts(axes, source, "cost", index, len(sources), options.by)
        _batches(axes, source, index, len(sources), options.by)
    losses = {str(source.summary.get("loss") or "") for source in sources}
    loss = losses.pop() if len(losses) == 1 else ""
    _finish(axes, sources, options, f"cost ({COSTS[loss]})" if loss in COSTS else "cost", "cost")


def draw_error(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Error of train and dev, of test at the end, and of the baseline."""
    axes = figure.add_subplot()
    for index, source in enumerate(sources):
        _parts(axes, source, "error", index, len(sources), options.by)
    if len(sources) == 1:
        _baseline(axes, sources[0])
    _finish(axes, sources, options, error_label(sources), "error")


def draw_learning_rate(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """The learning rate of each epoch's last update."""
    axes = figure.add_subplot()
    for index, source in enumerate(sources):
        if (found := curve(source, "learning_rate", "train", options.by)) is not None:
            name = source.name if len(sources) > 1 else None
            marked = "o" if len(found.x) <= 40 else None
            axes.plot(found.x, found.mean, color=colour(index), ls=line(index), label=name, marker=marked, ms=3.5)
            _band(axes, found, index)
    if not options.log and axes.get_ylim()[0] > 0:
        axes.set_ylim(bottom=0)
    _finish(axes, sources, options, "learning rate α", "learning rate")


def error_label(sources: Sequence[Source]) -> str:
    """The axis of an error: a share, or the root mean squared error in the target's units."""
    tasks = {source.summary.get("task") for source in sources}
    if tasks == {"classification"}:
        return "error (share of wrong answers)"
    if tasks == {"regression"}:
        return "root mean squared error (in the target's units)"
    return "error"


def _parts(axes: Axes, source: Source, column: str, index: int, count: int, by: str) -> None:
    for place, split in enumerate(("train", "dev")):
        found = curve(source, column, split, by)
        if found is None:
            continue
        shade = colour(index) if count > 1 else colour(place)
        mean = f", mean of {found.replicas}" if found.replicas > 1 else ""
        name = f"{source.name}: {split}{mean}" if count > 1 else f"{split}{mean}"
        marked = "." if len(found.x) == 1 else None
        axes.plot(found.x, found.mean, color=shade, ls=LINES[place], label=name, marker=marked)
        _band(axes, found, index if count > 1 else place)
    last = curve(source, column, "test", by)
    if last is not None:
        shade = colour(index) if count > 1 else colour(2)
        name = f"{source.name}: test" if count > 1 else "test, at the weights that were kept"
        axes.plot(last.x, last.mean, "*", color=shade, ms=9, label=name)


def _band(axes: Axes, found: Curve, index: int) -> None:
    if found.replicas > 1:
        axes.fill_between(found.x, found.low, found.high, color=colour(index), alpha=0.2, lw=0)


def _batches(axes: Axes, source: Source, index: int, count: int, by: str) -> None:
    if "batch_cost" not in source.table(METRICS):
        return
    found = curve(source, "batch_cost", "train", by)
    if found is not None:
        shade = colour(index) if count > 1 else FAINT
        name = None if count > 1 else "batches as training saw them, without penalty"
        axes.plot(found.x, found.mean, color=shade, ls=":" if count > 1 else "-", lw=0.8, alpha=0.8, label=name)


def _baseline(axes: Axes, source: Source) -> None:
    baseline = source.summary.get("baseline") or {}
    for part in ("dev", "train"):
        error = (baseline.get("figures") or {}).get(part, {}).get("error")
        if isinstance(error, int | float):
            axes.axhline(error, color=FAINT, ls=":", lw=1.2, label=f"{baseline.get('kind')} baseline, {part}")
            return


def _finish(axes: Axes, sources: Sequence[Source], options: Options, ylabel: str, what: str) -> None:
    if not axes.lines:
        raise RunError(f"{sources[0].path}: metrics.csv holds no finite {what}: the run diverged in its first epoch")
    if len(sources) == 1 and options.by == "epoch":
        _events(axes, sources[0])
    if options.log:
        values = np.concatenate([np.asarray(each.get_ydata(), float) for each in axes.lines])
        if not (values > 0).any():
            raise RunError(f"{sources[0].path}: no {what} is above 0: there is nothing to show on a logarithmic axis")
        log_axis(axes, "y")
    whole_ticks(axes.xaxis)
    axes.set_xlabel(options.by)
    axes.set_ylabel(ylabel)
    several = f"{what} of {len(sources)} runs"
    axes.set_title(options.title or (f"{sources[0].title}: {what}" if len(sources) == 1 else several))
    legend(axes)


def _events(axes: Axes, source: Source) -> None:
    """Where the kept weights come from, if not from the end; and where the run diverged."""
    best, epochs = source.summary.get("best_epoch"), source.summary.get("epochs")
    if isinstance(best, int) and isinstance(epochs, int) and 0 < best < epochs:
        axes.axvline(best, color=FAINT, lw=0.8, ls="--", label=f"epoch {best}, whose weights were kept")
    if source.summary.get("status") == "diverged":
        last = float(np.nanmax(source.table(METRICS).numbers("epoch")))
        axes.axvline(last, color=FAINT, lw=0.8, ls="-.", label=f"diverged in epoch {last:g}")
