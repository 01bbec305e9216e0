"""Difference quotients: the figures of the texts, and their errors as ε falls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dlrun import graph as g
from dlrun.diagnosis.differences import gradient_difference, numerical_gradient
from dlrun.diagnosis.sweep import epsilon_sweep
from dlrun.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from tests.diagnosis.conftest import Checked


def variable(value: object) -> g.Node:
    return g.variable(np.asarray(value, np.float64), name="theta")


def test_theta_cubed_at_1() -> None:
    """((1.01)³ − 1)/0.01 = 3.0301 and ((1.01)³ − (0.99)³)/0.02 = 3.0001; the derivative is 3."""
    theta = variable(1.0)
    one = numerical_gradient(theta**3, theta, epsilon=0.01, one_sided=True)
    two = numerical_gradient(theta**3, theta, epsilon=0.01)
    assert float(one) == pytest.approx(3.0301, abs=1e-12)
    assert float(two) == pytest.approx(3.0001, abs=1e-12)


def test_the_error_is_of_the_order_of_epsilon_and_of_its_square() -> None:
    theta = variable(1.0)
    cost = theta**3
    for epsilon in (1e-1, 1e-2, 1e-3):  # (1+ε)³ = 1 + 3ε + 3ε² + ε³
        one = numerical_gradient(cost, theta, epsilon=epsilon, one_sided=True)
        two = numerical_gradient(cost, theta, epsilon=epsilon)
        assert float(one) - 3 == pytest.approx(3 * epsilon + epsilon**2, rel=1e-6)
        assert float(two) - 3 == pytest.approx(epsilon**2, rel=1e-5)


def test_every_component_of_a_matrix_with_data_fed() -> None:
    W = variable(np.arange(6.0).reshape(2, 3))
    x = g.placeholder((4, 2), "float64")
    fed = np.random.default_rng(0).standard_normal((4, 2))
    with g.Session() as session:
        found = numerical_gradient(g.reduce_sum(g.square(x @ W)), W, session=session, feed={x: fed}, epsilon=1e-5)
        np.testing.assert_array_equal(session.value(W), np.arange(6.0).reshape(2, 3))  # put back
    np.testing.assert_allclose(found, 2 * fed.T @ fed @ np.arange(6.0).reshape(2, 3), rtol=1e-7)


def test_an_expression_is_checked_against_its_own_derivative() -> None:
    w = variable([0.3, -0.7])
    assert gradient_difference(g.reduce_sum(g.exp(w) * g.sin(w)), w) < 1e-7
    wrong = g.reduce_sum(w * g.stop_gradient(w))  # w², whose derivative is taken as w
    assert gradient_difference(wrong, w) == pytest.approx(1 / 3, rel=1e-6)  # ‖2w − w‖/(‖2w‖ + ‖w‖)


@pytest.mark.parametrize("epsilon", [0.0, 1e-300, -1e-7, math.nan, math.inf, 2.0])
def test_a_wrong_epsilon(epsilon: float) -> None:
    with pytest.raises(ConfigError, match="epsilon"):
        numerical_gradient(variable(1.0) * 1, variable(1.0), epsilon=epsilon)


def test_what_has_no_gradient() -> None:
    w = variable([1.0, 2.0])
    with pytest.raises(GraphError, match="one number"):
        numerical_gradient(w * w, w)
    whole = g.variable(np.array(3), "int64")
    with pytest.raises(GraphError, match="int64"):
        numerical_gradient(g.cast(whole, "float64") * 2, whole)


def test_the_sweep_has_slopes_1_and_2(checked: Checked) -> None:
    batch = checked(activation="tanh", hidden=(6, 4))
    sweep = epsilon_sweep(batch.surface(), batch.gradient())
    assert sweep.one_sided.slope == pytest.approx(1, abs=0.02)
    assert sweep.two_sided.slope == pytest.approx(2, abs=0.02)
    # where c·ε^p and rounding cross: about √u ≈ 1e-8 and ∛u ≈ 5e-6
    assert 1e-9 <= sweep.one_sided.best_epsilon <= 1e-7
    assert 1e-6 <= sweep.two_sided.best_epsilon <= 1e-4
    assert sweep.two_sided.best_error < 1e-2 * sweep.one_sided.best_error
    # rounding is in proportion to 1/ε: five powers of ten for five
    left = {e: error for e, error in zip(sweep.epsilons, sweep.two_sided.errors, strict=True) if e < 3e-7}
    slope = np.polyfit(np.log10(list(left)), np.log10(list(left.values())), 1)[0]
    assert slope == pytest.approx(-1, abs=0.1)


def test_a_quadratic_cost_has_no_two_sided_error(checked: Checked) -> None:
    batch = checked(hidden=(), outputs=1, loss="squared_error")
    sweep = epsilon_sweep(batch.surface(), batch.gradient())
    assert sweep.two_sided.slope is None
    assert max(sweep.two_sided.errors[:5]) < 1e-12
    assert sweep.one_sided.slope == pytest.approx(1, abs=0.02)


def test_the_sweep_stays_clear_of_kinks(checked: Checked) -> None:
    """ReLU: the components that cross a kink at the larger ε are left out of the lines."""
    batch = checked(hidden=(8, 8), B=20)
    sweep = epsilon_sweep(batch.surface(), batch.gradient())
    assert sweep.components < batch.net.parameters
    assert sweep.two_sided.slope == pytest.approx(2, abs=0.05)
    assert sweep.one_sided.slope == pytest.approx(1, abs=0.05)
