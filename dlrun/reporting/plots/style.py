"""How every picture looks: colours that the colour-blind tell apart, plain axes, the same bytes each time.

Colours are those of Okabe and Ito, "Color Universal Design" (2008); groups differ in their marker or line too,
so that a picture in grey still reads.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dlrun.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

FloatArray = npt.NDArray[np.float64]

BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":")
INK = "#202020"  # text and axes; a page may put its own colour in place of it
FAINT = "#808080"
PAPER = "#FEFEFE"  # what lies behind text; a page may put its own ground in place of it
FORMATS = ("png", "svg", "pdf")
INCHES = (7.2, 4.5)

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # it comes with matplotlib: the same letters on every machine
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.09,
    "text.parse_math": False,  # a class called $x$ is no formula
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "svg.hashsalt": "dlrun",
    "savefig.dpi": 150,
}


@contextmanager
def drawing(*, text_in_svg: bool = False, salt: str = "dlrun") -> Iterator[None]:
    """The settings to draw and to save under. With `text_in_svg` letters stay text instead of becoming outlines."""
    with rc_context({**SETTINGS, "svg.fonttype": "none" if text_in_svg else "path", "svg.hashsalt": salt}):
        yield


def new_figure(inches: tuple[float, float] = INCHES) -> Figure:
    """An empty figure that needs no display."""
    return Figure(figsize=inches)


def colour(index: int) -> str:
    """The colour of a series; after the last they begin again, with another line or marker."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """The marker of a series."""
    return MARKERS[index % len(MARKERS)]


def line(index: int) -> Any:
    """The line of a series among several: another one after each round of the colours."""
    return LINES[index // len(COLOURS) % len(LINES)]


def format_of(path: Path) -> str:
    """The format that a file's ending asks for; ConfigError for any but .png, .svg and .pdf."""
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise ConfigError(f"--out {path}: a picture's name should end in .png, .svg or .pdf")
    return ending


def to_bytes(figure: Figure, format: str) -> bytes:
    """The picture as a file's content, without dates, so that equal pictures are equal files."""
    undated: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format, metadata=undated[format])
    return buffer.getvalue()


# -- axes ------------------------------------------------------------------------------------------


def log_axis(axes: Axes, which: str) -> None:
    """A logarithmic axis whose ticks read 10⁻³."""
    if which == "x":
        axes.set_xscale("log")
    else:
        axes.set_yscale("log")
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    decades = high / low if low > 0 else 10.0
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value, always=decades > 1e4)))
    axis.set_minor_formatter(NullFormatter())
    if decades < 100:  # so few powers of ten leave an axis without numbers
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(value: float, *, always: bool = False) -> str:
    """10⁻³ for a thousandth, and plain digits for what is near 1 (unless `always`)."""
    text = f"{value:.4g}"
    mantissa, e, exponent = f"{value:.3e}".partition("e")
    power = int(exponent)
    if not e or value == 0 or (-3 < power < 4 and not always):
        return text
    digits = mantissa.rstrip("0").rstrip(".")
    raised = f"10{str(power).translate(_RAISED)}"
    return raised if digits == "1" else f"{digits}·{raised}"


def whole_ticks(axis: Axis) -> None:
    """Ticks at whole numbers alone: there is no epoch 2.5."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def contours(axes: Axes, x: FloatArray, y: FloatArray, heights: FloatArray, *, levels: int) -> bool:
    """Contours close together near the lowest cost, as on a map of a valley: quantiles of the cost. False if flat."""
    finite = heights[np.isfinite(heights)]
    if not finite.size or np.ptp(finite) == 0:
        return False
    chosen = np.unique(np.quantile(finite, np.linspace(0, 0.98, levels) ** 1.5))
    if len(chosen) > 1:
        axes.contour(x, y, np.ma.masked_invalid(heights), levels=chosen, colors=FAINT, linewidths=0.7, alpha=0.7)
    return True


def turn_crowded_names(figure: Figure, panels: Sequence[Axes]) -> bool:
    """Names below an axis that would run into each other are turned until they do not; whether any were."""
    if not panels:
        return False
    turned = False
    figure.draw_without_rendering()  # so that the places of names are known
    for axes in panels:
        names = sorted((text.get_window_extent() for text in axes.get_xticklabels()), key=lambda box: box.x0)
        pairs = list(itertools.pairwise(names))
        if all(left.x1 + 0.4 * left.height <= right.x0 for left, right in pairs):
            continue
        apart = min((left.x0 + left.x1 - right.x0 - right.x1) / -2 for left, right in pairs)
        angle = 40 if apart * math.sin(math.radians(40)) > 1.2 * names[0].height else 90
        for text in axes.get_xticklabels():
            text.set(rotation=angle, ha="right", va="top" if angle < 90 else "center", rotation_mode="anchor")
        turned = True
    return turned


def legend(axes: Axes, *, outside: bool = False) -> None:
    """A legend, if anything is named."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    if outside or len(labels) > 7:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    else:
        axes.legend(loc="best")


def evenly(count: int, most: int) -> Sequence[int]:
    """At most `most` of the numbers below `count`, evenly spread, the first and the last among them."""
    if count <= most:
        return range(count)
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})
