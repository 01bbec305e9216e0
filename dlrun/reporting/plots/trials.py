"""A search: all trials as lines across the keys, the score along each key, and the boxes of coarse to fine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.records import counted, four_digits
from dlrun.reporting.plots.curves import error_label
from dlrun.reporting.plots.key_scale import KeyScale, as_cell, key_scales
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import BLUE, FAINT, PAPER, VERMILLION, colour, legend, marker, turn_crowded_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
FILE = "trials.csv"
MOST_KEYS = 9
POOR = "#B8B8B8"  # from the blue of good scores to the grey of poor ones


@dataclass(frozen=True, eq=False)
class Trials:
    """score (n,), NaN where there is none; `units` a column per key (n,) on [0, 1]; `rounds` (n,) from 0.

    best  the trial with the lowest score, of equal ones the one with the lowest cost
    """

    scales: list[KeyScale]
    score: FloatArray
    units: list[FloatArray]
    rounds: FloatArray
    best: int


def trials_of(source: Source) -> Trials:
    """The trials of the search itself: those of inner searches and of outer folds are left out."""
    table = source.table(FILE)
    scales = key_scales(source)[:MOST_KEYS]
    if not scales:
        raise RunError(f"{table.path}: there is no column of a tuned key, such as optimizer.learning_rate")
    kept = np.ones(len(table), bool)
    if "search" in table:
        kept = table.numbers("search") == 0
    score = np.where(table.text("status") == "done", table.numbers("score"), np.nan)[kept]
    if not np.isfinite(score).any():
        raise RunError(f"{table.path}: no trial was finished and scored")
    rounds = table.numbers("round")[kept] if "round" in table else np.zeros(int(kept.sum()))
    units = [scale.unit(table.text(scale.key)[kept].tolist()) for scale in scales]
    cost = table.numbers("cost")[kept] if "cost" in table else np.zeros(len(score))
    best = int(np.lexsort([cost, score])[0])  # NaN sorts last
    return Trials(scales, score, units, np.nan_to_num(rounds), best)


def has_keys(source: Source) -> bool:
    """Whether there is a tuned key and a trial with a score."""
    table = source.table(FILE)
    return any("." in column for column in table.texts) and table.numeric("score")


def has_rounds(source: Source) -> bool:
    """Whether the search zoomed in."""
    table = source.table(FILE)
    return has_keys(source) and len(np.unique(table.text("round"))) > 1


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Parallel coordinates: an axis per key and one for the score, a line per trial, blue where it is good."""
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    found = trials_of(sources[0])
    axes = figure.add_subplot()
    finite = np.isfinite(found.score)
    low, high = float(found.score[finite].min()), float(found.score[finite].max())
    shade = Normalize(low, high if high > low else low + 1)
    map_ = LinearSegmentedColormap.from_list("scores", [BLUE, POOR])
    last = len(found.scales)
    heights = np.column_stack([*found.units, (found.score - low) / ((high - low) or 1.0)])
    for trial in np.argsort(-np.nan_to_num(found.score, nan=np.inf), kind="stable"):
        if finite[trial]:
            axes.plot(range(last + 1), heights[trial], color=map_(shade(found.score[trial])), lw=1.0, alpha=0.75)
        else:
            axes.plot(range(last), heights[trial, :last], color=FAINT, lw=0.6, ls=":")
    axes.plot(range(last + 1), heights[found.best], color=VERMILLION, lw=2.4, label=f"best: {four_digits(low)}")
    if not finite.all():
        axes.plot([], [], color=FAINT, lw=0.8, ls=":", label=f"{int((~finite).sum())} not finished")
    for place, scale in enumerate(found.scales):
        _ticks_beside(axes, place, *scale.ticks())
    shares = [0.0, 0.5, 1.0]
    scores = [float(f"{low + share * (high - low):.3g}") for share in shares]
    _ticks_beside(axes, last, shares, [f"{score:.6g}" for score in scores])
    axes.set_xticks(range(last + 1), [_key(scale.key) for scale in found.scales] + ["score"])
    axes.tick_params(axis="x", length=0)
    axes.set_yticks([])
    axes.set_xlim(-0.15, last + 0.35)
    axes.set_ylim(-0.04, 1.04)
    axes.grid(True, axis="x", alpha=0.8)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_title(options.title or f"{sources[0].title}: {counted(len(found.score), 'trial')}")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _ticks_beside(axes: Axes, place: int, positions: Sequence[float], names: Sequence[str]) -> None:
    for position, name in zip(positions, names, strict=True):
        axes.plot([place - 0.02, place + 0.02], [position, position], color=FAINT, lw=1)
        axes.text(place + 0.04, position, name, fontsize=7.5, va="center", bbox=_PAPER)


# Numbers stay legible over lines.
_PAPER: Any = {"boxstyle": "round,pad=0.1", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.6}


def draw_slices(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """The score against each key, a point per trial, a marker per round."""
    found = trials_of(sources[0])
    count = len(found.scales)
    columns = min(count, 3)
    rows = -(-count // columns)
    if rows > 1:
        figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() * (0.2 + 0.8 * rows))
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    numbers = np.unique(found.rounds)
    for place, (scale, unit) in enumerate(zip(found.scales, found.units, strict=True)):
        axes = panels[place // columns][place % columns]
        for index, number in enumerate(numbers):
            chosen = found.rounds == number
            name = f"round {number:g}" if len(numbers) > 1 and place == 0 else None
            axes.plot(unit[chosen], found.score[chosen], ls="", marker=marker(index), ms=4, mew=0, alpha=0.75)
            axes.lines[-1].set(color=colour(index), label=name or "_")
        axes.plot(unit[found.best], found.score[found.best], "*", ms=12, color=VERMILLION, mec="#FFFFFF", mew=0.6)
        _unit_axis(axes, scale, "x")
        if place % columns == 0:
            axes.set_ylabel("score: " + error_label(sources).replace(" (", "\n("))
    for place in range(count, rows * columns):
        panels[place // columns][place % columns].set_visible(False)
    chosen_among = [panels[i // columns][i % columns] for i, scale in enumerate(found.scales) if scale.choices]
    if turn_crowded_names(figure, chosen_among):  # they take height, of which the scores' names need all
        figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + 0.5 * rows)
    if len(numbers) > 1:
        legend(panels[0][0])
    title = f"{sources[0].title}: score along each key; the star is the best"
    figure.suptitle(options.title or title, x=0.01, ha="left", fontsize=11)


def draw_rounds(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Coarse to fine over the two keys that were narrowed most: each round's box, and its trials."""
    from matplotlib.patches import Rectangle

    source = sources[0]
    found = trials_of(source)
    axes = figure.add_subplot()
    numbers = np.unique(found.rounds)
    boxes = [[_side(found, source, k, int(number)) for k in range(len(found.scales))] for number in numbers]
    widths = [high - low for low, high in boxes[-1]]
    across, up = sorted(np.argsort(widths, kind="stable")[:2].tolist()) if len(found.scales) > 1 else (0, None)
    for index, number in enumerate(numbers):
        chosen = found.rounds == number
        heights = found.score if up is None else found.units[up]
        (left, right), (low, high) = boxes[index][across], (0.0, 1.0) if up is None else boxes[index][up]
        if up is None:
            low, high = float(np.nanmin(found.score)), float(np.nanmax(found.score))
        axes.add_patch(Rectangle((left, low), right - left, high - low, fill=False, ec=colour(index), lw=1.6))
        axes.plot(
            found.units[across][chosen],
            heights[chosen],
            ls="",
            marker=marker(index),
            ms=4.5,
            mew=0,
            color=colour(index),
            alpha=0.8,
            label=f"round {number:g}: {counted(int(chosen.sum()), 'trial')}",
        )
    best = found.score[found.best] if up is None else found.units[up][found.best]
    axes.plot(found.units[across][found.best], best, "*", ms=13, color=VERMILLION, mec="#FFFFFF", mew=0.6, label="best")
    _unit_axis(axes, found.scales[across], "x")
    if up is None:
        axes.set_ylabel("score: " + error_label(sources))
    else:
        _unit_axis(axes, found.scales[up], "y")
    axes.set_title(options.title or f"{source.title}: from coarse to fine")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _side(found: Trials, source: Source, key: int, number: int) -> tuple[float, float]:
    """A round's box along a key on [0, 1]: as the summary records it, else what its trials span."""
    scale = found.scales[key]
    for told in source.summary.get("rounds") or []:
        box = told.get("box") or told.get("bounds") if isinstance(told, Mapping) else None
        if isinstance(box, Mapping) and told.get("round") == number and scale.key in box:
            units = scale.unit([as_cell(value) for value in box[scale.key]])
            units = units[np.isfinite(units)]
            half = 0.5 / len(scale.choices) if scale.choices else 0.0
            if units.size:
                return float(units.min()) - half, float(units.max()) + half
    here = found.units[key][found.rounds == number]
    return (float(np.nanmin(here)), float(np.nanmax(here))) if np.isfinite(here).any() else (0.0, 1.0)


def _unit_axis(axes: Axes, scale: KeyScale, which: str) -> None:
    positions, names = scale.ticks()
    if which == "x":
        axes.set_xticks(positions, names)
        axes.set_xlim(-0.04, 1.04)
        axes.set_xlabel(label(scale.key))
    else:
        axes.set_yticks(positions, names)
        axes.set_ylim(-0.04, 1.04)
        axes.set_ylabel(label(scale.key))


def _key(key: str) -> str:
    """A key on two lines: its section, and its name."""
    section, _, name = label(key).rpartition(".")
    return f"{section}.\n{name}" if section else name
