"""The gradient check of networks: verdicts, kinks, rounding, samples, and no false alarm on any experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data.dataset import load_dataset
from dlrun.diagnosis.batch import checked_batch
from dlrun.diagnosis.gradcheck import (
    GradientCheck,
    check_gradient,
    relative_difference,
    sampled_components,
    verdict_on,
)
from dlrun.errors import AnswerIsNoError, ConfigError
from dlrun.graph.plan import Plan
from dlrun.nn.network import NetworkGraph
from dlrun.packaged import packaged_experiments
from dlrun.training.problem import Problem
from dlrun.training.run import TrainRun

if TYPE_CHECKING:
    from tests.diagnosis.conftest import Checked


def started(name: str, *overrides: str) -> TrainRun:
    loaded = load_experiment(name, overrides=overrides)
    chosen = loaded.experiment
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    return TrainRun(Problem(chosen, dataset), Backend())


def check(run: TrainRun, *, sample: int | None = None, epsilon: float = 1e-7, **options: Any) -> GradientCheck:
    batch = checked_batch(run, **options)
    return check_gradient(batch.surface(), batch.gradient(), sample=sample, epsilon=epsilon)


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [(0.0, "great"), (1e-7, "great"), (1e-5, "look closer"), (1e-3, "worry"), (0.5, "worry"), (np.nan, "worry")],
)
def test_the_verdicts_of_the_texts(difference: float, verdict: str) -> None:
    assert verdict_on(difference) == verdict


def test_relative_difference() -> None:
    a, b = np.array([3.0, 0.0]), np.array([0.0, 4.0])
    assert relative_difference(a, b) == pytest.approx(5 / 7)
    assert relative_difference(a, a) == 0
    assert relative_difference(0 * a, 0 * a) == 0  # 0/0: both sides say that nothing depends on it


NETWORKS = [name for name in packaged_experiments() if load_experiment(name).experiment.model.kind == "network"]


@pytest.mark.parametrize("name", NETWORKS)
def test_no_false_alarm_on_any_experiment(name: str) -> None:
    """At the initial weights and again after some training, in all components of all but the largest."""
    for options in ({}, {"after_epochs": 2, "fixed_dropout": True}):
        run = started(name)
        assert run.stack is not None
        large = run.stack.net.parameters > 3000
        found = check(run, sample=400 if large else None, **options)
        assert found.passed, found.failed
        assert found.verdict == "great"
        assert found.relative_difference < 1e-6
        assert large or found.components + sum(each.kinks for each in found.parameters) == found.size
        assert [each.name for each in found.parameters] == [slot.name for slot in run.stack.net.slots]


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("iris", ["model.batch_norm=true", "regularization.l1=0.3", "model.keep_prob=0.8"]),
        ("iris", ["model.hidden=[8,8,8,8]", "model.activation=leaky_relu", "regularization.l2=1.0"]),
        ("wine", ["data.normalize=none"]),  # features from 0.1 to 1700
        ("diabetes", ["model.loss=absolute_error", "model.activation=sigmoid"]),
        ("diabetes", ["model.loss=huber", "model.feature_map={name='rbf', count=8, gamma=0.1}"]),
        ("diabetes", ["model.loss=sum_squared_error", "data.normalize=none", "model.activation=tanh"]),
        ("iris", ["model.feature_map={name='polynomial', degree=2}", "model.loss=sum_cross_entropy"]),
        ("breast_cancer", ["training.batch_size=1", "model.bias=false"]),
    ],
)
def test_no_false_alarm_on_variants(name: str, overrides: list[str]) -> None:
    for options in ({}, {"after_epochs": 3, "fixed_dropout": True}):
        found = check(started(name, *overrides), **options)
        assert found.passed, found.failed
        assert found.verdict == "great"


def test_one_sided_and_large_epsilon_are_looked_at_more_closely() -> None:
    """ε = 1e-3 one-sided errs by about 1e-4: curvature, which another ε shows to be no mistake."""
    batch = checked_batch(started("xor_hidden"))
    found = check_gradient(batch.surface(), batch.gradient(), epsilon=1e-3, one_sided=True)
    assert 1e-5 < found.relative_difference < 1e-2
    assert found.passed
    assert all(each.closer_look is not None and each.closer_look < 1e-8 for each in found.parameters)


# -- kinks -----------------------------------------------------------------------------------------


def test_l1_at_zero_is_reported_apart() -> None:
    """All weights are 0: |w| has a kink there. The biases of the last layer are compared and right."""
    found = check(started("iris", "model.initialization=zeros", "regularization.l1=0.3"))
    by_name = {each.name: each for each in found.parameters}
    assert found.passed
    assert found.verdict == "great"
    assert (by_name["W1"].kinks, by_name["W1"].components, by_name["W1"].verdict) == (64, 0, "kinks")
    assert by_name["W2"].kinks == 48
    assert (by_name["b2"].kinks, by_name["b2"].components, by_name["b2"].verdict) == (0, 3, "great")


def test_a_relu_at_its_kink_is_reported_apart(checked: Checked) -> None:
    """The first unit's input is exactly 0 on the first row: its weights have no derivative there."""
    batch = checked(hidden=(6,), B=12)
    theta = batch.theta.copy()
    x = batch.arrays["x"][0, 0]
    W = theta[:36].reshape(6, 6)  # W1 and b1, one row each input
    W[-1, 0] -= float(x @ W[:, 0])
    moved = type(batch)(batch.backend, batch.net, batch.arrays, theta, batch.rows)
    surface, gradient = moved.surface(), moved.gradient()
    z = (batch.arrays["x"][0] @ theta[:36].reshape(6, 6))[0, 0]
    assert abs(z) < 1e-15
    found = check_gradient(surface, gradient)
    by_name = {each.name: each for each in found.parameters}
    assert found.passed
    assert by_name["W1"].kinks == 5  # the column of unit 0
    assert by_name["b1"].kinks == 1
    assert by_name["W2"].kinks == by_name["b2"].kinks == 0
    assert by_name["W1"].verdict == "great"


@pytest.mark.parametrize(("loss", "bend"), [("absolute_error", 0.0), ("huber", 1.0)])
def test_a_residual_at_the_bend_is_reported_apart(loss: str, bend: float, checked: Checked) -> None:
    """One row whose residual lies at the bend of its loss, where every weight moves it to either side."""
    batch = checked(hidden=(), outputs=1, loss=loss, B=8)
    x, theta = batch.arrays["x"][0], batch.theta
    batch.arrays["y"][0, 0, 0] = float(x[0] @ theta) - bend
    found = check_gradient(batch.surface(), batch.gradient())
    assert found.passed
    assert [each.kinks for each in found.parameters] == [5, 1]


def test_kinks_do_not_hide_a_mistake(checked: Checked) -> None:
    """Many components lie at kinks when ε is large; the others still show what is wrong."""
    batch = checked(hidden=(6, 6), B=30)
    surface, gradient = batch.surface(), batch.gradient()
    gradient[: batch.net.slots[0].stop] *= 1.01
    found = check_gradient(surface, gradient, epsilon=0.05)
    assert sum(each.kinks for each in found.parameters) > 0
    assert "W1" in {each.name for each in found.failed}


# -- rounding --------------------------------------------------------------------------------------


def test_a_gradient_lost_in_rounding_is_no_failure() -> None:
    """Ten layers of sigmoids with small weights: the first gradients are 1e-20, which no difference can show."""
    found = check(
        started("iris", "model.hidden=[6,6,6,6,6,6,6,6]", "model.activation=sigmoid", "model.initialization=normal")
    )
    verdicts = {each.name: each.verdict for each in found.parameters}
    assert found.passed
    assert verdicts["W1"] == "rounding"
    assert verdicts["W9"] == "great"
    assert found.verdict == "great"


def test_the_sum_of_large_squares_has_its_own_rounding() -> None:
    found = check(started("blood_fat"))
    assert found.cost > 1e6
    assert found.rounding > 1e-11
    assert found.verdict == "great"


# -- what is checked -------------------------------------------------------------------------------


def test_a_sample_takes_some_of_every_parameter() -> None:
    run = started("digits")
    assert run.stack is not None
    slots = run.stack.net.slots
    chosen = sampled_components(slots, 100, seed=1)
    assert 100 <= len(chosen) <= 100 + 4 * len(slots)
    assert all(((chosen >= s.start) & (chosen < s.stop)).sum() >= 4 for s in slots)
    np.testing.assert_array_equal(chosen, sampled_components(slots, 100, seed=1))
    assert not np.array_equal(chosen, sampled_components(slots, 100, seed=2))


def test_dropout_is_off_or_its_mask_is_held() -> None:
    run = started("digits", "model.hidden=[6,5]", "model.keep_prob=0.5")
    off, fixed = checked_batch(run), checked_batch(run, fixed_dropout=True)
    assert off.net.dropout == ()
    assert "mask1" not in off.arrays
    assert set(np.unique(fixed.arrays["mask1"])) == {0.0, 2.0}
    assert not np.allclose(off.gradient(), fixed.gradient())
    assert check(run, fixed_dropout=True).verdict == "great"


def test_the_gradient_is_that_of_training() -> None:
    """One step of gradient descent with learning rate 1 moves θ by minus the gradient that is checked."""
    overrides = ["optimizer.name=gradient_descent", "optimizer.learning_rate=1.0", "training.batch_size=full"]
    overrides += ["regularization.l2=2.0", "model.dtype=float64", "training.epochs=1"]
    run = started("iris", *overrides)
    assert run.stack is not None
    batch = checked_batch(run, rows=1000)
    before = run.stack.theta[0].copy()
    run.stack.run_epoch(1)
    np.testing.assert_allclose(before - run.stack.theta[0], batch.gradient(), rtol=1e-9, atol=1e-12)


def test_padded_batches_have_the_same_gradient(checked: Checked) -> None:
    """The graph of batches that are not full weighs its rows one by one: a padding row of weight 0 changes nothing."""
    batch = checked(batch_norm=True, l2=True, hidden=(4,))
    net, B = batch.net, len(batch.rows)
    arrays = {name: np.asarray(value) for name, value in batch.arrays.items()}
    for name in ("x", "y"):
        arrays[name] = np.concatenate([arrays[name], np.zeros_like(arrays[name][:, :1])], axis=1)
    arrays["weight"] = np.full((1, B + 1, 1), 1 / B)
    arrays["weight"][0, -1] = 0
    graph = NetworkGraph(net, 1, B + 1, training=True)
    assert graph.gradient is not None
    bindings = graph.bindings({**arrays, **net.block_views(batch.theta[None])})
    plan = Plan(batch.backend, [graph.gradient], bindings)
    plan.run()
    np.testing.assert_allclose(plan.outputs[graph.gradient][0], batch.gradient(), rtol=1e-10, atol=1e-13)


def test_after_epochs_are_those_of_training() -> None:
    trained, fresh = started("iris"), started("iris")
    assert trained.stack is not None
    batch = checked_batch(fresh, after_epochs=3)
    for epoch in (1, 2, 3):
        trained.stack.run_epoch(epoch)
    np.testing.assert_array_equal(batch.theta, trained.stack.theta[0].astype(np.float64))


def test_a_training_that_diverges_before_the_check() -> None:
    run = started("diabetes", "optimizer.name=gradient_descent", "optimizer.learning_rate=1e9")
    with pytest.raises(AnswerIsNoError, match="diverged in epoch 1"):
        checked_batch(run, after_epochs=3)


def test_a_baseline_has_no_gradient() -> None:
    with pytest.raises(ConfigError, match=r"model\.kind"):
        checked_batch(started("iris", "model.kind=majority"))


def test_batch_normalization_needs_two_rows() -> None:
    with pytest.raises(ConfigError, match="2 rows"):
        checked_batch(started("iris", "model.batch_norm=true"), rows=1)
