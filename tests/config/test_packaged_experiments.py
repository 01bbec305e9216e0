"""The experiments that come with dlrun: they load, and say what the course texts say."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dlrun.config import load_experiment
from dlrun.packaged import packaged_dir, packaged_experiments

EXPECTED = {
    "blood_fat",
    "breast_cancer",
    "diabetes",
    "digits",
    "gaussians_1d",
    "gaussians_2d",
    "iris",
    "quadratic",
    "wine",
    "xor",
    "xor_hidden",
}


def test_all_are_there() -> None:
    assert set(packaged_experiments()) >= EXPECTED


@pytest.mark.parametrize("name", packaged_experiments())
def test_loads_under_its_own_name_and_says_what_it_shows(name: str) -> None:
    assert load_experiment(name).experiment.name == name
    assert (packaged_dir("experiments") / f"{name}.toml").read_text(encoding="utf-8").startswith("# ")


def test_blood_fat_is_the_printed_one() -> None:
    experiment = load_experiment("blood_fat").experiment
    assert experiment.model.hidden == ()
    assert (experiment.model.initialization, experiment.model.dtype) == ("zeros", "float32")
    assert experiment.model.loss == "sum_squared_error"
    assert (experiment.optimizer.name, experiment.optimizer.learning_rate) == ("gradient_descent", 1e-6)
    assert (experiment.training.batch_size, experiment.training.epochs) == ("full", 10_000)
    assert (experiment.data.normalize, experiment.data.split.train) == ("none", 1.0)
    assert not experiment.training.shuffle


def test_quadratic_has_the_printed_cost() -> None:
    """Mean over rows of (w·x − y)² = w²·mean(x²) − 2w·mean(xy) + mean(y²) should be w² − 10w + 25."""
    experiment = load_experiment("quadratic").experiment
    with Path(experiment.data.source).open(newline="") as file:
        rows = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]
    n = len(rows)
    assert sum(x * x for x, _ in rows) / n == 1
    assert -2 * sum(x * y for x, y in rows) / n == -10
    assert sum(y * y for _, y in rows) / n == 25
    assert (experiment.model.bias, experiment.model.hidden) == (False, ())
    assert (experiment.optimizer.learning_rate, experiment.training.epochs) == (0.01, 1000)


def test_gaussians_are_the_printed_ones() -> None:
    one, two = (load_experiment(f"gaussians_{d}d").experiment for d in (1, 2))
    assert (one.optimizer.learning_rate, one.training.stop_when_cost_changes_by) == (0.01, 1e-4)
    assert (one.training.epochs, one.data.rows, one.data.noise) == (500, 200, 3.0)
    assert (two.optimizer.learning_rate, two.training.epochs) == (0.001, 100)
    assert (one.model.loss, two.model.loss) == ("binary_cross_entropy", "sum_binary_cross_entropy")
    for experiment in (one, two):
        assert experiment.model.initialization == "zeros"
        assert experiment.training.batch_size == "full"
        assert experiment.data.normalize == "none"


def test_xor_differs_in_its_hidden_layer_alone() -> None:
    plain, hidden = (load_experiment(name).experiment for name in ("xor", "xor_hidden"))
    assert plain.model.hidden == ()
    assert hidden.model.hidden
    assert (plain.data, plain.optimizer, plain.training) == (hidden.data, hidden.optimizer, hidden.training)
