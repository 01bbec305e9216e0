"""Dates written as texts: in which form a column writes them, and the numbers that each is."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date

PARTS = ("year", "month", "day", "weekday")
_TIME = (
    r"(?:[T ] *(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?::[0-5]\d(?:[.,]\d+)?)?"
    r" *(?P<half>[AaPp][Mm])? *(?:Z|[-+]\d{2}:?\d{2})?)?"
)
_YEAR, _MONTH, _DAY = r"(?P<year>\d{4})", r"(?P<month>\d{1,2})", r"(?P<day>\d{1,2})"
_FORMS = {
    "yyyy-mm-dd": re.compile(rf"{_YEAR}(?P<mark>[-/.]){_MONTH}(?P=mark){_DAY}{_TIME}", re.ASCII),
    "dd.mm.yyyy": re.compile(rf"{_DAY}\.{_MONTH}\.{_YEAR}{_TIME}", re.ASCII),
    "mm/dd/yyyy": re.compile(rf"{_MONTH}(?P<mark>[-/]){_DAY}(?P=mark){_YEAR}{_TIME}", re.ASCII),
    "dd/mm/yyyy": re.compile(rf"{_DAY}(?P<mark>[-/]){_MONTH}(?P=mark){_YEAR}{_TIME}", re.ASCII),
}
FORMS = tuple(_FORMS)


def date_forms(texts: Collection[str]) -> tuple[str, ...]:
    """The forms in which all of these are dates: none, one, or two where month and day may be either."""
    if not texts:
        return ()
    return tuple(form for form in FORMS if all(read_date(text, form) is not None for text in texts))


def date_parts(texts: Collection[str], form: str) -> tuple[str, ...]:
    """What these dates tell: year, month, day and weekday, and the hour where any has a time."""
    timed = any((found := _FORMS[form].fullmatch(text)) is not None and found["hour"] for text in texts)
    return (*PARTS, "hour") if timed else PARTS


def read_date(text: str, form: str) -> tuple[int, int, int, int, int] | None:
    """Year, month, day, weekday (0 is Monday) and hour (0 without a time) as written; None for what is no such date."""
    found = _FORMS[form].fullmatch(text)
    if found is None:
        return None
    try:
        day = date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:  # the 31st of February
        return None
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (found["half"].lower() == "pm")
    return (day.year, day.month, day.day, day.weekday(), hour) if hour < 24 else None


def ambiguous_dates(texts: Collection[str]) -> str:
    """What is to be said where these are dates whose month and day may be either; nothing where they are not."""
    if len(date_forms(texts)) < 2:
        return ""
    return f"{min(texts)!r} and all others may be month/day/year or day/month/year; write dates as yyyy-mm-dd"
