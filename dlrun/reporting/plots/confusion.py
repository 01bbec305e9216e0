"""The confusion matrix, as counts and as shares of each true class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlrun.errors import RunError
from dlrun.reporting.plots.answers import answers_of
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NUMBERS = 20  # classes; beyond, the numbers would overlap
MOST_NAMES = 40


def has_classes(source: Source) -> bool:
    """Whether the run classifies: by its summary, or by probabilities among its predictions."""
    if source.summary.get("task"):
        return str(source.summary["task"]) == "classification"
    return source.has("predictions.csv") and any(c.startswith("p_") for c in source.table("predictions.csv").texts)


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """True classes down, answers across; each row's colour is its share."""
    from matplotlib.colors import LinearSegmentedColormap

    source = sources[0]
    found = answers_of(source)
    C = len(found.classes)
    if not C:
        raise RunError(f"{source.path}: a regression has no confusion matrix; --kind predicted shows its answers")
    counts = np.bincount(found.codes * C + found.called, minlength=C * C).reshape(C, C)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros((C, C)), where=totals > 0)
    axes = figure.add_subplot()
    blues = LinearSegmentedColormap.from_list("blues", ["#FFFFFF", "#56B4E9", "#00457A"])
    image = axes.imshow(shares, cmap=blues, vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the true class")
    axes.grid(False)
    for edge in range(C + 1):  # a line round every cell, empty ones too
        for across in (axes.axhline, axes.axvline):
            across(edge - 0.5, color="#808080", alpha=0.35, lw=0.6)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    if C <= MOST_NUMBERS:
        for i, j in np.ndindex(C, C):
            if counts[i, j]:
                shade = "#FFFFFF" if shares[i, j] > 0.6 else "#1A1A1A"
                axes.text(j, i, f"{counts[i, j]}", ha="center", va="center", color=shade, fontsize=9 if C <= 12 else 7)
    if C <= MOST_NAMES:
        names = [label(name, longest=16) for name in found.classes]
        turned = max(map(len, names)) * C > 60
        axes.set_xticks(range(C), names, rotation=90 if turned else 0)
        axes.set_yticks(range(C), names)
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xlim(-0.52, C - 0.48)
    axes.set_ylim(C - 0.48, -0.52)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    error = float((found.codes != found.called).mean())
    title = f"{source.title}: {found.rows}, {len(found.codes)} answers, {100 * error:.3g} % wrong"
    axes.set_title(options.title or title)
