"""A picture from runs to bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dlrun.reporting.plots.kinds import KINDS, Options
from dlrun.reporting.plots.source import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def drawn(
    kind: str, sources: Sequence[Source], options: Options, *, salt: str = "dlrun", scale: float = 1.0
) -> Iterator[Figure]:
    """The figure of this kind; inside the block it can be saved under the settings it was drawn with.

    A `salt` of its own is for a picture inside a page: its letters stay text. A `scale` below 1 makes letters larger
    beside the rest.
    """
    from dlrun.reporting.plots.style import drawing, new_figure

    chosen = KINDS[kind]
    with drawing(text_in_svg=salt != "dlrun", salt=salt):
        figure = new_figure((scale * chosen.inches[0], scale * chosen.inches[1]))
        chosen.draw(figure, sources, options)
        yield figure
