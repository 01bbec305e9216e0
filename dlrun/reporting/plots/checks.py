"""A gradient check: the relative difference of each parameter, and the error against ε."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlrun.errors import RunError
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import FAINT, GREEN, ORANGE, VERMILLION, colour, legend, line, log_axis, marker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 1e-17  # a difference of 0 has no place on a logarithmic axis
VERDICTS = {"great": (GREEN, "o"), "look closer": (ORANGE, "s"), "worry": (VERMILLION, "X")}
TEXTS = {1e-7: "great", 1e-5: "look closer", 1e-3: "worry"}  # E2's figures
SIDES = {"one_sided": ("one-sided", 1), "two_sided": ("two-sided", 2)}


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """A point per parameter on a logarithmic axis, its verdict by colour and marker."""
    source = sources[0]
    table = source.table("gradcheck.csv")
    names, difference = table.text("parameter").tolist(), table.numbers("relative_difference")
    verdicts = table.text("verdict")
    axes = figure.add_subplot()
    places = np.arange(len(names))
    values = np.maximum(difference, LEAST)
    for verdict in dict.fromkeys(verdicts.tolist()):
        chosen = verdicts == verdict
        shade, mark = VERDICTS.get(verdict, (FAINT, "D"))
        axes.plot(values[chosen], places[chosen], ls="", marker=mark, color=shade, ms=7, label=label(verdict))
    for place, name in TEXTS.items():
        axes.axvline(place, color=FAINT, lw=0.8, ls=":")
        axes.annotate(name, (place, 1.0), xycoords=("data", "axes fraction"), fontsize=8, ha="center", va="bottom")
    axes.set_xlim(min(1e-12, float(np.nanmin(values)) / 3), max(3e-2, float(np.nanmax(values)) * 3))
    log_axis(axes, "x")
    axes.set_yticks(places, [label(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("relative difference ‖dθ_num − dθ‖ / (‖dθ_num‖ + ‖dθ‖)")
    axes.set_title(options.title or f"{source.title}: gradient check", pad=18)
    legend(axes)


def draw_sweep(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Relative difference against ε, with lines of slope 1 and 2 and the best ε of each."""
    source = sources[0]
    table = source.table("epsilon_sweep.csv")
    epsilon = table.numbers("epsilon")
    axes = figure.add_subplot()
    found = [side for side in SIDES if side in table]
    if not found:
        raise RunError(f"{table.path}: there is no column 'one_sided' or 'two_sided'; it has {', '.join(table.texts)}")
    for index, side in enumerate(found):
        name, order = SIDES[side]
        error = table.numbers(side)
        good = np.isfinite(error) & (error > 0)
        if not good.any():
            continue
        best = int(np.argmin(np.where(good, error, np.inf)))
        told = (source.summary.get("epsilon_sweep") or {}).get(side)
        slope = told.get("slope") if isinstance(told, Mapping) else None
        said = f", slope {slope:.2f}" if isinstance(slope, int | float) else ""
        axes.plot(
            epsilon[good],
            error[good],
            color=colour(index),
            ls=line(index),
            marker=marker(index),
            ms=4,
            label=f"{name}: best ε = {epsilon[best]:.0e}{said}",
        )
        axes.plot(epsilon[best], error[best], "*", ms=12, color=colour(index), mec="#FFFFFF", mew=0.6)
        guide = epsilon[good & (epsilon >= epsilon[best])]
        top = float(error[good][np.argmax(epsilon[good])])
        if guide.size > 1:
            axes.plot(guide, top * (guide / guide.max()) ** order, color=FAINT, lw=0.9, ls=":", label=f"slope {order}")
    log_axis(axes, "x")
    log_axis(axes, "y")
    axes.set_xlabel("ε")
    axes.set_ylabel("relative difference")
    axes.set_title(options.title or f"{source.title}: gradient check against ε")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
