"""A drawn figure as plain characters: what its axes hold, on a grid of letters.

Every picture is drawn once, by matplotlib; here its lines, points, bars, boxes, images and numbers are read back and
put where they would stand. So each kind has its plot in the terminal without code of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.records import four_digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
WIDTH, HEIGHT = 64, 16
MARKS = "*+ox#%@&"
SHADES = " .:-=+*#"


def as_text(figure: Figure, *, width: int = WIDTH, height: int = HEIGHT) -> str:
    """All axes of the figure one below the other, each with its title, its range and its legend."""
    figure.draw_without_rendering()  # so that limits and positions are final
    panels = [_panel(axes, width, height) for axes in figure.axes if axes.get_label() != "<colorbar>"]
    heading = figure.get_suptitle()
    return "\n\n".join(filter(None, [heading, *panels]))


class _Grid:
    """Characters over the limits of an axes, in the axes' own scale; later marks cover earlier ones."""

    def __init__(self, axes: Axes, width: int, height: int) -> None:
        self._axes, self.width, self.height = axes, width, height
        self.cells = [[" "] * width for _ in range(height)]

    def place(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        """Columns and rows (as real numbers) of points in data units."""
        points = np.column_stack([np.asarray(x, float).ravel(), np.asarray(y, float).ravel()])
        with np.errstate(all="ignore"):
            shares = self._axes.transAxes.inverted().transform(self._axes.transData.transform(points))
        return shares[:, 0] * (self.width - 1), (1 - shares[:, 1]) * (self.height - 1)

    def mark(self, column: float, row: float, mark: str) -> None:
        if not (np.isfinite(column) and np.isfinite(row)):
            return
        c, r = round(column), round(row)
        if 0 <= r < self.height and 0 <= c < self.width:
            self.cells[r][c] = mark

    def points(self, x: Any, y: Any, mark: str) -> None:
        for column, row in zip(*self.place(x, y), strict=True):
            self.mark(column, row, mark)

    def line(self, x: Any, y: Any, mark: str) -> None:
        """Points and what lies between them."""
        columns, rows = self.place(x, y)
        for i in range(len(columns) - 1):
            ends = np.array([columns[i], columns[i + 1], rows[i], rows[i + 1]])
            if not np.isfinite(ends).all():
                continue
            ends = np.clip(ends, -1e4, 1e4)
            steps = int(min(max(abs(ends[1] - ends[0]), abs(ends[3] - ends[2])), 400)) + 1
            for share in np.linspace(0, 1, steps + 1):
                self.mark(ends[0] + share * (ends[1] - ends[0]), ends[2] + share * (ends[3] - ends[2]), mark)
        if len(columns) == 1:
            self.mark(columns[0], rows[0], mark)

    def write(self, x: float, y: float, text: str) -> None:
        """A text centred on a point."""
        columns, rows = self.place([x], [y])
        for offset, character in enumerate(text):
            self.mark(columns[0] - (len(text) - 1) / 2 + offset, rows[0], character)


def _panel(axes: Axes, width: int, height: int) -> str:
    grid = _Grid(axes, width, height)
    named = _contents(axes, grid)
    low, high = axes.get_ylim()
    margin = [four_digits(high), *[""] * (height - 2), four_digits(low)]
    if names := _tick_names(axes.yaxis, height, 1 - 2 * (low < high), min(low, high), max(low, high)):
        margin = names
    left = max(map(len, margin))
    lines = [f"{text:>{left}} |{''.join(cells).rstrip()}" for text, cells in zip(margin, grid.cells, strict=True)]
    lines.append(" " * left + " +" + "-" * width)
    lines.append(" " * (left + 2) + _across(axes, width))
    title = axes.get_title(loc="left") or axes.get_title()
    sides = ", ".join(
        f"{way}: {text}" for way, text in (("across", axes.get_xlabel()), ("up", axes.get_ylabel())) if text
    )
    below = [f"{mark} {name}" for mark, name in named]
    return "\n".join([*filter(None, [title]), *lines, *filter(None, [sides]), *below])


def _contents(axes: Axes, grid: _Grid) -> list[tuple[str, str]]:
    """Put everything on the grid; the marks that have names."""
    from matplotlib.colors import to_hex

    marks = _Marks(axes)
    for image in axes.images:
        _image(image, grid, with_shades=not axes.texts)
    for collection in axes.collections:
        if getattr(collection, "filled", True) is False:  # contours: borders and lines of equal cost
            for path in collection.get_paths():
                for part in map(np.asarray, path.to_polygons(closed_only=False)):
                    grid.line(part[:, 0], part[:, 1], ".")
    for patch in axes.patches:
        vertices = patch.get_path().transformed(patch.get_patch_transform()).vertices
        outline = np.asarray(vertices, float)
        grid.line(outline[:, 0], outline[:, 1], marks.of(patch, to_hex(_patch_colour(patch))))
    for line in axes.lines:
        x, y = np.asarray(line.get_xdata(orig=False), float), np.asarray(line.get_ydata(orig=False), float)
        if line.get_transform() != axes.transData:  # a line across the whole axes, at one x or y
            x, y = _spanning(axes, x, y)
        mark = marks.of(line, to_hex(line.get_color()))
        (grid.points if line.get_linestyle() in ("None", "", " ") else grid.line)(x, y, mark)
    for text in axes.texts:
        grid.write(*text.get_position(), text.get_text())
    return marks.named


class _Marks:
    """A mark for all that has a name; what has none shares that of its colour, or takes one that is left."""

    def __init__(self, axes: Axes) -> None:
        from matplotlib.colors import to_hex

        self.named: list[tuple[str, str]] = []
        self._of_artist: dict[int, str] = {}
        self._of_colour: dict[str, str] = {}
        self._free = list(MARKS)
        for artist, colour, name in _named(axes):
            mark = self._next()
            self.named.append((mark, name))
            self._of_artist[id(artist)] = mark
            self._of_colour.setdefault(to_hex(colour), mark)

    def of(self, artist: Any, colour: str) -> str:
        if id(artist) in self._of_artist:
            self._of_colour[colour] = self._of_artist[id(artist)]
        elif colour not in self._of_colour:
            self._of_colour[colour] = self._next()
        return self._of_colour[colour]

    def _next(self) -> str:
        return self._free.pop(0) if self._free else MARKS[-1]


def _named(axes: Axes) -> Iterator[tuple[Any, Any, str]]:
    """What stands in a legend: the artist, its colour, its name."""
    legend = axes.get_legend()
    if legend is not None and not axes.get_legend_handles_labels()[0]:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if handle is not None and hasattr(handle, "get_color"):
                yield handle, handle.get_color(), text.get_text()
    artists: list[Any] = [*axes.patches, *axes.containers, *axes.lines]
    for artist, name in ((each, str(each.get_label())) for each in artists):
        if not name or name.startswith("_"):
            continue
        first: Any = artist[0] if isinstance(artist, tuple) else artist  # of bars the first, of error bars their points
        if hasattr(first, "get_facecolor"):
            yield artist, _patch_colour(first), name
        elif first is not None:
            yield artist, first.get_color(), name


def _patch_colour(patch: Any) -> Any:
    """The colour of a patch's ground, or of its edge where it has none."""
    face = tuple(patch.get_facecolor())
    return (patch.get_edgecolor() if face[-1] == 0 else face)[:3]


def _spanning(axes: Axes, x: FloatArray, y: FloatArray) -> tuple[Any, Any]:
    """An axhline or axvline in data units."""
    if np.ptp(x) == 0 and x.size:
        return x, axes.get_ylim()
    return axes.get_xlim(), y


def _image(image: Any, grid: _Grid, *, with_shades: bool) -> None:
    values: FloatArray = np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)
    if not with_shades or values.ndim != 2:
        return
    low, high = image.get_clim()
    for i, j in np.ndindex(*values.shape):
        if np.isfinite(values[i, j]):
            share = (values[i, j] - low) / ((high - low) or 1.0)
            grid.write(j, i, SHADES[int(np.clip(share, 0, 1) * (len(SHADES) - 1))])


def _tick_names(axis: Any, height: int, sign: int, low: float, high: float) -> list[str] | None:
    """Names beside the rows where an axis has names and not numbers."""
    from matplotlib.ticker import FixedLocator

    if not isinstance(axis.get_major_locator(), FixedLocator):
        return None
    found = [""] * height
    for place, text in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False):
        if low <= place <= high and high > low:
            share = (place - low) / (high - low)
            found[round((share if sign > 0 else 1 - share) * (height - 1))] = text.get_text()
    return found


def _across(axes: Axes, width: int) -> str:
    """The range below, or the names where the axis has names."""
    from matplotlib.ticker import FixedLocator

    low, high = axes.get_xlim()
    row = [" "] * width
    if isinstance(axes.xaxis.get_major_locator(), FixedLocator):
        for place, text in zip(axes.xaxis.get_majorticklocs(), axes.xaxis.get_majorticklabels(), strict=False):
            name = text.get_text().replace("\n", " ")
            start = round((place - low) / (high - low) * (width - 1) - (len(name) - 1) / 2)
            for offset, character in enumerate(name):
                if 0 <= start + offset < width:
                    row[start + offset] = character
        return "".join(row).rstrip()
    ends = four_digits(low), four_digits(high)
    return ends[0] + " " * max(width - len(ends[0]) - len(ends[1]), 1) + ends[1]
