"""Derivatives from values alone, for any expression of the graph.

one-sided  (f(θ+ε) − f(θ))/ε       error ε·f″/2: of the order ε
two-sided  (f(θ+ε) − f(θ−ε))/2ε    error ε²·f‴/6: of the order ε²
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import ConfigError, GraphError
from dlrun.graph.gradients import check_scalar, gradients
from dlrun.graph.node import Node
from dlrun.graph.session import Session

FloatArray = npt.NDArray[np.float64]
SMALLEST = 1e-14  # a smaller step is lost in float64 beside a number near 1


def check_epsilon(epsilon: float) -> float:
    """The step of a difference quotient; `ConfigError` for one that is none."""
    if not (np.isfinite(epsilon) and SMALLEST <= epsilon <= 1):
        raise ConfigError(f"--epsilon {epsilon}: should be a number from {SMALLEST} to 1, such as 1e-7")
    return epsilon


def numerical_gradient(
    cost: Node,
    variable: Node,
    *,
    epsilon: float = 1e-7,
    one_sided: bool = False,
    session: Session | None = None,
    feed: Mapping[Node, Any] | None = None,
) -> FloatArray:
    """∂cost/∂variable from costs at the variable's value ± ε, in the variable's shape.

    Two evaluations per component, one after another: for expressions, not for networks. The variable should be
    float64, and has its value back afterwards. Raises `GraphError` where the cost is not one number.
    """
    check_scalar(cost)
    check_epsilon(epsilon)
    if variable.dtype.kind != "f":
        raise GraphError(f"{variable.name} is {variable.dtype}; only a float variable can be moved by {epsilon}")
    at = session or Session()
    start = np.array(at.value(variable))
    result = np.zeros(start.shape)

    def cost_at(value: npt.NDArray[Any]) -> float:
        at.assign(variable, value)
        return float(np.asarray(at.run(cost, feed)).reshape(()))

    try:
        for place in np.ndindex(start.shape):
            ahead, behind = start.copy(), start.copy()
            ahead[place] += epsilon
            if not one_sided:
                behind[place] -= epsilon
            result[place] = (cost_at(ahead) - cost_at(behind)) / (ahead[place] - behind[place])
    finally:
        at.assign(variable, start)
    return result


def gradient_difference(
    cost: Node,
    variable: Node,
    *,
    epsilon: float = 1e-7,
    one_sided: bool = False,
    session: Session | None = None,
    feed: Mapping[Node, Any] | None = None,
) -> float:
    """‖dθ_num − dθ‖/(‖dθ_num‖ + ‖dθ‖) of an expression in one variable: the check of an operation of one's own."""
    from dlrun.diagnosis.gradcheck import relative_difference

    at = session or Session()
    numerical = numerical_gradient(cost, variable, epsilon=epsilon, one_sided=one_sided, session=at, feed=feed)
    analytic = np.asarray(at.run(gradients(cost, [variable])[0], feed), np.float64)
    return relative_difference(numerical.ravel(), analytic.ravel())
