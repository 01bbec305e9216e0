"""A user's own cost or activation: Python functions written in the graph's API, in files that the experiment names.

    model.cost = "costs.py:pinball"          function(z, y) → a loss per row: (R, B, C), (R, B, C) → (R, B, 1)
    model.activation = "costs.py:swish"      function(z) → a, of the same shape (R, B, n)

R is the replica axis: every operation of the graph leaves it alone, and so must the function. Derivatives come from the
graph. The file is read and run when the experiment is; what goes wrong in it is one `ConfigError` with file and line.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlrun.code_names import FunctionName, parts_of
from dlrun.errors import ConfigError, RunError
from dlrun.graph.node import Node, show_shape
from dlrun.nn.losses import Loss


@dataclass(frozen=True)
class UserFunctions:
    """The functions of one experiment; None where it has none of its own."""

    cost: Callable[[Node, Node], Node] | None = None
    activation: Callable[[Node], Node] | None = None

    def loss(self, named: Loss) -> Loss:
        """The named loss, or in its place the user's: the mean of it over the rows."""
        if self.cost is None:
            return named
        return replace(named, of_row=self.cost, in_one=None)


def load_functions(*, cost: str | None = None, activation: str | None = None) -> UserFunctions:
    """The functions at these references, checked for their shapes whenever they are used in a graph."""
    return UserFunctions(
        cost=_Checked("model.cost", cost, *_loaded(cost, "model.cost")).loss_of if cost else None,
        activation=_Checked("model.activation", activation, *_loaded(activation, "model.activation")).activation_of
        if activation
        else None,
    )


@dataclass(frozen=True)
class _Checked:
    """A function whose errors name its file and line, and whose result has the shape that it should have."""

    key: str
    reference: str
    file: str
    function: Callable[..., Any]

    def loss_of(self, z: Node, y: Node) -> Node:
        return self._result((z, y), (*z.shape[:-1], 1), "one loss per row")

    def activation_of(self, z: Node) -> Node:
        return self._result((z,), z.shape, "that of its argument")

    def _result(self, arguments: tuple[Node, ...], shape: tuple[int | None, ...], meaning: str) -> Node:
        try:
            found = self.function(*arguments)
        except Exception as error:  # whatever a user's code raises
            raise _problem(self.key, self.reference, self.file, error) from None
        what = f"{self.key} = {self.reference!r}"
        if not isinstance(found, Node):
            raise ConfigError(f"{what}: gives {type(found).__name__}; should give a tensor of the graph")
        if found.shape != shape:
            raise ConfigError(
                f"{what}: gives shape {show_shape(found.shape)}; should be {show_shape(shape)}, {meaning}"
            )
        if found.dtype != arguments[0].dtype:
            raise ConfigError(f"{what}: gives {found.dtype}; should be {arguments[0].dtype}, as its argument")
        return found


def _loaded(reference: str | None, key: str) -> tuple[str, Callable[..., Any]]:
    parts = parts_of(reference or "")
    if parts is None:
        raise ConfigError(f'{key} = {reference!r}: should be "file.py:function"')
    if not isinstance(reference, FunctionName):
        raise RunError(
            f"{key} = {str(reference)!r}: this name of Python code comes out of a run's folder, which may be "
            "anybody's, and is not run; name your own experiment with it, or give --run-code where the command has that"
        )
    file, name = parts
    try:
        source = Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {file}: {(error.strerror or str(error)).lower()}") from None
    names = _executed(file, source, key, reference or "")
    if name not in names:
        own = sorted(n for n, value in names.items() if callable(value) and not n.startswith("_"))
        raise ConfigError(f"{key}: {file} has no function {name!r}; there are {', '.join(own) or 'none'}")
    if not callable(names[name]):
        raise ConfigError(f"{key}: {name!r} in {file} is no function")
    return file, names[name]


@lru_cache(maxsize=32)
def _executed(file: str, source: bytes, key: str, reference: str) -> dict[str, Any]:
    """The names that a file defines. Kept by content: an operation that it registers must be registered once."""
    names: dict[str, Any] = {"__name__": f"dlrun_user_{Path(file).stem}", "__file__": file}
    try:
        exec(compile(source, file, "exec"), names)  # noqa: S102 (the experiment asks for it)
    except Exception as error:
        raise _problem(key, reference, file, error) from None
    return names


def _problem(key: str, reference: str, file: str, error: Exception) -> ConfigError:
    """Where in the user's file it happened, and what."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    place = f"{file}, line {line}" if line else file
    name = reference.rpartition(":")[2]
    told = error.msg if isinstance(error, SyntaxError) else str(error).strip().split("\n")[0]
    kind = type(error).__name__
    return ConfigError(f"{key}, {name}: {place}: {kind}{': ' if told else ''}{told}")
