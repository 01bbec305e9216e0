"""Text that comes from users' files, made safe for a terminal, and the width it takes there."""

from __future__ import annotations

import unicodedata

# Marks that reorder the text around them: a column name must not be able to rewrite its neighbours.
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HARMFUL = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, lone surrogates, line and paragraph separators


def neutralize(text: str, *, keep_lines: bool = False) -> str:
    """`text` with control characters and direction marks as escapes (`\\n`, `\\u001b`).

    The escapes are those of TOML and JSON. `keep_lines` leaves line breaks alone, for messages and files
    that have several lines of their own.
    """
    if text.isprintable() and text.isascii():
        return text
    return "".join(character if keep_lines and character == "\n" else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character in _DIRECTION_MARKS or unicodedata.category(character) in _HARMFUL:
        return f"\\u{ord(character):04x}"
    return character


def display_width(text: str) -> int:
    """Columns that `text` takes on a terminal: 2 for wide East Asian characters, 0 for combining marks."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
