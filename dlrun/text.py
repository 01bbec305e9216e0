"""Text that comes from users' files, made safe for a terminal, and the width it takes there."""

from __future__ import annotations

import re
import unicodedata

# Controls, lone surrogates, line and paragraph separators, and the marks that reorder the text around them: a column
# name must not be able to rewrite its neighbours.
_MARKS = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_HARMFUL = re.compile(f"[\x00-\x1f\x7f-\x9f{_MARKS}]")
_HARMFUL_BUT_LINES = re.compile(f"[\x00-\x09\x0b-\x1f\x7f-\x9f{_MARKS}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def neutralize(text: str, *, keep_lines: bool = False) -> str:
    """`text` with control characters and direction marks as escapes (`\\n`, `\\u001b`).

    The escapes are those of TOML and JSON. `keep_lines` leaves line breaks alone, for messages and files
    that have several lines of their own.
    """
    return (_HARMFUL_BUT_LINES if keep_lines else _HARMFUL).sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return _SHORT.get(match[0]) or f"\\u{ord(match[0]):04x}"


def display_width(text: str) -> int:
    """Columns that `text` takes on a terminal: 2 for wide East Asian characters, 0 for combining marks."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
