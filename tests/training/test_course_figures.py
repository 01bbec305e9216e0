"""Figures printed in the course texts, and those that follow from a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.training.evaluation import Evaluator

B1_LOSSES = (
    1230281.8,
    47094.402,
    47081.83,
    47069.746,
    47057.695,
    47045.66,
    47033.69,
    47021.734,
    47009.824,
    46997.938,
)


def test_linear_regression_on_blood_fat_follows_the_printed_path(problem, run):
    records, made = run(problem("blood_fat"))
    losses = [records[update - 1].figures["train"].cost for update in range(1, 10_000, 1000)]
    np.testing.assert_allclose(losses, B1_LOSSES, rtol=1e-6)
    model = made.outcome.model
    np.testing.assert_allclose(model.theta, [1.2922349, 5.5893784, 1.1374356], rtol=1e-6)
    people = np.array([[50.0, 20], [50, 70], [90, 20], [90, 70]])
    answers = model.answers(people, Backend())[:, 0]
    np.testing.assert_allclose(answers, [177.54, 457.01, 229.23, 508.70], atol=0.005)


@pytest.mark.parametrize("seed", range(4))
def test_logistic_regression_on_one_feature_stops_where_the_text_does(problem, run, seed):
    records, made = run(problem("gaussians_1d", f"seed={seed}"))
    assert records[0].batch_cost == pytest.approx(math.log(2), rel=1e-6)  # from zeros, before the first update
    assert made.outcome.result.status == "settled"
    assert 130 < len(records) < 260
    assert 0.08 < records[-1].figures["train"].cost < 0.25
    last, previous = (record.figures["train"].cost for record in records[:-3:-1])
    assert abs(last - previous) < 1e-4


def test_linear_decision_function_with_given_weights(problem):
    """p = σ(1.23·x1 + x2 − 0.55), and the cross-entropies of all rows added."""
    p = problem("gaussians_2d")
    rows = np.arange(len(p.dataset))
    theta = np.array([[1.23, 1.0, -0.55]])
    stack = p.stack(Backend(), [p.replica(rows)], theta=theta)
    x, y = p.dataset.features, p.dataset.target
    z = x @ [1.23, 1.0] - 0.55
    chance = 1 / (1 + np.exp(-z))
    answers = Evaluator(stack).outputs([rows])[0]
    np.testing.assert_allclose(answers, np.stack([1 - chance, chance], axis=1), atol=1e-6)
    cost = -np.log(np.where(y == 1, chance, 1 - chance)).sum()
    figures = Evaluator(stack).figures([rows])[0]
    assert figures.cost == pytest.approx(cost, rel=1e-6)
    assert figures.error == np.mean((z > 0) != (y == 1))


def test_learning_the_decision_function_lowers_the_summed_cost(problem, run):
    records, made = run(problem("gaussians_2d"))
    costs = [record.figures["train"].cost for record in records]
    assert records[0].batch_cost == pytest.approx(len(made.problem.dataset) * math.log(2), rel=1e-6)
    assert len(costs) == 100
    assert (np.diff(costs) < 0).all()
    w1, w2, b = made.outcome.model.theta
    assert w1 > 0 < w2
    assert b < 0


def test_one_sigmoid_cannot_do_exclusive_or(problem, run):
    """Its best answer is one half everywhere, which costs ln 2 and is right for half of the rows."""
    _, made = run(problem("xor"))
    figures = made.outcome.figures["train"]
    assert figures.cost == pytest.approx(math.log(2), abs=1e-4)
    assert figures.error == 0.5
    np.testing.assert_allclose(made.outcome.model.answers(made.problem.dataset.features, Backend()), 0.5, atol=0.01)


def test_a_hidden_layer_does_exclusive_or(problem, run):
    _, made = run(problem("xor_hidden"))
    assert made.outcome.figures["train"].error == 0
    assert made.outcome.figures["train"].cost < 0.05


def test_parabola_as_a_model(problem, run):
    """J(w) = w² − 10w + 25 from w = 0 with α = 0.01: w after t steps is 5·(1 − 0.98ᵗ)."""
    _, made = run(problem("quadratic", "training.epochs=1"))
    assert made.outcome.model.theta == pytest.approx([0.1], rel=1e-6)
    _, made = run(problem("quadratic"))
    assert made.outcome.model.theta == pytest.approx([4.99999], abs=1e-5)
    _, made = run(problem("quadratic", "model.dtype='float64'", "training.epochs=200"))
    assert made.outcome.model.theta == pytest.approx([5 * (1 - 0.98**200)], rel=1e-12)


@pytest.mark.parametrize(("name", "accuracy"), [("digits", 0.97), ("breast_cancer", 0.96)])
def test_shipped_experiments_reach_their_accuracy_on_the_test_part(problem, run, name, accuracy):
    _, made = run(problem(name))
    assert 1 - made.outcome.figures["test"].error >= accuracy
    assert made.outcome.figures["test"].error < made.outcome.baseline["test"].error / 5


def test_diabetes_errs_about_as_linear_regression_does(problem, run):
    from sklearn.linear_model import LinearRegression

    _, made = run(problem("diabetes"))
    x, y, split = made.problem.dataset.features, made.problem.dataset.target, made.split
    linear = LinearRegression().fit(x[split.train], y[split.train])
    theirs = np.sqrt(np.mean((linear.predict(x[split.test]) - y[split.test]) ** 2))
    assert made.outcome.figures["test"].error == pytest.approx(theirs, rel=0.1)
    mean = y[split.train].mean()
    baseline = np.sqrt(np.mean((y[split.test] - mean) ** 2))
    assert made.outcome.baseline["test"].error == pytest.approx(baseline, rel=1e-12)
