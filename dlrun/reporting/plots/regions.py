"""What a trained classifier answers over the plane of its two features, or along its only one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.records import counted
from dlrun.reporting.plots.answers import MODEL, data_of, model_answers, model_of
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import colour, evenly, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dlrun.training.model import TrainedModel

FloatArray = npt.NDArray[np.float64]
STEPS = 241  # grid points a side
MARGIN = 0.08  # beyond the data, as a share of its span
MOST_POINTS = 1500
MOST_CLASSES = 12


@dataclass(frozen=True, eq=False)
class Rows:
    """features (k, d) as they are in the data, target (k,): class codes, or numbers."""

    features: FloatArray
    target: npt.NDArray[Any]


def numeric_features(source: Source) -> int:
    """How many features the model takes, if all are numbers; else 0."""
    if source.command != "train" or not source.has(MODEL):
        return 0
    prepared = model_of(source).preprocessing
    return len(prepared.feature_names) if all(c.kind == "numeric" for c in prepared.encoding) else 0


def has_plane(source: Source) -> bool:
    """Whether the model tells classes apart by two numbers."""
    return numeric_features(source) == 2 and 2 <= len(model_of(source).preprocessing.classes) <= MOST_CLASSES


def has_line(source: Source) -> bool:
    """Whether the model takes one number."""
    return numeric_features(source) == 1 and len(model_of(source).preprocessing.classes) <= MOST_CLASSES


def lead(answers: FloatArray) -> FloatArray:
    """ln p_c − max of the other classes' ln p, (m, C): above 0 where class c is answered.

    For a softmax over linear scores this is piecewise linear, so that borders found by linear interpolation
    between grid points are as straight as they are.
    """
    logs = np.log(np.maximum(answers, 1e-300))
    C = answers.shape[1]
    others = np.stack([np.delete(logs, c, axis=1).max(axis=1) for c in range(C)], axis=1)
    return np.asarray(logs - others)


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Regions of the classes with their borders, and the rows the model was trained and tested on."""
    count = len(sources)
    if count == 1:
        axes = figure.add_subplot()
        _regions(axes, sources[0])
        target = label(model_of(sources[0]).preprocessing.target_name)
        axes.set_title(options.title or f"{sources[0].title}: regions of {target}")
        return
    columns = 2 if count == 4 else min(count, 3)
    lines = -(-count // columns)
    figure.set_size_inches(3.3 * columns + 0.9, 3.2 * lines + 0.3)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for index, (axes, source) in enumerate(zip(panels, sources, strict=False)):
        _regions(axes, source, legend=index == min(columns, count) - 1)
        axes.set_title(source.name, fontsize=10)
    for axes in panels[count:]:
        axes.set_axis_off()
    figure.suptitle(options.title or f"regions of {count} models", x=0.01, ha="left", fontsize=11)


def _regions(axes: Axes, source: Source, *, legend: bool = True) -> None:
    model = model_of(source)
    prepared = model.preprocessing
    if not has_plane(source):
        raise RunError(
            f"{source.path}: decision regions need a classifier of two numeric features; this model has "
            f"{counted(len(prepared.feature_names), 'feature')} and {len(prepared.classes) or 'no'} classes"
        )
    found = _rows(source, model)
    x, y = (_axis(model, found, feature) for feature in range(2))
    grid = np.stack(np.meshgrid(x, y), axis=-1)  # (STEPS, STEPS, 2)
    leads = lead(model_answers(model, grid.reshape(-1, 2)))
    axes.grid(False)
    for code in range(len(prepared.classes)):
        height = leads[:, code].reshape(len(y), len(x))
        if height.max() > 0:
            top = [0.0, float(height.max()) + 1]
            axes.contourf(x, y, height, levels=top, colors=[colour(code)], alpha=0.25 if code < 6 else 0.12)
            if height.min() < 0:
                axes.contour(x, y, height, levels=[0.0], colors=[colour(code)], linewidths=1.4)
    if found is not None:
        _points(axes, found, prepared.classes)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    names = [label(name) for name in prepared.feature_names]
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    if legend:
        _class_legend(axes, prepared.classes)


def draw_line(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Probability of each class along the only feature, or the answer of a regression, with the rows."""
    source = sources[0]
    model = model_of(source)
    prepared = model.preprocessing
    if not has_line(source):
        raise RunError(
            f"{source.path}: answers along a feature need a model of one numeric feature; this one has "
            f"{len(prepared.feature_names)}"
        )
    found = _rows(source, model)
    x = _axis(model, found, 0)
    answers = model_answers(model, x[:, None])
    axes = figure.add_subplot()
    names = prepared.classes
    for code in range(answers.shape[1]):
        axes.plot(x, answers[:, code], color=colour(code), lw=1.8, label=None if names else "answer")
    if found is not None:
        points, target = found.features[:, 0], found.target
        if names:
            for code in range(len(names)):
                chosen = points[target == code]
                height = np.full(len(chosen), -0.05 - 0.035 * code)
                axes.plot(chosen, height, ls="", marker=marker(code), ms=3.5, color=colour(code), alpha=0.6, mew=0)
        else:
            axes.plot(points, target, "o", color=colour(1), ms=4, alpha=0.7, mew=0, label="rows")
    axes.set_xlabel(label(prepared.feature_names[0]))
    axes.set_ylabel("probability of the class" if names else label(prepared.target_name))
    axes.set_title(options.title or f"{source.title}: {label(prepared.target_name)} along its only feature")
    if names:
        _class_legend(axes, names)
    else:
        axes.legend(loc="best")


def _rows(source: Source, model: TrainedModel) -> Rows | None:
    """The run's data, of many rows some; None where it cannot be read again: then the model is drawn without it."""
    try:
        dataset = data_of(source, model)[0]
    except RunError:
        return None
    chosen = np.array(evenly(len(dataset), MOST_POINTS), np.int64)
    return Rows(np.asarray(dataset.features[chosen]), np.asarray(dataset.target[chosen]))


def _axis(model: TrainedModel, found: Rows | None, feature: int) -> FloatArray:
    """Grid points along a feature: over the data, else three training standard deviations about its mean."""
    if found is not None and np.isfinite(found.features[:, feature]).any():
        low, high = np.nanmin(found.features[:, feature]), np.nanmax(found.features[:, feature])
    else:
        scaling = model.preprocessing.scaling
        centre, spread = scaling.fill[feature], 3 / (scaling.scale[feature] or 1.0)
        low, high = centre - spread, centre + spread
    room = MARGIN * float(high - low) or 1.0
    return np.linspace(low - room, high + room, STEPS)


def _points(axes: Axes, found: Rows, classes: Sequence[str]) -> None:
    size = 5.0 if len(found.target) <= 300 else 3.5
    for code in range(len(classes)):
        x, y = found.features[found.target == code].T
        kwargs: dict[str, Any] = {"ls": "", "marker": marker(code), "ms": size, "mec": "#FFFFFF", "mew": 0.4}
        axes.plot(x, y, color=colour(code), **kwargs)


def _class_legend(axes: Axes, classes: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour(code), marker=marker(code), ms=5, lw=1.8, label=label(name, longest=24))
        for code, name in enumerate(classes)
    ]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
