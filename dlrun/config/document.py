"""The experiment as nested tables of plain TOML values: reading, setting and removing by path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from dlrun.code_names import parts_of

MISSING: Final = object()

# Other keys of these tables depend on the name: another name starts the table anew.
_NAMED_TABLES = (("optimizer", "decay"), ("model", "feature_map"))

# A network is described layer by layer or in the short form: who sets one of them means it in place of the other.
_IN_PLACE_OF: dict[tuple[str, ...], tuple[str, ...]] = {
    ("model", "layers"): ("hidden", "keep_prob", "batch_norm", "feature_map"),
    ("model", "hidden"): ("layers",),
}

# Keys whose values are paths where they look like one (data.source) or always (training.init_from).
_SOURCE = ("data", "source")
_INIT_FROM = ("training", "init_from")
# Keys that may name a Python function, "file.py:function".
_FUNCTIONS = (("model", "cost"), ("model", "activation"))


class NotATableError(Exception):
    """The path leads through a value that is no table; `args[0]` is the path of that value."""


def find(document: Any, path: tuple[str | int, ...]) -> Any:
    """The value at the path, or MISSING."""
    value = document
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def set_value(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put the value at the path, in place, making the tables on the way.

    Another `name` for the decay or the feature map drops the keys that belonged to the old one, and `model.layers`
    drops the short form in whose place it stands.
    Raises NotATableError.
    """
    table = _table(document, path[:-1])
    if path[:-1] in _NAMED_TABLES and path[-1] == "name" and table.get("name", value) != value:
        table.clear()
    for key in _IN_PLACE_OF.get(path, ()):
        table.pop(key, None)
    table[path[-1]] = value


def remove_value(document: dict[str, Any], path: tuple[str, ...]) -> None:
    """Take the value at the path out, in place; nothing happens where there is none."""
    table = find(document, path[:-1])
    if isinstance(table, dict):
        table.pop(path[-1], None)


def _table(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    table = document
    for length, part in enumerate(path, start=1):
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise NotATableError(path[:length])
    return table


def is_path(source: str) -> bool:
    """Whether a data source is a path, by a slash or an ending; packaged sets and generators have neither."""
    return "/" in source or os.sep in source or source.startswith("~") or "." in source


def anchor_paths(document: dict[str, Any], folder: Path) -> None:
    """Make the paths in the document absolute, in place, reading relative ones from `folder`.

    Done once where a text enters, so that the resolved experiment means the same from any folder.
    """
    for path in (_SOURCE, _INIT_FROM, *_FUNCTIONS):
        value = find(document, path)
        if value is not MISSING:
            set_value(document, path, _anchored(value, path, folder))
        choices = find(document, ("tune", "space", ".".join(path), "choice"))
        if isinstance(choices, list):
            choices[:] = [_anchored(choice, path, folder) for choice in choices]


def _anchored(value: Any, path: tuple[str, ...], folder: Path) -> Any:
    if not isinstance(value, str) or not value or "\0" in value or (path == _SOURCE and not is_path(value)):
        return value  # no path, or no valid text, which the schema will say
    if path in _FUNCTIONS:
        parts = parts_of(value)
        return f"{_anchored(parts[0], _INIT_FROM, folder)}:{parts[1]}" if parts else value
    try:
        full = folder.absolute() / Path(value).expanduser()
    except RuntimeError:  # "~nobody" with no such user: leave it to whoever opens the file
        full = folder.absolute() / value
    # The parent alone is resolved: a link's own name says which kind of file it is meant to be.
    return str(full.parent.resolve() / full.name) if full.name not in ("", "..") else str(full.resolve())
