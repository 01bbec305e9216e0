"""Text from users' data as it may stand in a picture."""

from __future__ import annotations

from functools import lru_cache

from dlrun.text import neutralize

LONGEST = 40


def label(text: object, *, longest: int = LONGEST) -> str:
    """`text` with control characters and direction marks as escapes, cut to `longest` characters.

    Characters that no font at hand can show are escapes too: two classes must not become two equal boxes.
    """
    shown = neutralize(str(text))
    if not shown.isascii():
        shown = "".join(c if c.isascii() or _drawn(c) else f"\\u{ord(c):04x}" for c in shown)
    if shown[:1] == "_":  # matplotlib leaves such a name out of legends
        shown = "\u200a" + shown if _drawn("\u200a") else " " + shown
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


@lru_cache(maxsize=4096)
def _drawn(character: str) -> bool:
    from matplotlib.font_manager import findfont, get_font

    return ord(character) in get_font(findfont("DejaVu Sans")).get_charmap()
