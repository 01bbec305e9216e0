"""The path of an optimizer: over the contours of a cost of two variables, or along one of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import FAINT, colour, contours, evenly, legend, line, log_axis, marker, whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
STEPS = 161
LEVELS = 14
MOST_MARKERS = 60


@dataclass(frozen=True, eq=False)
class Path:
    """Steps with a finite cost: cost (k,) and the value of each variable (k,)."""

    name: str
    step: FloatArray
    cost: FloatArray
    values: Mapping[str, FloatArray]


def path_of(source: Source) -> Path:
    """The path that `dlrun minimize --out` wrote."""
    table = source.table("path.csv")
    names = [c.removeprefix("gradient_") for c in table.texts if c.startswith("gradient_")]
    names = [name for name in names if name in table]
    if not names:
        raise RunError(f"{table.path}: no variable has a column with its gradient_ beside it; no path")
    cost = table.numbers("cost")
    values = {name: table.numbers(name) for name in names}
    good = np.isfinite(cost) & np.isfinite(np.stack(list(values.values()))).all(axis=0)
    if not good.any():
        raise RunError(f"{table.path}: no step has a finite cost")
    return Path(source.name, table.numbers("step")[good], cost[good], {n: v[good] for n, v in values.items()})


def costs_on(expression: str, values: Mapping[str, FloatArray]) -> FloatArray:
    """The cost of an expression at many points at once: an array (n,) per variable, and the costs (n,)."""
    from dlrun.graph.node import Node, constant
    from dlrun.graph.parse import parse_expression
    from dlrun.graph.session import Session
    from dlrun.optim.path import CONSTANTS, FUNCTIONS

    def variable(name: str) -> Node:
        if name not in values:
            raise RunError(
                f"--expression {expression!r}: the path has no variable {name!r}; it has {', '.join(values)}"
            )
        return constant(values[name], "float64")

    def of(function: Any) -> Any:
        return lambda *given: function(*(g if isinstance(g, Node) else constant(g, "float64") for g in given))

    functions = {name: of(function) for name, function in FUNCTIONS.items()}
    cost = parse_expression(expression, functions=functions, constants=CONSTANTS, variable=variable)
    with Session() as session, np.errstate(all="ignore"):
        found = np.asarray(session.run(cost), np.float64)
    return np.broadcast_to(found, next(iter(values.values())).shape)


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """The paths in the space of the variables, where there are one or two, and the cost by step."""
    paths = [path_of(source) for source in sources]
    names = tuple(paths[0].values)
    if odd := next((p for p in paths if tuple(p.values) != names), None):
        raise RunError(f"{odd.name}: a path of {', '.join(odd.values)}, and {paths[0].name} one of {', '.join(names)}")
    expression = options.expression or _expression(sources)
    if len(names) > 2:
        costs = figure.add_subplot()
    else:
        space, costs = figure.subplots(1, 2, width_ratios=[1.35, 1])
        (_plane if len(names) == 2 else _parabola)(space, paths, names, expression)
    _cost(costs, paths, options)
    title = options.title or (f"minimize {label(expression, longest=60)}" if expression else "path of the descent")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)


def _expression(sources: Sequence[Source]) -> str | None:
    told = {str(source.summary.get("expression") or "") for source in sources}
    return (told.pop() or None) if len(told) == 1 else None


def _limits(values: Sequence[FloatArray]) -> tuple[float, float]:
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    room = 0.15 * (high - low) or max(abs(high), 1.0) * 0.5
    return low - room, high + room


def _plane(axes: Axes, paths: Sequence[Path], names: Sequence[str], expression: str | None) -> None:
    ends = [_limits([path.values[name] for path in paths]) for name in names]
    if expression:
        x, y = (np.linspace(*end, STEPS) for end in ends)
        X, Y = np.meshgrid(x, y)
        height = costs_on(expression, {names[0]: X.ravel(), names[1]: Y.ravel()}).reshape(X.shape)
        contours(axes, x, y, height, levels=LEVELS)
    for index, path in enumerate(paths):
        a, b = (path.values[name] for name in names)
        _steps(axes, a, b, index)
        axes.plot(a[-1], b[-1], "*", color=colour(index), ms=11, mec="#FFFFFF", mew=0.6)
    a, b = (paths[0].values[name][0] for name in names)
    axes.plot(a, b, "s", color=FAINT, ms=6, mec="#FFFFFF", mew=0.6, label="start")
    axes.set_xlim(*ends[0])
    axes.set_ylim(*ends[1])
    axes.set_xlabel(label(names[0]))
    axes.set_ylabel(label(names[1]))
    legend(axes)


def _parabola(axes: Axes, paths: Sequence[Path], names: Sequence[str], expression: str | None) -> None:
    low, high = _limits([path.values[names[0]] for path in paths])
    if expression:
        x = np.linspace(low, high, STEPS)
        height = costs_on(expression, {names[0]: x})
        axes.plot(x, np.where(np.isfinite(height), height, np.nan), color=FAINT, lw=1.2)
    for index, path in enumerate(paths):
        a = path.values[names[0]]
        _steps(axes, a, path.cost, index)
        axes.plot(a[-1], path.cost[-1], "*", color=colour(index), ms=11, mec="#FFFFFF", mew=0.6)
    axes.set_xlim(low, high)
    axes.set_xlabel(label(names[0]))
    axes.set_ylabel("cost")


def _steps(axes: Axes, a: FloatArray, b: FloatArray, index: int) -> None:
    """The line of a path, with a point for each step while they are few."""
    marks = list(evenly(len(a), MOST_MARKERS)) if len(a) <= 4 * MOST_MARKERS else []
    axes.plot(a, b, color=colour(index), ls=line(index), lw=1.3, marker=marker(index), ms=3.2, markevery=marks)


def _cost(axes: Axes, paths: Sequence[Path], options: Options) -> None:
    for index, path in enumerate(paths):
        axes.plot(
            path.step, path.cost, color=colour(index), ls=line(index), label=path.name if len(paths) > 1 else None
        )
    if options.log and all((path.cost > 0).any() for path in paths):
        log_axis(axes, "y")
    axes.set_xlabel("step")
    axes.set_ylabel("cost")
    whole_ticks(axes.xaxis)
    legend(axes)
