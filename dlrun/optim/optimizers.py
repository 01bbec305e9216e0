"""Optimizers: each a few equations over rows of θ, state in and state out.

Every optimizer works on θ, its gradient g and its state slots, all (R, P), with coefficients (R, 1)
that change from step to step. `coefficients` computes them for many steps at once, in float64;
`update` writes the equations in the graph's language, and `ElementwiseProgram` runs them.

Momentum's v and RMSProp's and Adam's s are exponentially weighted averages v ← βv + (1−β)g. The slots
hold v/(1−β) and s/(1−β), which obey v' ← βv' + g with one multiplication less; the factor 1−β sits
in the coefficients. So the results are those of the equations as written, to rounding.

ε stands where the course texts' definition puts it, outside the root: α·v̂/(√ŝ + ε) (Kingma and Ba 2015,
algorithm 1), with ŝ bias-corrected first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.graph.arithmetic import sqrt
from dlrun.graph.node import Node

FloatArray = npt.NDArray[np.float64]
Nodes = Mapping[str, Node]


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """One value per replica, (R,) float64: α0, β1, β2, ε, and AdamW's weight decay."""

    learning_rate: FloatArray
    beta1: FloatArray
    beta2: FloatArray
    epsilon: FloatArray
    weight_decay: FloatArray

    @classmethod
    def of(
        cls,
        R: int = 1,
        *,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        weight_decay: Any = 0.0,
    ) -> Hyperparameters:
        """Numbers or arrays (R,), spread over R replicas."""
        values = (learning_rate, beta1, beta2, epsilon, weight_decay)
        full = [np.broadcast_to(np.asarray(value, np.float64), (R,)).copy() for value in values]
        return cls(learning_rate=full[0], beta1=full[1], beta2=full[2], epsilon=full[3], weight_decay=full[4])

    def take(self, rows: npt.NDArray[np.int64]) -> Hyperparameters:
        """Those of the given replicas."""
        return Hyperparameters(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


Coefficients = Callable[[FloatArray, FloatArray, Hyperparameters], dict[str, FloatArray]]
Update = Callable[[Node, Node, Nodes, Nodes], tuple[Node, dict[str, Node]]]


@dataclass(frozen=True)
class Optimizer:
    """name; state slots, all zeros at first; coefficients(t, α, h) for t and α of shape (S, R); the equations."""

    name: str
    coefficients: Coefficients
    update: Update
    slots: tuple[str, ...] = field(default=())


# -- gradient descent: θ ← θ − αg ----------------------------------------------------------------


def _descent_coefficients(t: FloatArray, rate: FloatArray, h: Hyperparameters) -> dict[str, FloatArray]:
    return {"rate": rate}


def _descent(theta: Node, g: Node, state: Nodes, c: Nodes) -> tuple[Node, dict[str, Node]]:
    return theta - c["rate"] * g, {}


# -- momentum: v ← βv + (1−β)g, θ ← θ − αv --------------------------------------------------------


def _momentum_coefficients(t: FloatArray, rate: FloatArray, h: Hyperparameters) -> dict[str, FloatArray]:
    return {"rate": rate * (1 - h.beta1), "beta": np.broadcast_to(h.beta1, t.shape)}


def _momentum(theta: Node, g: Node, state: Nodes, c: Nodes) -> tuple[Node, dict[str, Node]]:
    v = c["beta"] * state["v"] + g
    return theta - c["rate"] * v, {"v": v}


# -- Nesterov's momentum: v ← βv + (1−β)g, θ ← θ − α(βv + (1−β)g) (Sutskever et al. 2013) -----------


def _nesterov(theta: Node, g: Node, state: Nodes, c: Nodes) -> tuple[Node, dict[str, Node]]:
    v = c["beta"] * state["v"] + g
    return theta - c["rate"] * (c["beta"] * v + g), {"v": v}


# -- RMSProp: s ← βs + (1−β)g², θ ← θ − αg/(√s + ε) ------------------------------------------------
# with s = (1−β)s': α g/(√(1−β)·√s' + ε) = (α/√(1−β)) g/(√s' + ε/√(1−β))


def _rmsprop_coefficients(t: FloatArray, rate: FloatArray, h: Hyperparameters) -> dict[str, FloatArray]:
    root = np.sqrt(1 - h.beta2)
    return {
        "rate": rate / root,
        "beta": np.broadcast_to(h.beta2, t.shape),
        "epsilon": np.broadcast_to(h.epsilon / root, t.shape),
    }


def _rmsprop(theta: Node, g: Node, state: Nodes, c: Nodes) -> tuple[Node, dict[str, Node]]:
    s = c["beta"] * state["s"] + g * g
    return theta - c["rate"] * (g / (sqrt(s) + c["epsilon"])), {"s": s}


# -- Adam: v, s as above; v̂ = v/(1−β1ᵗ), ŝ = s/(1−β2ᵗ); θ ← θ − α v̂/(√ŝ + ε) ------------------------
# with k = √((1−β2)/(1−β2ᵗ)): √ŝ = k√s', so α v̂/(√ŝ + ε) = (α(1−β1)/((1−β1ᵗ)k)) v'/(√s' + ε/k)


def _adam_coefficients(t: FloatArray, rate: FloatArray, h: Hyperparameters) -> dict[str, FloatArray]:
    with np.errstate(divide="ignore"):  # ln 0 = −∞ gives 1 − 0ᵗ = 1
        k = np.sqrt((1 - h.beta2) / -np.expm1(t * np.log(h.beta2)))
    first = (1 - h.beta1) / (1 - h.beta1**t)
    return {
        "rate": rate * first / k,
        "beta1": np.broadcast_to(h.beta1, t.shape),
        "beta2": np.broadcast_to(h.beta2, t.shape),
        "epsilon": h.epsilon / k,
    }


def _adam(theta: Node, g: Node, state: Nodes, c: Nodes) -> tuple[Node, dict[str, Node]]:
    v = c["beta1"] * state["v"] + g
    s = c["beta2"] * state["s"] + g * g
    return theta - c["rate"] * (v / (sqrt(s) + c["epsilon"])), {"v": v, "s": s}


# -- AdamW: Adam, and θ ← θ − αλθ beside it, outside the averages (Loshchilov and Hutter 2019) -----


def _adamw_coefficients(t: FloatArray, rate: FloatArray, h: Hyperparameters) -> dict[str, FloatArray]:
    return {**_adam_coefficients(t, rate, h), "keep": 1 - rate * h.weight_decay}


def _adamw(theta: Node, g: Node, state: Nodes, c: Nodes) -> tuple[Node, dict[str, Node]]:
    return _adam(c["keep"] * theta, g, state, c)


OPTIMIZERS: dict[str, Optimizer] = {
    "gradient_descent": Optimizer("gradient_descent", _descent_coefficients, _descent),
    "momentum": Optimizer("momentum", _momentum_coefficients, _momentum, ("v",)),
    "nesterov": Optimizer("nesterov", _momentum_coefficients, _nesterov, ("v",)),
    "rmsprop": Optimizer("rmsprop", _rmsprop_coefficients, _rmsprop, ("s",)),
    "adam": Optimizer("adam", _adam_coefficients, _adam, ("v", "s")),
    "adamw": Optimizer("adamw", _adamw_coefficients, _adamw, ("v", "s")),
}
