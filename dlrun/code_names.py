"""Names of a user's own Python functions, "file.py:function", and the right to run what they name.

The right travels with the name. A name has it where the user gave it, on the command line or in the experiment that he
named; one that comes out of a run's folder, a journal or a model file, which may be from anybody, has none. Whoever
loads a function asks the name (`nn.user_functions`); whatever rebuilds a name as a plain text takes the right away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

FUNCTION = r"^.+\.py:[A-Za-z_][A-Za-z0-9_]*$"
_REFERENCE = re.compile(r"(.+\.py):([A-Za-z_][A-Za-z0-9_]*)")


class FunctionName(str):
    """A text "file.py:function" that may be loaded, which no other text may."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Any text of the form; one that has the right keeps it, and no other gets it."""
        from pydantic_core import core_schema

        def kept(value: Any, plain: Callable[[Any], str]) -> str:
            text = plain(value)
            return value if isinstance(value, cls) else text

        return core_schema.no_info_wrap_validator_function(kept, core_schema.str_schema(pattern=FUNCTION))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (str(self),)


def parts_of(name: str) -> tuple[str, str] | None:
    """File and function of a name; None where it is none."""
    match = _REFERENCE.fullmatch(name)
    return (match[1], match[2]) if match else None


def is_function(name: object) -> bool:
    """Whether a value is "file.py:function"."""
    return isinstance(name, str) and parts_of(name) is not None


def granted(value: Any) -> Any:
    """The value of an experiment that the user gave, its names of functions with the right to be run."""
    return _renamed(value, lambda name: FunctionName(name))


def granted_as(value: Any, given: Any) -> Any:
    """The value of anybody, its names of functions with the right where `given` holds the same name with it."""
    known = {str(name) for _, name in names_in(given) if isinstance(name, FunctionName)}
    return _renamed(value, lambda name: FunctionName(name) if name in known else name)


def names_in(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, name) of every name of a function in nested tables and lists."""
    if isinstance(value, dict):
        for below, item in value.items():
            yield from names_in(item, f"{key}.{below}" if key else str(below))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from names_in(item, key)
    elif isinstance(value, str) and is_function(value):
        yield key, value


def _renamed(value: Any, name: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_renamed(item, name) for item in value)
    return name(value) if isinstance(value, str) and is_function(value) else value
