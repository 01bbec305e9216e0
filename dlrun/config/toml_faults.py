"""What is wrong with a text that is no TOML, in plain words."""

from __future__ import annotations

import re
import tomllib
from ast import literal_eval
from typing import Any

from dlrun.config.document import MISSING, find

_UNCLOSED = "a text without its closing quote"
_LONELY = 'Expected "\'"'
_NO_VALUE = "no value; should be a text in quotes, a number, true or false, or a list such as [64, 32]"
_WORDS = {
    "Illegal character '\\n'": _UNCLOSED,
    "Found invalid character '\\n'": _UNCLOSED,
    "Unterminated string": _UNCLOSED,
    _LONELY: _UNCLOSED,
    "Expected \"'''\"": _UNCLOSED,
    "Invalid value": _NO_VALUE,
    "Unclosed array": "a list without its closing ]",
    "Unclosed inline table": "a table in braces without its closing }",
}
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_PATH = rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+"
_HEADER = re.compile(rf"^[ \t]*+\[\[?+({_PATH})\]", re.MULTILINE)
_STATEMENT = re.compile(rf"^[ \t]*+(?:\[({_PATH})|({_PATH})[ \t]*+=)", re.MULTILINE)
_MOST_STATEMENTS = 20  # that are looked at for the one at fault


def syntax_message(complaint: str, text: str, shown: str) -> str:
    """`FILE: line L, column C: what`; tomllib puts the place in brackets behind its complaint."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", complaint, re.DOTALL)
    if match is None:
        return f"{shown}: not valid TOML: {complaint}"
    what, *place = match.groups()
    lines = text.split("\n")
    if place[0]:
        line, column = int(place[0]), int(place[1])
    else:
        # No quote follows an apostrophe that is not closed, so that it is the last one.
        line = text.count("\n", 0, text.rindex("'")) + 1 if what == _LONELY else len(lines)
        column = len(lines[line - 1]) + 1
    before = "\n".join([*lines[: line - 1], lines[line - 1][: column - 1]])
    return f"{shown}: line {line}, column {column}: not valid TOML: {_in_words(what, before)}"


def _in_words(what: str, before: str) -> str:
    """tomllib's complaint about the end of this text, as the user would put it."""
    from dlrun.config.keys import key_text

    if what in _WORDS:
        return _WORDS[what]
    if what == "Cannot overwrite a value" and (told := _given_already(before)):
        return told
    if match := re.fullmatch(
        r"Cannot (declare|mutate immutable namespace|redefine namespace) (\(.*\))(?: twice)?", what
    ):
        table = key_text(literal_eval(match[2]))
        if match[1] == "mutate immutable namespace":
            return f"the table {table} was given in braces or as a list; should hold all its keys there"
        return f"the table [{table}] is given twice; should be one table with all its keys"
    if match := re.fullmatch(r"Duplicate inline table key (.*)", what):
        return f"the key {key_text((literal_eval(match[1]),))} is given twice in one table; should be there once"
    return f"{what[:1].lower()}{what[1:]}"


def _given_already(before: str) -> str | None:
    """The sentence about the key at the end of this text, which was given a value above; None where it is not found."""
    from dlrun.config.keys import key_text

    for statement in list(_STATEMENT.finditer(before))[: -_MOST_STATEMENTS - 1 : -1]:
        above = before[: statement.start()]
        headers = _HEADER.findall(above)
        try:
            document = tomllib.loads(above)
            path = [*_parts(headers[-1] if headers and statement[2] else ""), *_parts(statement[1] or statement[2])]
        except tomllib.TOMLDecodeError:
            continue  # within a text or a list of several lines
        if find(document, tuple(path)) is not MISSING:
            return f"the key {key_text(tuple(path))} is given twice; should be there once"
        for length in range(len(path) - 1, 0, -1):
            value = find(document, tuple(path[:length]))
            if value is not MISSING and not isinstance(value, list | dict):
                key = key_text(tuple(path[:length]))
                return f"{key} has a value already, so that {key_text(tuple(path))} cannot lie below it"
        return None
    return None


def _parts(key: str) -> list[str]:
    """A dotted key's parts without their quotes."""
    table: Any = tomllib.loads(f"{key} = 0") if key else 0
    parts: list[str] = []
    while isinstance(table, dict):
        ((part, table),) = table.items()
        parts.append(part)
    return parts
