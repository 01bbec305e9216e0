"""Minimization of a cost written as a graph: an optimizer's step as an action that a session runs.

    step = minimize(cost, "adam", learning_rate=0.1)
    session.run(step, {x: data})

The variables are gathered into one row θ (1, P), so that the optimizers of `dlrun.optim.optimizers` serve here
as they serve a stack of networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.backend import Array
from dlrun.errors import GraphError
from dlrun.graph.gradients import check_scalar, gradients
from dlrun.graph.node import Node
from dlrun.graph.session import Session, variables_of
from dlrun.graph.shaping import pack_views
from dlrun.optim.optimizers import OPTIMIZERS, Hyperparameters
from dlrun.optim.schedules import learning_rates
from dlrun.optim.stepper import Stepper

if TYPE_CHECKING:
    from dlrun.config import OptimizerConfig

_AHEAD = 64  # steps whose coefficients are worked out at once
Outputs = Mapping[Node, Array]


def minimize(
    cost: Node,
    optimizer: str = "gradient_descent",
    *,
    variables: Sequence[Node] | None = None,
    learning_rate: float = 0.01,
    decay: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Descent:
    """An action that makes one step of the optimizer each time a session runs it.

    variables  those to change; left out, all that the cost depends on
    decay      the keys of `[optimizer.decay]`: {"name": "inverse_time", "rate": 1.0}; n is the step, like t
    settings   other keys of `[optimizer]`: beta1, beta2, epsilon, weight_decay, clip_norm, clip_value, warmup_steps

    Raises `GraphError` for a cost that is not one number or has no variables, `ConfigError` for settings that are
    unknown or out of range.
    """
    table = {"name": optimizer, "learning_rate": learning_rate, **settings}
    return Descent(cost, optimizer_settings(table | ({"decay": dict(decay)} if decay else {})), variables)


def optimizer_settings(table: Mapping[str, Any], overrides: Sequence[str] = ()) -> OptimizerConfig:
    """The table `[optimizer]`, checked as in an experiment file; `overrides` are `optimizer.KEY=VALUE`.

    Raises `ConfigError` naming the key, the value and what is allowed.
    """
    from pathlib import Path

    from dlrun.config.checking import validate
    from dlrun.config.overrides import apply_override, parse_override
    from dlrun.errors import ConfigError

    document: dict[str, Any] = {"name": "minimize", "data": {"source": "none"}, "optimizer": dict(table)}
    for text in overrides:
        override = parse_override(text)
        if override.path[0] != "optimizer":
            raise ConfigError(f"{override.shown}: only keys of [optimizer] matter here, such as optimizer.beta1")
        apply_override(document, override, Path.cwd())
    return validate(document, where="the optimizer's settings").optimizer


class Descent:
    """One step of an optimizer over variables of a graph; what `minimize` returns.

    Running it changes the variables of the session that runs it. The optimizer's state and the count of
    steps belong to the session as well.
    """

    def __init__(self, cost: Node, settings: OptimizerConfig, variables: Sequence[Node] | None = None) -> None:
        check_scalar(cost)
        self.cost = cost
        self.settings = settings
        self.variables = list(variables_of([cost]) if variables is None else variables)
        if not self.variables:
            raise GraphError(f"the cost {cost.name} depends on no variable, so there is nothing to change")
        if strays := [x for x in self.variables if x.op != "variable"]:
            raise GraphError(f"{strays[0].name} is a {strays[0].op}; only variables can be changed")
        if len(types := {x.dtype for x in self.variables} | {cost.dtype}) > 1:
            listed = ", ".join(f"{x.name} {x.dtype}" for x in (*self.variables, cost))
            raise GraphError(f"the variables and the cost must have one dtype, not {len(types)}: {listed}")
        self.gradients = gradients(cost, self.variables)

    @property
    def needs(self) -> Sequence[Node]:
        """The tensors that a step is made from: ∂cost/∂variable for each variable."""
        return self.gradients

    def learning_rate(self, step: int) -> float:
        """α of the step t, counted from 1."""
        return float(self._rates(np.array([[float(step)]]))[0, 0])

    def _rates(self, t: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """α (S, 1) for the steps t (S, 1). Every step sees all of the cost, so it is an epoch of its own."""
        alpha, settings = np.array([self.settings.learning_rate]), self.settings
        rates = [
            learning_rates(
                settings.decay,
                alpha,
                epoch=int(step),
                steps=np.array([[step]]),
                warmup_steps=settings.warmup_steps,
            )
            for step in t[:, 0]
        ]
        return np.concatenate(rates)

    def start(self, session: Session) -> Callable[[Outputs], None]:
        """θ, its gradient and the optimizer's state for a session, and the function that makes a step."""
        backend, dtype = session.backend, self.variables[0].dtype
        arrays = [session.array(variable) for variable in self.variables]
        shapes = [(1, *array.shape) for array in arrays]
        width = sum(math.prod(shape) for shape in shapes)
        theta, gradient = backend.zeros((1, width), dtype), backend.zeros((1, width), dtype)
        stepper = Stepper(
            backend,
            OPTIMIZERS[self.settings.name],
            theta,
            gradient,
            clip_norm=self.settings.clip_norm,
            clip_value=self.settings.clip_value,
        )
        copy = backend.xp.copyto
        in_row = [[view.reshape(view.shape[1:]) for view in pack_views(row, shapes)] for row in (theta, gradient)]
        places = list(zip(arrays, in_row[0], strict=True))
        slopes = list(zip(self.gradients, in_row[1], strict=True))
        coefficients = self._coefficients(stepper)

        def step(outputs: Outputs) -> None:
            for array, place in places:
                copy(place, array)
            for node, place in slopes:
                copy(place, outputs[node])
            stepper.step(next(coefficients))
            for array, place in places:
                copy(array, place)

        return step

    def _coefficients(self, stepper: Stepper) -> Iterator[Array]:
        """The coefficients of step 1, 2, …, worked out for many steps at a time."""
        h = Hyperparameters.of(
            beta1=self.settings.beta1,
            beta2=self.settings.beta2,
            epsilon=self.settings.epsilon,
            weight_decay=self.settings.weight_decay,
        )
        first = 1
        while True:
            t = np.arange(first, first + _AHEAD, dtype=np.float64)[:, None]
            ahead = stepper.coefficients(t, self._rates(t), h)
            for i in range(_AHEAD):
                yield ahead[i]
            first += _AHEAD
