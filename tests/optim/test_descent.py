"""`minimize` in Python, and the path of a typed cost."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from backend.strict import StrictBackend

from dlrun import graph as g
from dlrun.backend import Backend
from dlrun.errors import AnswerIsNoError, ConfigError, GraphError
from dlrun.optim import follow, minimize, read_cost
from dlrun.optim.descent import optimizer_settings
from dlrun.optim.optimizers import OPTIMIZERS


@pytest.fixture(params=["device", "strict"])
def session(request: pytest.FixtureRequest, backend: Backend) -> g.Session:
    return g.Session(backend if request.param == "device" else StrictBackend())


def parabola() -> tuple[g.Node, g.Node]:
    w = g.variable(0.0, name="w")
    return w, w**2 - 10 * w + 25


def test_the_example_of_the_texts(session: g.Session) -> None:
    """J(w) = w² − 10w + 25, α = 0.01, from 0: 0.1 after one step, 4.99999 after 1000."""
    w, cost = parabola()
    step = minimize(cost, "gradient_descent", learning_rate=0.01)
    session.run(step)
    assert session.run(w) == pytest.approx(0.1, rel=1e-6)
    for _ in range(999):
        session.run(step)
    assert f"{session.run(w):.5f}" == "4.99999"


def test_coefficients_fed_as_data(session: g.Session) -> None:
    """(1, −20, 100) gives w = 10."""
    w, x = g.variable(0.0, name="w"), g.placeholder((3, 1), name="x")
    cost = x[0, 0] * w**2 + x[1, 0] * w + x[2, 0]
    step = minimize(cost, learning_rate=0.01)
    for _ in range(1000):
        session.run(step, {x: [[1.0], [-20.0], [100.0]]})
    assert session.run(w) == pytest.approx(10, abs=1e-3)
    assert session.run(cost, {x: [[1], [-20], [100]]}) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_word_changes_the_optimizer(name: str, session: g.Session) -> None:
    w, cost = parabola()
    step = minimize(cost, name, learning_rate=0.1)
    for _ in range(600):
        session.run(step)
    assert session.run(w) == pytest.approx(5, abs=0.06)


def test_tensors_of_several_shapes_are_fitted_together(session: g.Session) -> None:
    """Linear regression by Adam against the normal equations."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(30, 3)), random.normal(size=(30, 1))
    x, t = g.placeholder((None, 3), "float64"), g.placeholder((None, 1), "float64")
    W, b = g.variable(np.zeros((3, 1)), name="W"), g.variable(np.zeros(1), name="b")
    cost = g.reduce_mean(g.square(x @ W + b - t))
    step = minimize(cost, "adam", learning_rate=0.05, decay={"name": "exponential", "base": 0.99})
    for _ in range(800):
        session.run(step, {x: X, t: y})
    solution = np.linalg.lstsq(np.column_stack([X, np.ones(30)]), y, rcond=None)[0]
    np.testing.assert_allclose(session.run(W), solution[:3], atol=1e-4)
    np.testing.assert_allclose(session.run(b), solution[3], atol=1e-4)


def test_each_session_has_steps_and_state_of_its_own(session: g.Session) -> None:
    w, cost = parabola()
    step = minimize(cost, "adam", learning_rate=0.1)
    for _ in range(5):
        session.run(step)
    other = g.Session(session.backend)
    other.run(step)
    assert other.run(w) == pytest.approx(0.1, rel=1e-6)  # Adam's first step is α
    assert session.run(w) > 0.4


def test_the_cost_and_the_step_in_one_run(session: g.Session) -> None:
    w, cost = parabola()
    step = minimize(cost, learning_rate=0.5)
    assert session.run([cost, step, w]) == [25.0, None, 0.0]
    assert session.run([cost, w]) == [0.0, 5.0]


def test_only_the_given_variables_change(session: g.Session) -> None:
    v, w = g.variable(1.0, name="v"), g.variable(1.0, name="w")
    step = minimize(v * w, variables=[w], learning_rate=0.5)
    session.run(step)
    assert session.run([v, w]) == [1.0, 0.5]


def test_decay_warm_up_and_clipping(session: g.Session) -> None:
    """D5's table as steps of α·1 down a cost of slope 1; then warm-up; then a slope that is cut off."""
    w = g.variable(0.0, "float64", name="w")
    step = minimize(w, learning_rate=0.2, decay={"name": "inverse_time", "rate": 1.0})
    path = [0.0]
    for _ in range(4):
        session.run(step)
        path.append(float(session.run(w)))
    np.testing.assert_allclose([a - b for a, b in itertools.pairwise(path)], [0.1, 0.2 / 3, 0.05, 0.04], rtol=1e-12)
    assert step.learning_rate(2) == pytest.approx(0.2 / 3)
    session.close()
    session.run(minimize(100 * w, learning_rate=1.0, warmup_steps=4, clip_norm=2.0))
    assert session.run(w) == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda w: minimize(g.constant(1.0) * 2), GraphError, "depends on no variable"),
        (lambda w: minimize(w * [1.0, 2.0]), GraphError, r"shape \(2,\); it must be one number"),
        (lambda w: minimize(w**2, variables=[g.placeholder(())]), GraphError, "placeholder; only variables"),
        (lambda w: minimize(w * g.variable(1.0, "float64")), GraphError, "must have one dtype"),
        (lambda w: minimize(w**2, "adm"), ConfigError, 'optimizer.name = "adm": should be one of'),
        (lambda w: minimize(w**2, learning_rate=-1), ConfigError, "optimizer.learning_rate = -1"),
        (lambda w: minimize(w**2, beta1=2), ConfigError, "optimizer.beta1 = 2"),
        (lambda w: minimize(w**2, beta=2), ConfigError, "optimizer.beta.*nearest"),
        (lambda w: minimize(w**2, decay={"name": "linear"}), ConfigError, "optimizer.decay.name"),
    ],
)
def test_what_cannot_be_minimized(build: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build(g.variable(1.0, name="w"))


# -- a typed cost ----------------------------------------------------------------------------------


def test_the_path_of_gradient_descent_in_closed_form() -> None:
    """w ← w − α(2w − 10) is 5(1 − (1 − 2α)ᵏ) after k steps."""
    cost, variables = read_cost("w**2 - 10*w + 25")
    settings = optimizer_settings({"name": "gradient_descent", "learning_rate": 0.01})
    records = list(follow(cost, variables, settings, steps=1000))
    assert [record.step for record in records] == list(range(1001))
    k = np.arange(1001)
    w = 5 * (1 - 0.98**k)
    np.testing.assert_allclose([r.values["w"] for r in records], w, rtol=1e-12)
    np.testing.assert_allclose([r.cost for r in records], (w - 5) ** 2, atol=2e-14)
    np.testing.assert_allclose([r.gradient["w"] for r in records], 2 * w - 10, rtol=1e-6, atol=1e-13)
    assert records[0].learning_rate is None
    assert records[1].values["w"] == pytest.approx(0.1, rel=1e-15)


def test_numbers_alone_are_computed_in_the_same_precision() -> None:
    cost, variables = read_cost("exp(1)*w + pow(2, 0.5) + minimum(1, 0.1)", start={"w": 1.0})
    settings = optimizer_settings({"name": "gradient_descent", "learning_rate": 1.0})
    (record,) = follow(cost, variables, settings, steps=0)
    assert record.cost == pytest.approx(math.e + math.sqrt(2) + 0.1, rel=1e-15)
    assert record.gradient["w"] == pytest.approx(math.e, rel=1e-15)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_goes_down_rosenbrocks_valley(name: str) -> None:
    cost, variables = read_cost("(1 - x)**2 + 100*(y - x**2)**2", start={"x": -1.2, "y": 1.0})
    settings = optimizer_settings({"name": name, "learning_rate": 0.001})
    records = list(follow(cost, variables, settings, steps=200))
    assert records[0].cost == pytest.approx(24.2, rel=1e-14)
    assert list(records[0].values) == ["x", "y"]
    assert records[-1].cost < 23.9


def test_float32_on_request() -> None:
    cost, variables = read_cost("w*0.1", start={"w": 1.0}, dtype="float32")
    (record,) = follow(cost, variables, optimizer_settings({"name": "adam", "learning_rate": 1.0}), steps=0)
    assert record.cost == float(np.float32(0.1))


def test_divergence_is_named_with_its_step() -> None:
    cost, variables = read_cost("w**4", start={"w": 1.0})
    records = []
    with pytest.raises(
        AnswerIsNoError, match=r"step 5: the cost is inf at w = -9\.08741e\+192: .* smaller learning rate"
    ):
        records.extend(
            follow(cost, variables, optimizer_settings({"name": "gradient_descent", "learning_rate": 10.0}), steps=50)
        )


def test_a_start_without_a_slope_or_a_value_is_named() -> None:
    settings = optimizer_settings({"name": "gradient_descent", "learning_rate": 0.1})
    for text, seen in (("log(w)", "the cost is -inf"), ("sqrt(w)", "the gradient by w is inf")):
        cost, variables = read_cost(text)
        with pytest.raises(AnswerIsNoError, match=f"step 0: {seen} at the start, w = 0; start elsewhere"):
            list(follow(cost, variables, settings, steps=5))


@pytest.mark.parametrize(
    ("text", "start", "message"),
    [
        ("3 + pi", {}, "has no variable to change"),
        ("w**2", {"v": 1.0}, "start v = 1: the expression has no variable 'v'; it has w"),
        ("foo(w)", {}, "no function 'foo'"),
        ("w +", {}, "in the expression"),
        ("__import__('os').system('x')", {}, "in the expression"),
    ],
)
def test_what_cannot_be_read(text: str, start: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_cost(text, start=start)


def test_overrides_are_keys_of_the_optimizer() -> None:
    settings = optimizer_settings({"name": "adam"}, ["optimizer.beta1=0.5", "optimizer.decay.name=inverse_time"])
    assert (settings.beta1, settings.decay.name) == (0.5, "inverse_time")
    with pytest.raises(ConfigError, match=r"--set training\.epochs=3: only keys of"):
        optimizer_settings({}, ["training.epochs=3"])
