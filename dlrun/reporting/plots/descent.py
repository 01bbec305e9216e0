"""A training step by step: the cost of every batch, and the way of two parameters over the cost of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.errors import DlrunError, RunError
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import FAINT, colour, contours, legend, line, log_axis, whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
STEPS = "steps.csv"
FIXED = ("replica", "epoch", "step", "learning_rate", "batch_cost")
GRID = 41  # costs a side
LEVELS = 12


def parameters_of(source: Source) -> list[str]:
    """The parameters whose way was recorded."""
    return [name for name in source.table(STEPS).texts if name not in FIXED]


def has_two_parameters(source: Source) -> bool:
    """Whether the way can be drawn in a plane."""
    return len(parameters_of(source)) == 2


def draw_steps(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """The cost of every batch before its update; of several runs side by side, at one height."""
    count = len(sources)
    if count > 1:
        figure.set_size_inches(3.3 * count, 3.3)
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for index, (axes, source) in enumerate(zip(panels, sources, strict=True)):
        table = source.table(STEPS)
        step, cost = table.numbers("step"), table.numbers("batch_cost")
        width = 1.4 if len(step) < 400 else 0.5
        axes.plot(step, cost, color=colour(index), lw=width)
        if options.log:
            log_axis(axes, "y")
        axes.set_xlabel("step")
        whole_ticks(axes.xaxis)
        if count > 1:
            axes.set_title(source.name, fontsize=10)
    panels[0].set_ylabel("cost of the batch")
    _title(figure, panels[0], sources, options, "cost of every batch")


def draw_descent(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """The ways of the runs over the contours of the cost on all training rows; + marks its least value."""
    names = parameters_of(sources[0])
    paths = []
    for source in sources:
        if parameters_of(source) != names:
            raise RunError(f"{source.path}: its parameters are not those of {sources[0].path}, {', '.join(names)}")
        paths.append(np.stack([source.table(STEPS).numbers(name) for name in names], axis=1))
    count = len(sources)
    if count > 1:
        figure.set_size_inches(3.3 * count, 3.5)
    together = np.concatenate(paths)
    low, high = together.min(axis=0), together.max(axis=0)
    room = 0.12 * np.where(high > low, high - low, 1.0)
    x, y = (np.linspace(a, b, GRID) for a, b in zip(low - room, high + room, strict=True))
    heights = _costs(sources[0], x, y)
    panels = figure.subplots(1, count, sharex=True, sharey=True, squeeze=False)[0]
    for index, (axes, source, path) in enumerate(zip(panels, sources, paths, strict=True)):
        axes.grid(False)
        _landscape(axes, x, y, heights)
        width = 1.3 if len(path) < 200 else 0.6
        axes.plot(*path.T, color=colour(index), lw=width, ls=line(index), label="_")
        if len(path) <= 60:
            axes.plot(*path.T, ".", color=colour(index), ms=4)
        axes.plot(*path[0], "s", color=FAINT, ms=6, mec="#FFFFFF", mew=0.6, label="start" if index == 0 else "_")
        if count > 1:
            axes.set_title(source.name, fontsize=10)
        axes.set_xlabel(label(names[0]))
    panels[0].set_ylabel(label(names[1]))
    legend(panels[0])
    _title(figure, panels[0], sources, options, "descent over the cost of the training rows")


def _title(figure: Figure, axes: Axes, sources: Sequence[Source], options: Options, what: str) -> None:
    text = options.title or f"{sources[0].title}: {what}"
    if len(sources) == 1:
        axes.set_title(text)
    else:
        figure.suptitle(text, x=0.01, ha="left", fontsize=11)


def _landscape(axes: Axes, x: FloatArray, y: FloatArray, heights: FloatArray) -> None:
    """Contours, and a cross where the cost is lowest, if that is inside."""
    if not contours(axes, x, y, heights, levels=LEVELS):
        return
    row, column = np.unravel_index(np.nanargmin(heights), heights.shape)
    if 0 < row < len(y) - 1 and 0 < column < len(x) - 1:
        axes.plot(x[column], y[row], "+", color="#202020", ms=11, mew=1.6)


def _costs(source: Source, x: FloatArray, y: FloatArray) -> FloatArray:
    """The cost on all training rows at every pair of parameters, (len(y), len(x)): each pair is a replica."""
    from dlrun.backend import Backend
    from dlrun.config import load_experiment
    from dlrun.data.dataset import load_dataset
    from dlrun.training.evaluation import Evaluator
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun

    try:
        loaded = load_experiment(source.file("config.toml"))
        e = loaded.experiment
        dataset = load_dataset(e.data, task=e.task, folder=loaded.folder, seed=e.seed)
        problem = Problem(e, dataset, run_code=False)
    except (DlrunError, OSError) as error:
        raise RunError(f"{source.path}: the run's data cannot be read again: {error}") from None
    if dataset.hash != source.summary.get("data_hash"):
        raise RunError(f"{source.path}: the data ({e.data.source}) is no longer what this run was made of")
    rows = TrainRun(problem, Backend()).split.train
    X, Y = np.meshgrid(x, y)
    theta = np.stack([X.ravel(), Y.ravel()], axis=1)
    replicas = [problem.replica(rows, number=r) for r in range(len(theta))]
    stack = problem.stack(Backend(), replicas, theta=theta)
    found = Evaluator(stack).figures([rows] * len(replicas), penalty=True)
    return np.array([figures.cost for figures in found]).reshape(X.shape)
