"""What a model suffers from: the examples of the texts, intervals, and the recipe."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.config import load_experiment
from dlrun.config.keys import all_keys
from dlrun.diagnosis.bias_variance import BIAS, MISMATCH, OVERFITTING, VARIANCE, diagnose
from dlrun.diagnosis.gaps import Measured, gap, newcombe
from dlrun.diagnosis.recipe import next_steps


def given(**errors: float) -> dict[str, Measured]:
    """Errors without a number of rows."""
    return {name.replace("_", "-"): Measured(error) for name, error in errors.items()}


@pytest.mark.parametrize(
    ("train", "dev", "human", "troubles"),
    [
        (0.01, 0.11, 0.0, [VARIANCE]),
        (0.15, 0.16, 0.0, [BIAS]),
        (0.15, 0.30, 0.0, [BIAS, VARIANCE]),
        (0.005, 0.01, 0.0, []),
        (0.15, 0.16, 0.15, []),  # no human does better
        (0.15, 0.16, 0.14, []),
        (0.01, 0.011, 0.0, []),
        (0.08, 0.10, 0.01, [BIAS]),  # cats of which humans miss 1 %
        (0.08, 0.10, 0.075, []),  # and blurred ones of which they miss 7.5 %
    ],
)
def test_the_verdicts_of_the_texts(train: float, dev: float, human: float, troubles: list[str]) -> None:
    found = diagnose(given(train=train, dev=dev), human=human)
    assert list(found.suffers_from) == troubles
    assert found.unclear == ()  # given errors are taken as exact


@pytest.mark.parametrize(
    ("errors", "troubles"),
    [
        ({"train": 0.01, "train_dev": 0.09, "dev": 0.10}, [VARIANCE]),
        ({"train": 0.01, "train_dev": 0.015, "dev": 0.10}, [MISMATCH]),
        ({"train": 0.10, "train_dev": 0.11, "dev": 0.12}, [BIAS]),
        ({"train": 0.10, "train_dev": 0.11, "dev": 0.20}, [BIAS, MISMATCH]),
        ({"train": 0.01, "dev": 0.02, "test": 0.10}, [OVERFITTING]),
        ({"train": 0.01, "test": 0.10}, [VARIANCE]),  # no dev part: nothing was chosen by one
    ],
)
def test_mismatch_and_overfitting_to_dev(errors: dict[str, float], troubles: list[str]) -> None:
    assert list(diagnose(given(**errors)).suffers_from) == troubles


def test_words() -> None:
    assert diagnose(given(train=0.15, dev=0.30)).verdict == "bias and variance"
    assert diagnose(given(train=0.005, dev=0.01)).verdict == "neither bias nor variance"
    assert diagnose(given(train=0.1, train_dev=0.2, dev=0.3)).verdict == "bias, variance and mismatch"


def test_newcombe_is_the_printed_interval() -> None:
    """Newcombe 1998, Table II, method 10: 56/70 − 48/80 has the interval (0.0524, 0.3339)."""
    found = newcombe(Measured(48 / 80, 80), Measured(56 / 70, 70))
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)


def test_newcombe_at_the_ends() -> None:
    """Table II: 10/10 − 0/20 has (0.6791, 1.0000)."""
    found = newcombe(Measured(0 / 20, 20), Measured(10 / 10, 10))
    assert found.low == pytest.approx(0.6791, abs=5e-5)
    assert found.high == pytest.approx(1.0, abs=5e-5)


def test_few_rows_cannot_tell() -> None:
    few = diagnose({"train": Measured(0.0, 90), "dev": Measured(1 / 30, 30)})
    many = diagnose({"train": Measured(0.001, 90_000), "dev": Measured(0.034, 30_000)})
    assert VARIANCE in few.unclear
    assert list(many.suffers_from) == [VARIANCE]
    assert many.unclear == ()


def test_the_interval_keeps_its_promise() -> None:
    """Train error 5 %, dev error 12 %, 150 rows each: 95 of 100 intervals hold the difference."""
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        train, dev = (random.binomial(150, p) / 150 for p in (0.05, 0.12))
        found = newcombe(Measured(float(train), 150), Measured(float(dev), 150))
        inside += found.low <= 0.07 <= found.high
    assert 0.93 <= inside / 1000 <= 0.98


def test_regression_gaps_are_in_spreads_of_the_target() -> None:
    random = np.random.default_rng(1)
    squares = [(scale * random.standard_normal(400)) ** 2 for scale in (5.0, 8.0)]
    train, dev = (Measured(float(np.sqrt(s.mean())), 400, s) for s in squares)
    found = diagnose({"train": train, "dev": dev}, human=5.0, task="regression", scale=10.0)
    variance = found.gaps[1]
    assert variance.value == pytest.approx((dev.error - train.error) / 10)
    assert variance.interval is not None
    # standard errors of a root mean square of normal residuals: σ/√(2n)
    half = 1.96 * np.sqrt((5 / np.sqrt(800)) ** 2 + (8 / np.sqrt(800)) ** 2) / 10
    assert variance.interval.low == pytest.approx(variance.value - half, abs=0.015)
    assert variance.interval.high == pytest.approx(variance.value + half, abs=0.015)
    assert list(found.suffers_from) == [VARIANCE]
    assert found.gaps[0].certain in (True, False)


def test_a_gap_of_exactly_the_tolerance_is_small() -> None:
    assert not gap("variance", Measured(0.01), Measured(0.03), tolerance=0.02).large
    assert gap("variance", Measured(0.01), Measured(0.031), tolerance=0.02).large


@pytest.mark.parametrize("name", ["digits", "iris", "diabetes", "blood_fat", "xor"])
def test_every_step_names_keys_that_exist_and_values_that_load(name: str) -> None:
    """Each step's settings make a valid experiment, all but the empty ones another than it was."""
    before = load_experiment(name).experiment
    learning = ["overshoots", "unfinished", "vanish", "explode"]
    steps = next_steps(before, [BIAS, VARIANCE, MISMATCH, OVERFITTING], learning=learning)
    assert {BIAS, VARIANCE, MISMATCH, OVERFITTING} <= {step.against for step in steps}
    for step in steps:
        for setting in step.settings:
            assert tuple(setting.split("=")[0].split(".")) in all_keys()
        if step.settings:
            assert load_experiment(name, overrides=step.settings).experiment != before


def test_the_recipe_has_bias_before_variance_and_the_learning_rate_before_all() -> None:
    experiment = load_experiment("iris").experiment
    order = [step.against for step in next_steps(experiment, [BIAS, VARIANCE], learning=["overshoots"])]
    assert order[0] == "a learning rate that is too large"
    assert order.index(BIAS) < order.index(VARIANCE)
    assert next_steps(experiment, []) == []
