"""What pydantic finds wrong, as sentences: where, the value, what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from dlrun.config.document import MISSING, find
from dlrun.config.keys import all_keys, key_text, value_text

_SPACE = ("tune", "space")
_FIXED = ("name", "tune")  # what a search cannot vary
_SHOWN = 80  # characters of a value that a message shows
_NEAR = 0.6  # of 1: names that resemble each other less are no misspelling
# What others call a key.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "alpha": ("optimizer", "learning_rate"),
    "dropout": ("model", "keep_prob"),
    "lambda": ("regularization", "l2"),
    "layers": ("model", "hidden"),
    "lr": ("optimizer", "learning_rate"),
    "momentum": ("optimizer", "beta1"),
    "units": ("model", "hidden"),
}
# What others call a value, by the key that takes it.
_OTHER_VALUES: dict[tuple[str, ...], dict[str, str]] = {
    ("optimizer", "name"): {"sgd": "gradient_descent", "gd": "gradient_descent", "nag": "nesterov"},
    ("model", "activation"): {"linear": "identity", "none": "identity", "logistic": "sigmoid"},
    ("model", "loss"): {"mse": "squared_error", "mae": "absolute_error", "bce": "binary_cross_entropy"},
    ("data", "normalize"): {"standardize": "standard", "z_score": "standard", "min_max": "minmax"},
}
MOST = 20  # problems that are told at once

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing wrong: the key's path, the value there as TOML ("" where there is none), and the sentence."""

    path: Path
    value: str
    text: str

    def __str__(self) -> str:
        place = key_text(self.path)
        if len(place) > 2 * _SHOWN:
            place = place[: 2 * _SHOWN - 1] + "…"
        if self.value:
            place += f" = {self.value}"
        return f"{place}: {self.text}" if place else self.text


def nearest_key(path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The known key that is meant by another name, or that the unknown one resembles; None where none does.

    One of the same table wins where it is close, and the one with fewer parts where two are alike.
    """
    wrong = path[-1][:_SHOWN].lower().replace("-", "_")
    if wrong in OTHER_NAMES:
        return OTHER_NAMES[wrong]

    def resemblance(known: tuple[str, ...]) -> float:
        return difflib.SequenceMatcher(None, wrong, known[-1].lower()).ratio()

    near = [known for known in all_keys() if resemblance(known) >= _NEAR]
    return max(near, key=lambda k: (resemblance(k) + 0.15 * (k[:-1] == path[:-1]), -len(k)), default=None)


def unknown_key(path: tuple[str, ...]) -> str:
    """The sentence about a key that the experiment file does not have."""
    near = nearest_key(path)
    if near is not None:
        return f"unknown key; the nearest known one is {key_text(near)}"
    table = path[:-1] if path[:-1] in all_keys() else ()
    names = [key[-1] for key in all_keys() if key[:-1] == table]
    return f"unknown key; {f'[{key_text(table)}]' if table else 'an experiment'} has {', '.join(names)}"


def keys_not_to_vary(keys: Iterable[str]) -> list[tuple[str, str]]:
    """Those of a space's keys that no search can vary, each with what is wrong with it."""
    paths = {key: tuple(key.split(".")) for key in keys}
    fixed = [
        (key, "cannot be varied; should be another key of the experiment")
        for key, path in paths.items()
        if path[0] in _FIXED
    ]
    return fixed + [
        (key, unknown_key(path)) for key, path in paths.items() if path[0] not in _FIXED and path not in all_keys()
    ]


def problems_of(error: ValidationError, document: dict[str, Any]) -> list[Problem]:
    """What is wrong with the document, in its order, each key's trouble once, and about `MOST` of all."""
    found: dict[tuple[Path, str], Problem] = {}
    for item in error.errors(include_url=False):
        for problem in _sentences(item["type"], item["loc"], item.get("ctx", {}), document):
            found.setdefault((problem.path, problem.text), problem)
        if len(found) >= MOST:
            return list(found.values())
    space = find(document, _SPACE)
    if isinstance(space, dict):  # told beside wrong ranges, which end the check of the space
        for key, text in keys_not_to_vary(space)[: MOST - len(found)]:
            problem = problem_at((*_SPACE, key), text, document)
            found.setdefault((problem.path, text), problem)
    return list(found.values())


def _sentences(kind: str, loc: Path, context: dict[str, Any], document: dict[str, Any]) -> Iterator[Problem]:
    if kind == "fault":
        base = _known_part(loc)
        for below, text in context["problems"]:
            yield problem_at((*base, *below), text, document)
    elif kind == "extra_forbidden":
        yield problem_at(loc, unknown_key(tuple(str(part) for part in loc)), document)
    elif kind == "missing" and _known_part(loc) == loc:
        for key in _required(loc):
            doc = all_keys()[key]
            yield Problem(key, "", f"missing; should be {doc.allowed}: {doc.meaning}")
    else:
        path = _known_part(loc)
        if path[:2] == _SPACE and len(path) > 2:
            yield problem_at(path, "should be a range whose bounds are finite numbers", document)
        else:
            key = tuple(str(part) for part in path)
            allowed = all_keys()[key].allowed if key in all_keys() else "a table"
            finite = "finite: " if kind == "finite_number" else ""
            yield problem_at(path, f"should be {finite}{allowed}{_meant(key, document)}", document)


def _meant(key: tuple[str, ...], document: dict[str, Any]) -> str:
    """What the value that stands there is called here, where others call it so."""
    value = find(document, key)
    meant = _OTHER_VALUES.get(key, {}).get(value.lower().replace("-", "_")) if isinstance(value, str) else None
    return f"; {value_text(value, _SHOWN)} is {value_text(meant)} here" if meant else ""


def _known_part(loc: Path) -> Path:
    """The location cut to a key of the schema: behind it come list positions and pydantic's own marks."""
    if loc[:2] == _SPACE:
        return loc[:3]
    for length in range(len(loc), 0, -1):
        if loc[:length] in all_keys():
            return loc[:length]
    return ()


def _required(path: Path) -> list[tuple[str, ...]]:
    """The keys that must be given at or below a missing key."""
    at = [key for key, doc in all_keys().items() if key[: len(path)] == path and doc.required and not doc.table]
    return at or [tuple(str(part) for part in path)]


def problem_at(path: Path, text: str, document: dict[str, Any]) -> Problem:
    """One thing wrong at a key of the document, with its value there."""
    value = find(document, path)
    # A table's trouble is told by its keys; what is left out has no value to quote.
    shown = "" if value is MISSING or (isinstance(value, dict) and text[:6] != "should") else value_text(value, _SHOWN)
    return Problem(path, shown, text)
