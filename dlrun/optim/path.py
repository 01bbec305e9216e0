"""The path of an optimizer down a cost that a user typed, such as `w**2 - 10*w + 25`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlrun.errors import AnswerIsNoError, ConfigError
from dlrun.graph import arithmetic
from dlrun.graph.gradients import gradients
from dlrun.graph.node import Node, constant, variable
from dlrun.graph.parse import parse_expression
from dlrun.graph.session import Session
from dlrun.optim.descent import Descent

if TYPE_CHECKING:
    from dlrun.config import OptimizerConfig

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": arithmetic.absolute,
    "add": arithmetic.add,
    "cos": arithmetic.cos,
    "div": arithmetic.divide,
    "exp": arithmetic.exp,
    "floor": arithmetic.floor,
    "inv": arithmetic.inv,
    "leaky_relu": arithmetic.leaky_relu,
    "log": arithmetic.log,
    "log1p": arithmetic.log1p,
    "maximum": arithmetic.maximum,
    "minimum": arithmetic.minimum,
    "mod": arithmetic.mod,
    "mul": arithmetic.multiply,
    "neg": arithmetic.negative,
    "pow": arithmetic.power,
    "relu": arithmetic.relu,
    "round": arithmetic.rounded,
    "sigmoid": arithmetic.sigmoid,
    "sign": arithmetic.sign,
    "sin": arithmetic.sin,
    "softplus": arithmetic.softplus,
    "sqrt": arithmetic.sqrt,
    "square": arithmetic.square,
    "step": arithmetic.step,
    "sub": arithmetic.subtract,
    "tanh": arithmetic.tanh,
}
CONSTANTS = {"pi": math.pi, "e": math.e}


@dataclass(frozen=True)
class PathRecord:
    """Where the optimizer is after `step` updates.

    learning_rate  α of the update that led here, None at the start
    values, gradient  by variable: w and ∂cost/∂w here
    """

    step: int
    learning_rate: float | None
    cost: float
    values: Mapping[str, float]
    gradient: Mapping[str, float]

    @property
    def finite(self) -> bool:
        """Whether the cost and the gradient are numbers that a step can be made from."""
        return all(map(math.isfinite, (self.cost, *self.gradient.values(), *self.values.values())))


def read_cost(
    text: str, *, start: Mapping[str, float] | None = None, dtype: str = "float64"
) -> tuple[Node, dict[str, Node]]:
    """The cost that an expression describes, and its variables by name, starting at `start` or else at 0.

    Raises `ConfigError` for what is no arithmetic (see `parse_expression`), for an expression without variables,
    and for a start of a variable that the expression does not have.
    """
    start = dict(start or {})
    variables: dict[str, Node] = {}

    def make(name: str) -> Node:
        variables[name] = variable(start.get(name, 0.0), dtype, name=name)
        return variables[name]

    cost = parse_expression(text, functions=_in(dtype), constants=CONSTANTS, variable=make)
    if not variables:
        raise ConfigError(f"the expression {text.strip()!r} has no variable to change; write one such as w**2")
    if strays := [name for name in start if name not in variables]:
        raise ConfigError(
            f"start {strays[0]} = {start[strays[0]]:g}: the expression has no variable {strays[0]!r}; "
            f"it has {', '.join(variables)}"
        )
    return cost, variables


def _in(dtype: str) -> dict[str, Callable[..., Any]]:
    """The functions with plain numbers among their arguments taken as tensors of the dtype."""

    def of(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            return function(*(x if isinstance(x, Node) else constant(x, dtype) for x in arguments))

        return call

    return {name: of(function) for name, function in FUNCTIONS.items()}


def follow(cost: Node, variables: Mapping[str, Node], settings: OptimizerConfig, *, steps: int) -> Iterator[PathRecord]:
    """The record of the start, and of each of `steps` updates.

    A record that is not finite is the last; asking for another raises `AnswerIsNoError` naming the step.
    """
    descent = Descent(cost, settings, list(variables.values()))
    slopes = dict(zip(variables, gradients(cost, list(variables.values())), strict=True))
    fetches = [cost, *variables.values(), *slopes.values()]
    with Session() as session:
        for step in range(steps + 1):
            found = session.run([*fetches, descent] if step < steps else fetches)
            values = [float(value) for value in found[: len(fetches)]]
            record = PathRecord(
                step,
                descent.learning_rate(step) if step else None,
                values[0],
                dict(zip(variables, values[1:], strict=False)),
                dict(zip(variables, values[1 + len(variables) :], strict=True)),
            )
            yield record
            if not record.finite:
                raise AnswerIsNoError(_divergence(record, settings))


def _divergence(record: PathRecord, settings: OptimizerConfig) -> str:
    """What was seen, where, and what to try."""
    place = ", ".join(f"{name} = {value:g}" for name, value in record.values.items())
    seen = f"the cost is {record.cost:g}"
    if math.isfinite(record.cost):
        slopes = {f"the gradient by {n}": v for n, v in record.gradient.items()} | dict(record.values)
        seen = next(f"{what} is {value:g}" for what, value in slopes.items() if not math.isfinite(value))
    if record.step == 0:
        return f"step 0: {seen} at the start, {place}; start elsewhere, as in --start NAME=VALUE"
    return (
        f"step {record.step}: {seen} at {place}: the descent diverged; a smaller learning rate than "
        f"{settings.learning_rate:g} or another start may help"
    )
