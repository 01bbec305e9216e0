"""TOML in and out."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import ConfigError

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment

_MOST_BYTES = 1_000_000
# tomllib takes time and memory with the square of a key's parts.
_MOST_PARTS = 50
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![\w.-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_MOST_PARTS}}}")
_DIGITS = re.compile(r"[0-9][0-9_]*+")


def to_toml(experiment: Experiment) -> str:
    """The experiment as TOML, every key that applies with its value; read again, it is equal.

    Numbers have all their digits (the shortest text that gives the same float64).
    """
    return "\n".join(_lines(experiment.document(), ())) + "\n"


def _lines(table: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """The table's own values, then its tables under headers of their own; other dicts stay on their line."""
    from dlrun.config.keys import all_keys, key_text, value_text

    inner = {}
    for key, value in table.items():
        doc = all_keys().get((*path, key))
        if isinstance(value, dict) and ((doc and doc.table) or (*path, key) == ("tune", "space")):
            inner[key] = value
        else:
            yield f"{key_text((key,))} = {value_text(value)}"
    for key, value in inner.items():
        if any(not isinstance(item, dict) for item in value.values()) or (*path, key) == ("tune", "space"):
            yield f"\n[{key_text((*path, key))}]"
        yield from _lines(value, (*path, key))


def read_toml(file: Path, *, shown: str) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError naming it as `shown`, with line and column."""
    return parse_toml(_text_of(file, shown), shown=shown)


def parse_toml(text: str, *, shown: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises ConfigError with `shown`, line and column."""
    if deep := deep_key(text):
        line = text.count("\n", 0, deep.start()) + 1
        raise ConfigError(
            f"{shown}: line {line}: a key of more than {_MOST_PARTS} parts; should be a key of the experiment file, "
            "such as optimizer.learning_rate"
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        from dlrun.config.toml_faults import syntax_message

        raise ConfigError(syntax_message(str(error), text, shown)) from None
    except RecursionError:
        raise ConfigError(
            f"{shown}: lists or tables lie too deep in each other; should be a few levels at most"
        ) from None
    except ValueError:  # Python reads no decimal number of more than 4300 digits
        digits = max(_DIGITS.finditer(text), key=lambda match: match.end() - match.start())
        line = text.count("\n", 0, digits.start()) + 1
        raise ConfigError(
            f"{shown}: line {line}: {digits[0][:20]}… is a whole number of {digits.end() - digits.start()} digits; "
            "should be one of at most 19"
        ) from None


def deep_key(text: str) -> re.Match[str] | None:
    """A key of very many parts in a TOML text, which tomllib would take minutes and gigabytes for."""
    return _DEEP_KEY.search(text)


def _text_of(file: Path, shown: str) -> str:
    try:
        content = _content(file, shown)
    except FileNotFoundError:
        raise ConfigError(f"{shown}: no such file; should be an experiment file in TOML") from None
    except IsADirectoryError:
        raise ConfigError(f"{shown}: is a folder; should be an experiment file in TOML{_hint(file)}") from None
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read ({error.strerror}); should be a readable file") from None
    try:
        text = content.decode("utf-8-sig")  # some editors put a byte order mark in front
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{shown}: line {line}: byte 0x{content[error.start]:02x} is not UTF-8; should be UTF-8 text"
        ) from None
    if not text.strip():
        raise ConfigError(f"{shown}: is empty; should hold at least [data] with a source")
    return text


def _content(file: Path, shown: str) -> bytes:
    """The bytes of a regular file; a pipe could keep us waiting, and a device never end."""
    facts = file.stat()
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        raise ConfigError(f"{shown}: is a pipe or a device; should be a file, so save the experiment to one first")
    if facts.st_size > _MOST_BYTES:
        raise ConfigError(
            f"{shown}: is {facts.st_size} bytes long; should be an experiment file in TOML, of at most {_MOST_BYTES}"
        )
    return file.read_bytes()


def _hint(folder: Path) -> str:
    return f", such as {folder / 'config.toml'}" if (folder / "config.toml").is_file() else ""
