"""Tables of results: with Rich on a terminal, as aligned plain text anywhere else."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dlrun.text import display_width, neutralize

if TYPE_CHECKING:
    from rich.console import Group

Justify = Literal["left", "right"]
NARROWEST = 12  # columns of a terminal that a text is folded to at the least


@dataclass(frozen=True)
class Column:
    """A column's heading; without `justify`, columns of numbers stand to the right and text to the left."""

    name: str
    justify: Justify | None = None


@dataclass
class Table:
    """A title, columns, rows of plain values (text, numbers, bools, None), and notes below.

    Floats show six significant digits, None a dash; a cell that is already text is shown as it is, with
    control characters escaped.
    """

    title: str
    columns: Sequence[Column | str]
    rows: list[Sequence[Any]] = field(default_factory=list)
    footnotes: list[str] = field(default_factory=list)

    def add(self, *cells: Any) -> None:
        """One more row; there must be a cell for each column."""
        if len(cells) != len(self.columns):
            raise ValueError(f"a row of {len(cells)} cells in a table of {len(self.columns)} columns")
        self.rows.append(cells)

    def _justified(self) -> list[Justify]:
        """Each column's alignment: as asked for, else by what the column holds."""
        result: list[Justify] = []
        for index, column in enumerate(self.columns):
            asked = column.justify if isinstance(column, Column) else None
            cells = [row[index] for row in self.rows if row[index] is not None]
            numeric = bool(cells) and all(_is_number(cell) for cell in cells)
            result.append(asked or ("right" if numeric else "left"))
        return result

    def _headings(self) -> list[str]:
        return [neutralize(c.name if isinstance(c, Column) else c) for c in self.columns]


def cell_text(value: Any) -> str:
    """A cell as it is shown. Every cell of every table goes through here."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return neutralize(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        number = float(value)
        return f"{number:.6g}" if math.isfinite(number) else str(number)
    return neutralize(str(value))


def render_plain(table: Table) -> str:
    """Aligned columns two spaces apart; nothing but the text, so that scripts can read it."""
    headings = table._headings()
    body = [[cell_text(cell) for cell in row] for row in table.rows]
    justify = table._justified()
    widths = [max(map(display_width, column)) for column in zip(headings, *body, strict=True)]
    lines = [neutralize(table.title)] if table.title else []
    for cells in [headings, *body]:
        padded = [_pad(*parts) for parts in zip(cells, widths, justify, strict=True)]
        lines.append("  ".join(padded).rstrip())
    lines += [neutralize(note) for note in table.footnotes]
    return "\n".join(lines)


def render_rich(table: Table, width: int = 80) -> Group:
    """The same table for Rich, `width` columns wide at most; no number and no heading's word is cut for it.

    Texts are folded, and headings broken after a space, a hyphen, a dot or an underscore. Where that is not enough
    the frame is left out and columns move together; and where nothing is, each row becomes a list of its cells.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    title = [Text(neutralize(table.title), style="bold", overflow="fold")] if table.title else []
    notes = [
        Text(neutralize(note), style="yellow" if note.startswith("Warning") else "dim") for note in table.footnotes
    ]
    for frame, gap in ((box.ROUNDED, 3), (None, 2), (None, 1)):
        taken = gap * len(table.columns) + (1 if frame else -gap)
        widths = _widths(table, width - taken)
        if widths is None:
            continue
        padding = (0, 1) if frame else (0, gap, 0, 0)
        grid = RichTable(box=frame, padding=padding, pad_edge=frame is not None, header_style="bold")
        for heading, justify, size in zip(table._headings(), table._justified(), widths, strict=True):
            grid.add_column(Text("\n".join(_broken(heading, size))), justify=justify, overflow="fold", width=size)
        for row in table.rows:
            grid.add_row(*(Text(cell_text(cell)) for cell in row))
        return Group(*title, grid, *notes)
    return Group(*title, *(Text(line, overflow="fold") for line in _records(table)), *notes)


def _widths(table: Table, room: int) -> list[int] | None:
    """A width for each column: what it takes, less for text where room is short; None where there is too little."""
    whole, least = [], []
    for index, (heading, justify) in enumerate(zip(table._headings(), table._justified(), strict=True)):
        cells = max((display_width(cell_text(row[index])) for row in table.rows), default=0)
        words = max(map(display_width, _broken(heading, 1)), default=0)
        whole.append(max(cells, display_width(heading)))
        least.append(max(words, cells if justify == "right" else min(cells, NARROWEST)))
    spare = room - sum(least)
    if spare < 0:
        return None
    for index in sorted(range(len(least)), key=lambda i: whole[i] - least[i]):  # those that lack least first
        given = min(spare, whole[index] - least[index])
        least[index] += given
        spare -= given
    return least


def _broken(heading: str, width: int) -> list[str]:
    """The heading in lines of at most `width` where that can be, broken after spaces, hyphens, dots and underscores."""
    lines = [""]
    for part in re.findall(r"[^ ._-]*[ ._-]?", heading):
        if lines[-1] and display_width((lines[-1] + part).rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return [line.rstrip() for line in lines]


def _records(table: Table) -> list[str]:
    """Row by row, a line for each cell under its heading's name."""
    headings = table._headings()
    longest = max(map(display_width, headings), default=0)
    lines: list[str] = []
    for row in table.rows:
        lines += [
            f"{_pad(heading, longest, 'left')}  {cell_text(cell)}" for heading, cell in zip(headings, row, strict=True)
        ]
        lines.append("")
    return lines


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _pad(text: str, width: int, justify: Justify) -> str:
    space = " " * (width - display_width(text))
    return space + text if justify == "right" else text + space
