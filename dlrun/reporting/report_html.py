"""HTML in which nothing that comes from users' data can be markup."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from dlrun.reporting.tables import Table, cell_text
from dlrun.text import neutralize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
LONG = 28  # characters from which a cell of text is kept wide enough to read
ENLARGED = 1.25  # pixels to a point of a picture where there is room
LARGEST_SVG = 600_000  # characters; a picture of more becomes a PNG


class Markup(str):
    """Text that is HTML already. Made by this module alone; everything else is escaped where it enters."""

    __slots__ = ()


def escaped(value: object, *, keep_lines: bool = False) -> Markup:
    """Any value as text: markup characters escaped, control characters and direction marks shown as escapes."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(neutralize(str(value), keep_lines=keep_lines)))


def tag(element: str, /, *children: object, **attributes: object) -> Markup:
    """An element; children that are no Markup are escaped, as are attributes (`class_` for class, None for none)."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if element in ("meta", "img"):
        return Markup(f"<{element}{given}>")
    return Markup(f"<{element}{given}>{''.join(map(escaped, children))}</{element}>")


def isolated(value: object) -> Markup:
    """A text of the user's, whose direction of writing stays its own."""
    return tag("bdi", value)


def html_table(table: Table) -> Markup:
    """A table of results that scrolls by itself where it is wider than the page."""
    justify = table._justified()
    kinds = ["number" if each == "right" else None for each in justify]
    head = tag(
        "tr", *(tag("th", isolated(h), scope="col", class_=k) for h, k in zip(headings(table), kinds, strict=True))
    )
    body = [tag("tr", *(_cell(c, k) for c, k in zip(row, kinds, strict=True))) for row in table.rows]
    caption = [tag("caption", isolated(table.title))] if table.title else []
    grid = tag("table", *caption, tag("thead", head), tag("tbody", *body))
    notes = [tag("p", isolated(note), class_="note") for note in table.footnotes]
    wide = tag("div", grid, class_="wide", tabindex="0", role="region", aria_label=table.title or "table")
    return tag("div", wide, *notes)


def headings(table: Table) -> list[str]:
    """The texts over the columns."""
    return table._headings()


def _cell(value: Any, kind: str | None) -> Markup:
    text = cell_text(value)
    return tag("td", isolated(text), class_=kind or ("long" if len(text) > LONG else None))


def facts(pairs: Sequence[tuple[str, object]]) -> Markup:
    """Names and values beneath each other."""
    rows = (tag("div", tag("dt", key), tag("dd", isolated(value))) for key, value in pairs if value is not None)
    return tag("dl", *rows)


# -- pictures --------------------------------------------------------------------------------------


def inline_picture(figure: Figure, *, about: str, prefix: str) -> Markup:
    """A figure as SVG inside the page, in the page's own ink and paper; as PNG where that would be too large.

    `prefix` begins its ids, so that those of several pictures differ.
    """
    from dlrun.reporting.plots.style import to_bytes

    for axes in figure.axes:
        axes.set_facecolor("none")
    figure.set_facecolor("none")
    svg = _own_svg(to_bytes(figure, "svg"), about, prefix)
    if len(svg) <= LARGEST_SVG:
        return Markup(svg)
    return _as_png(figure, about)


def _as_png(figure: Figure, about: str) -> Markup:
    import base64

    from dlrun.reporting.plots.style import to_bytes

    figure.set_facecolor("#FFFFFF")
    data = base64.b64encode(to_bytes(figure, "png")).decode()
    return tag("img", src=f"data:image/png;base64,{data}", alt=about)


def _own_svg(svg: bytes, about: str, prefix: str) -> str:
    """matplotlib's SVG without its head, comments, metadata and global style; ids and colours made the page's own."""
    from dlrun.reporting.plots.style import COLOURS, INK, PAPER

    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.parse(io.BytesIO(svg)).getroot()  # noqa: S314 (what matplotlib has just written)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    inks = {INK.lower(): "currentColor", PAPER.lower(): "var(--paper)"}
    inks |= {shade.lower(): f"var(--c{number})" for number, shade in enumerate(COLOURS)}
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                value = f"{prefix}{value}"
            elif key.endswith("href") and value.startswith("#"):
                value = f"#{prefix}{value[1:]}"
            elif "url(#" in value:
                value = value.replace("url(#", f"url(#{prefix}")
            if key in ("style", "fill", "stroke"):
                for ink, own in inks.items():
                    value = value.replace(ink, own)
                value = value.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
            element.attrib[key] = value
    box = root.attrib["viewBox"].split()
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": f"{float(box[2]) * ENLARGED:.0f}",
        "role": "img",
        "aria-label": neutralize(about),
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    return ElementTree.tostring(root, encoding="unicode")
