"""What a single value of a table may be: a number, a text, or missing."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable

from dlrun.errors import DataError

# The markers that pandas reads as missing, and the "?" of the UCI repository.
_WORDS = ["", "?", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>"]
_MARKS = ["#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"]
MISSING = frozenset([*_WORDS, *_MARKS])

# Larger magnitudes leave no room for a square or a difference in float64.
MAX_MAGNITUDE = 1e150

_UNSUSPICIOUS = 256_000_000  # bytes that any file may unfold to
_MOST_UNFOLDED = 200  # times its own size that a larger one may

BOOLEANS = frozenset(["true", "false"])

_DECIMAL_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_PERHAPS_THOUSANDS = re.compile(r"[-+]?\d{1,3},\d{3}")


def parse_number(text: str) -> float | None:
    """The number that a stripped text is, or None; Python's own extras (1_000, other digits) are text."""
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def number_label(value: float) -> str:
    """A number as a class label or a category: "3" for 3.0, else its shortest exact form."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def suggestion(name: str, choices: Iterable[str], *, what: str) -> str:
    """The end of a message about an unknown name: the nearest known one, and the known ones."""
    known = list(choices)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        folded = {choice.casefold(): choice for choice in known}
        near = [folded[key] for key in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)]
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"{hint} {what}: {shorten(known)}"


def shorten(names: Iterable[str], limit: int = 12) -> str:
    """Names separated by commas, cut after `limit` of them."""
    known = list(names)
    more = f", … ({len(known)} in all)" if len(known) > limit else ""
    return ", ".join(known[:limit]) + more


def decimal_commas(texts: Iterable[str]) -> str:
    """What is to be said where most of these texts are numbers with a decimal comma; nothing where they are not."""
    known = list(texts)
    found = [text for text in known if _DECIMAL_COMMA.fullmatch(text)]
    if 2 * len(found) <= len(known):
        return ""
    pointed = found[0].replace(".", "").replace(",", ".")
    whole = f", or {found[0].replace(',', '')}" if _PERHAPS_THOUSANDS.fullmatch(found[0]) else ""
    return f"{found[0]!r} has a decimal comma, which makes it a text; numbers have a point: write {pointed}{whole}"


def cut(text: str, limit: int = 60) -> str:
    """A value as a message quotes it."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def memory_bytes() -> int:
    """The machine's physical memory in bytes, or the container's share of it; 8 GiB where the system does not tell."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        memory = 8 * 2**30
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            return min(memory, int(file.read()))
    except (OSError, ValueError):  # no Linux, or "max"
        return memory


def refuse_size(name: str, *, declared: int, stored: int, limit: int | None = None, remedy: str) -> None:
    """DataError where a file of `stored` bytes declares more than fits the memory, or than an honest one would.

    Real tables shrink to a half or a tenth when they are compressed; what unfolds to hundreds of times its size is
    made to fill a memory. `remedy` says how to save a table that really is so even.
    """
    limit = memory_bytes() if limit is None else limit
    if declared > limit:
        raise DataError(
            f"{name} declares values of {show_bytes(declared)}, more than the {show_bytes(limit)} of memory that "
            "there are here; take fewer rows or columns."
        )
    if declared > _UNSUSPICIOUS and declared > _MOST_UNFOLDED * stored:
        raise DataError(
            f"{name} declares values of {show_bytes(declared)} in a file of {show_bytes(stored)}, as a file made to "
            f"fill the memory does; if it is sound, {remedy}."
        )


def show_bytes(count: int) -> str:
    """A number of bytes for a message: "3.2 GB"."""
    amount = float(count)
    for unit in ["bytes", "kB", "MB", "GB", "TB", "PB"]:
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} EB"
