"""Tables of results: with Rich on a terminal, as aligned plain text anywhere else."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dlrun.reporting.text import display_width, neutralize

if TYPE_CHECKING:
    from rich.console import Group

Justify = Literal["left", "right"]


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


def render_rich(table: Table) -> Group:
    """The same table for Rich. Cells are `Text`, so that no markup or emoji code in them is interpreted."""
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    title = Text(neutralize(table.title), style="bold") if table.title else None
    grid = RichTable(title=title, title_justify="left", box=box.ROUNDED, header_style="bold")
    for heading, justify in zip(table._headings(), table._justified(), strict=True):
        grid.add_column(Text(heading), justify=justify, overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(cell_text(cell)) for cell in row))
    return Group(grid, *(Text(neutralize(note), style="dim") for note in table.footnotes))


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _pad(text: str, width: int, justify: Justify) -> str:
    space = " " * (width - display_width(text))
    return space + text if justify == "right" else text + space
