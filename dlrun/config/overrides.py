"""`--set KEY=VALUE`: one value of the experiment, from the command line."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.config.document import MISSING, NotATableError, anchor_paths, remove_value, set_value
from dlrun.config.toml_text import deep_key
from dlrun.errors import ConfigError

_SPACE = ("tune", "space")
_SHOWN = 200  # characters of an override that a message shows


@dataclass(frozen=True)
class Override:
    """A key's path and its new value (MISSING takes the key out); `shown` is how messages name it."""

    path: tuple[str, ...]
    value: Any
    shown: str

    def touches(self, path: tuple[str | int, ...]) -> bool:
        """Whether a problem at the path is this override's: at or below its key, or in a table around it."""
        common = min(len(path), len(self.path))
        return path[:common] == self.path[:common]

    def as_list(self) -> list[Any] | None:
        """The value as a list, where it was written without brackets: 8,4 as [8, 4]."""
        if isinstance(self.value, list | dict) or self.value is MISSING or len(self.shown) >= _SHOWN:
            return None
        return [_value(part.strip()) for part in self.value.split(",")] if isinstance(self.value, str) else [self.value]


def parse_override(text: str) -> Override:
    """`KEY=VALUE`, KEY dotted, VALUE in TOML, else taken as a bare text; `KEY=` takes the key out.

    Raises ConfigError naming the override.
    """
    shown = f"--set {_cut(text)}"
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"{shown}: should be KEY=VALUE, such as optimizer.learning_rate=0.01")
    return Override(_path(key.strip(), shown), _value(value.strip()), shown)


def apply_override(document: dict[str, Any], override: Override, folder: Path) -> None:
    """Change the document in place; relative paths in the value are read from `folder`.

    Raises ConfigError where the key leads through a value that is no table.
    """
    if override.value is MISSING:
        _check_known(override)
        remove_value(document, override.path)
        return
    try:
        alone: dict[str, Any] = {}
        set_value(alone, override.path, override.value)
        anchor_paths(alone, folder)
        value: Any = alone
        for part in override.path:
            value = value[part]
        set_value(document, override.path, value)
    except NotATableError as error:
        above = ".".join(error.args[0])
        raise ConfigError(f"{override.shown}: {above} is a single value, not a table with keys") from None


def _check_known(override: Override) -> None:
    """A misspelt key that is taken out would never meet the schema."""
    from dlrun.config.keys import all_keys
    from dlrun.config.problems import unknown_key

    if override.path not in all_keys() and override.path[:2] != _SPACE:
        raise ConfigError(f"{override.shown}: {unknown_key(override.path)}")


def _cut(text: str) -> str:
    """The text as a message shows it."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _path(key: str, shown: str) -> tuple[str, ...]:
    try:
        table: Any = tomllib.loads(f"{key} = 0") if "\n" not in key and not deep_key(key) else {}
    except (tomllib.TOMLDecodeError, RecursionError):
        table = {}
    path: list[str] = []
    while isinstance(table, dict) and len(table) == 1:
        ((part, table),) = table.items()
        path.append(part)
    if not path or table != 0:
        raise ConfigError(f"{shown}: {_cut(key)!r} is no key; should be a dotted key such as optimizer.learning_rate")
    if tuple(path[:2]) == _SPACE and len(path) > 3:
        # The keys of the space hold dots, and quotes are hard to get through a shell.
        path[2:] = [".".join(path[2:])]
    return tuple(path)


def _value(text: str) -> Any:
    if not text:
        return MISSING
    if deep_key(text):
        return text
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # TOMLDecodeError is a ValueError; so is a number of thousands of digits
        return text
    value = table.pop("value")
    # More keys mean that the text held a line break; a date is no value of any key, but may be a name.
    if table or isinstance(value, datetime.date | datetime.time):
        return text
    return value
