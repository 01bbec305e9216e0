"""A regression's answers against the targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlrun.errors import RunError
from dlrun.records import four_digits
from dlrun.reporting.plots.answers import answers_of
from dlrun.reporting.plots.confusion import has_classes
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import FAINT, colour, evenly, legend, marker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 3000


def has_numbers(source: Source) -> bool:
    """Whether the run is a regression."""
    return not has_classes(source)


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """A point per answer, and the line on which a perfect model's would lie."""
    axes = figure.add_subplot()
    ends: list[float] = []
    for index, source in enumerate(sources):
        found = answers_of(source)
        if found.classes:
            raise RunError(f"{source.path}: a classification answers with classes; --kind confusion shows them")
        target, answer = found.target, found.answers[:, 0]
        error = float(np.sqrt(((target - answer) ** 2).mean()))
        rows = list(evenly(len(target), MOST_POINTS))
        name = f"{source.name if len(sources) > 1 else found.rows}: root mean squared error {four_digits(error)}"
        axes.plot(
            target[rows], answer[rows], marker(index), color=colour(index), ms=4, alpha=0.7, mew=0, label=name, ls=""
        )
        ends += [target.min(), target.max(), answer.min(), answer.max()]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color=FAINT, lw=1, ls="--", label="answer = target")
    names = {str(source.summary.get("target") or "target") for source in sources}
    what = label(names.pop()) if len(names) == 1 else "target"
    axes.set_xlabel(what)
    axes.set_ylabel(f"answer for {what}" if what != "target" else "answer")
    several = f"answers of {len(sources)} runs"
    axes.set_title(options.title or (f"{sources[0].title}: answers" if len(sources) == 1 else several))
    legend(axes)
