"""A series with its exponentially weighted averages, as `dlrun smooth --out` wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.errors import RunError
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Columns, Source
from dlrun.reporting.plots.style import FAINT, colour, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "smoothed.csv"
MARK = "_beta_"


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Points for the series, a line for each β."""
    table = sources[0].table(FILE)
    averages = [column for column in table.texts if MARK in column]
    name = averages[0].rpartition(MARK)[0] if averages else ""
    if name not in table:
        raise RunError(f"{table.path}: the column {name!r}, which was smoothed, is not there")
    x, unit = _places(table, {name, *averages})
    axes = figure.add_subplot()
    axes.plot(x, table.numbers(name), ".", color=FAINT, ms=3.5, label=label(name))
    for index, column in enumerate(averages):
        beta = float(column.rpartition(MARK)[2])
        count = f"{1 / (1 - beta):.3g}"
        about = f"β = {beta:g}, about {count} value{'' if count == '1' else 's'}"
        axes.plot(x, table.numbers(column), color=colour(index), lw=1.6, label=about)
    axes.set_xlabel(unit)
    axes.set_ylabel(label(name))
    axes.set_title(options.title or f"{label(name)}, exponentially weighted averages")
    legend(axes)


def _places(table: Columns, others: set[str]) -> tuple[Any, str]:
    """What the series runs over: the first other column that rises or holds dates, else the number of the row."""
    for column in table.texts:
        if column in others:
            continue
        if table.numeric(column):
            x = table.numbers(column)
            if np.isfinite(x).all() and (np.diff(x) > 0).all():
                return x, label(column)
        else:
            try:
                return [date.fromisoformat(text) for text in table.text(column).tolist()], label(column)
            except ValueError:
                continue
    return np.arange(len(table)), "row"
