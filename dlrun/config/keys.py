"""Every key of the experiment file, read off the schema: for messages and for the documentation."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from dlrun.config.schema import Experiment
from dlrun.config.section import Allowed, Section

_WORDS = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class KeyDoc:
    """One key: its dotted path, whether it is a table, its default and its allowed values in words."""

    path: tuple[str, ...]
    table: bool
    required: bool
    default: str
    allowed: str
    meaning: str

    @property
    def key(self) -> str:
        return key_text(self.path)

    def markdown_row(self) -> str:
        """The row of this key in the tables of `docs/experiment-file.md`."""
        default = f"`{self.default}`" if self.default else ("**required**" if self.required else "")
        return f"| `{self.key}` | {default} | {self.allowed} | {self.meaning} |"


def key_text(path: tuple[str | int, ...]) -> str:
    """The path as TOML writes it: `tune.space."optimizer.beta1"`, list positions as `hidden[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        bare = part and all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in part)
        text += ("." if text else "") + (part if bare else _quoted(part))
    return text


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's escapes are a subset of its own, but for DEL, which JSON leaves bare."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value_text(value: Any, limit: int | None = None) -> str:
    """The value as TOML writes it on one line, cut at `limit` characters."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = _quoted(value)
    elif isinstance(value, Section):
        return value_text(value.document(), limit)
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key_text((str(k),))} = {value_text(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(value_text(item) for item in value) + "]"
    elif isinstance(value, int) and value.bit_length() > 1000:  # Python writes no number of thousands of digits
        text = hex(value)
    else:
        text = str(value)
    if limit is not None and len(text) > limit:
        return text[: limit - 1] + "…"
    return text


def _split_optional(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union but None; the annotation alone where it is no union."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(option for option in get_args(annotation) if option is not type(None))
    return (annotation,)


def _section_of(annotation: Any) -> type[Section] | None:
    for option in _split_optional(annotation):
        if isinstance(option, type) and issubclass(option, Section):
            return option
    return None


def _bounds(metadata: list[Any]) -> str:
    """` ≥ 0 and < 1`, from the constraints of a number."""
    signs: dict[type, tuple[str, str]] = {
        annotated_types.Gt: (">", "gt"),
        annotated_types.Ge: ("≥", "ge"),
        annotated_types.Lt: ("<", "lt"),
        annotated_types.Le: ("≤", "le"),
    }
    found: dict[str, str] = {}
    for item in metadata:
        for part in item.metadata if isinstance(item, FieldInfo) else [item]:
            if type(part) in signs:
                sign, name = signs[type(part)]
                found[sign] = _plain(getattr(part, name))
    if found.keys() == {"≥", "≤"}:
        return f" from {found['≥']} to {found['≤']}"
    return " " + " and ".join(f"{sign} {bound}" for sign, bound in found.items()) if found else ""


def _plain(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


def _allowed(annotation: Any, metadata: list[Any]) -> str:
    for item in metadata:
        if isinstance(item, Allowed):
            return item.words
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _allowed(inner, [*metadata, *more])
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(value_text(choice) for choice in get_args(annotation))
    if _section_of(annotation):
        return "a table"
    options = _split_optional(annotation)
    if options != (annotation,):
        return " or ".join(_allowed(option, metadata) for option in options)
    return _WORDS[annotation] + _bounds(metadata)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    return "" if field.default is None or field.default == {} else value_text(field.default)


def _walk(section: type[Section], above: tuple[str, ...]) -> Iterator[KeyDoc]:
    for name, field in section.model_fields.items():
        path = (*above, name)
        inner = _section_of(field.annotation)
        yield KeyDoc(
            path=path,
            table=inner is not None,
            required=field.is_required(),
            default=_default(field),
            allowed=_allowed(field.annotation, field.metadata),
            meaning=field.description or "",
        )
        if inner is not None:
            yield from _walk(inner, path)


@cache
def all_keys() -> dict[tuple[str, ...], KeyDoc]:
    """Every key and table of the experiment file, by its path, in the order of the schema."""
    return {doc.path: doc for doc in _walk(Experiment, ())}


def field_docs() -> tuple[KeyDoc, ...]:
    """Every key of the experiment file that holds a value (tables are left out), in the schema's order."""
    return tuple(doc for doc in all_keys().values() if not doc.table)
