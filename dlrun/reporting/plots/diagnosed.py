"""What `dlrun diagnose` measured: activations and gradients by layer, and learning curves over the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.reporting.plots.curves import error_label
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import colour, legend, line, log_axis, marker, whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
LAYERS, CURVE = "layers.csv", "learning_curve.csv"
LEAST = 1e-300


def draw_layers(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """By layer: the spread of the activations, the size of the gradient, the share of dead or saturated units."""
    networks = [(source, name) for source in sources for name in _networks(source)]
    panels = figure.subplots(1, 3)
    for index, (source, network) in enumerate(networks):
        table = source.table(LAYERS)
        chosen = table.text("initialization") == network
        layer = table.numbers("layer")[chosen]
        lost = np.zeros(int(chosen.sum()))
        for kind in ("dead", "saturated"):
            if kind in table:
                lost = np.maximum(lost, np.nan_to_num(table.numbers(kind)[chosen]))
        shown = (table.numbers("spread")[chosen], table.numbers("gradient_norm")[chosen], lost)
        told = network if len(sources) == 1 else source.name
        if len(sources) > 1 and len(_networks(source)) > 1:
            told = f"{source.name}: {network}"
        for axes, values in zip(panels, shown, strict=True):
            name = label(told, longest=24) if axes is panels[-1] else None
            axes.plot(layer, values, color=colour(index), ls=line(index), marker=marker(index), ms=4, label=name or "_")
    texts = ("spread of the activations", "‖dW‖ of the layer", "dead or saturated units")
    for axes, text in zip(panels, texts, strict=True):
        axes.set_xlabel("layer")
        axes.set_title(text, fontsize=9)
        whole_ticks(axes.xaxis)
    for axes in panels[:2]:
        _log_where_positive(axes)
    panels[2].set_ylim(-0.03, 1.03)
    if len(networks) > 1:
        panels[2].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    title = f"{sources[0].title}: layer by layer" if len(sources) == 1 else f"{len(sources)} networks, layer by layer"
    figure.suptitle(options.title or title, x=0.01, ha="left", fontsize=11)


def _networks(source: Source) -> list[str]:
    """The networks whose layers the table tells, in its order."""
    return list(dict.fromkeys(source.table(LAYERS).text("initialization").tolist()))


def _log_where_positive(axes: Axes) -> None:
    """A logarithmic axis, on which layers without any activation or gradient have no point."""
    values = np.concatenate([np.asarray(each.get_ydata(), float) for each in axes.lines])
    positive = values[np.isfinite(values) & (values > LEAST)]
    if not positive.size:
        return
    axes.set_ylim(positive.min() / 2, positive.max() * 2)
    log_axis(axes, "y")


def draw_learning_curve(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Errors on the training rows and on new ones against the number of training rows, with every repeat a point."""
    axes = figure.add_subplot()
    for index, source in enumerate(sources):
        table = source.table(CURVE)
        sizes = table.numbers("rows")
        drawn = 0
        for place, column in enumerate(("train_error", "dev_error")):
            x, mean, points = _by_size(sizes, table.numbers(column))
            if not x.size:
                continue
            drawn += 1
            shade = colour(place) if len(sources) == 1 else colour(index)
            part = column.removesuffix("_error")
            name = part if len(sources) == 1 else f"{source.name}: {part}"
            style = line(0) if place == 0 else "--"
            axes.plot(x, mean, color=shade, ls=style, marker=marker(place), ms=4.5, label=name)
            if len(points[0]) > len(x):
                axes.plot(*points, ls="", marker=".", color=shade, alpha=0.35, ms=4)
        if not drawn:
            raise RunError(f"{table.path}: holds no finite error: every model diverged")
    if options.log:
        log_axis(axes, "x")
    axes.set_xlabel("training rows")
    axes.set_ylabel(error_label(sources))
    several = f"learning curves of {len(sources)} runs"
    axes.set_title(options.title or (f"{sources[0].title}: learning curve" if len(sources) == 1 else several))
    legend(axes)


def _by_size(sizes: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray, tuple[FloatArray, FloatArray]]:
    """Sizes and the mean errors of the models that did not diverge, and all points."""
    good = np.isfinite(errors) & np.isfinite(sizes)
    x = np.unique(sizes[good])
    mean = np.array([errors[good & (sizes == size)].mean() for size in x])
    return x, mean, (sizes[good], errors[good])
