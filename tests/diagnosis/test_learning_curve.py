"""Error against the number of training rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data.dataset import load_dataset
from dlrun.diagnosis.learning_curve import CurvePoint, LearningCurve, curve_sizes, learning_curve, nested_order
from dlrun.errors import ConfigError
from dlrun.training.problem import Problem
from dlrun.training.run import TrainRun


def begun(name: str, *overrides: str) -> TrainRun:
    loaded = load_experiment(name, overrides=overrides)
    chosen = loaded.experiment
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    return TrainRun(Problem(chosen, dataset), Backend())


def test_sizes() -> None:
    assert curve_sizes(1000)[0] == 50
    assert curve_sizes(1000)[-1] == 1000
    assert curve_sizes(5) == [2, 3, 4, 5]
    assert all(a < b for a, b in zip(curve_sizes(90), curve_sizes(90)[1:], strict=False))


@pytest.mark.parametrize("repeat", [0, 1])
def test_orders_hold_the_classes_in_their_shares_at_every_length(repeat: int) -> None:
    strata = np.repeat([0, 1, 2], [60, 30, 10])
    order = nested_order(strata, seed=3, repeat=repeat)
    assert sorted(order.tolist()) == list(range(100))
    for length in (10, 20, 50, 73):
        counts = np.bincount(strata[order[:length]], minlength=3)
        np.testing.assert_allclose(counts, length * np.array([0.6, 0.3, 0.1]), atol=2.01)
    assert not np.array_equal(order, nested_order(strata, seed=3, repeat=repeat + 1))


def test_the_whole_set_is_the_run_itself() -> None:
    """At full size every repeat trains on all rows; more rows do not make the dev error worse by much."""
    run = begun("wine", "training.epochs=15")
    curve = learning_curve(run.problem, Backend(), run.split, repeats=3, jobs=1)
    assert [each.rows for each in curve.sizes][-1] == len(run.split.train)
    assert len(curve.points) == 3 * len(curve.sizes)
    assert curve.judged_on == "dev"
    assert curve.sizes[-1].dev_error < curve.sizes[0].dev_error
    assert all(0 <= p.dev_error <= 1 for p in curve.points)


def test_regression_and_early_stopping() -> None:
    run = begun("diabetes", "training.epochs=10")
    curve = learning_curve(run.problem, Backend(), run.split, sizes=[30, 265], repeats=2, jobs=1)
    assert [each.rows for each in curve.sizes] == [30, 265]
    assert all(20 < p.dev_error < 300 for p in curve.points)
    assert {p.status for p in curve.points} <= {"done", "stopped"}


def test_a_diverged_model_is_left_out() -> None:
    points = [CurvePoint(10, r, 0.0, 0.5, "done") for r in range(2)]
    points += [CurvePoint(20, 0, 0.1, 0.3, "done"), CurvePoint(20, 1, math.nan, math.nan, "diverged")]
    sizes = LearningCurve(tuple(points), "dev").sizes
    assert sizes[1].dev_error == pytest.approx(0.3)
    assert math.isnan(sizes[1].dev_deviation)


def test_the_gain_is_paired_by_repeat() -> None:
    """Falls of 0.10, 0.11 and 0.12: mean 0.11, t interval with 2 degrees of freedom 4.303·0.01/√3."""
    half, full = (0.30, 0.40, 0.50), (0.20, 0.29, 0.38)
    points = [CurvePoint(50, r, 0.0, e, "done") for r, e in enumerate(half)]
    points += [CurvePoint(100, r, 0.0, e, "done") for r, e in enumerate(full)]
    found = LearningCurve(tuple(points), "dev").gain()
    assert found is not None
    rows, fall, interval = found
    assert (rows, fall) == (50, pytest.approx(0.11))
    assert interval.low == pytest.approx(0.11 - 4.302653 * 0.01 / math.sqrt(3), rel=1e-6)


def test_nothing_to_judge_by() -> None:
    run = begun("xor")
    with pytest.raises(ConfigError, match="neither dev nor test"):
        learning_curve(run.problem, Backend(), run.split)
    baseline = begun("iris", "model.kind=majority")
    with pytest.raises(ConfigError, match="no learning curve"):
        learning_curve(baseline.problem, Backend(), baseline.split)
