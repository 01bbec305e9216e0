"""`dlrun train` as a library call: parts, baselines, starting from another run's weights, what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from dlrun.backend import Backend
from dlrun.errors import ConfigError


def test_figures_of_all_parts_and_the_baseline_beside(problem, run):
    records, made = run(problem("iris", "training.epochs=5"))
    outcome, split, data = made.outcome, made.split, made.problem.dataset
    assert set(records[0].figures) == {"train", "dev"}  # the test part is read once, at the end
    assert set(outcome.figures) == set(outcome.baseline) == {"train", "dev", "test"}
    answers = outcome.model.answers(outcome.model.preprocessing.scaling.apply(data.features), Backend())
    for part, figures in outcome.figures.items():
        rows = getattr(split, part)
        assert figures.rows == len(rows)
        assert figures.cost == pytest.approx(log_loss(data.target[rows], answers[rows]), rel=1e-5)
        assert figures.error == np.mean(answers[rows].argmax(axis=1) != data.target[rows])
        assert outcome.baseline[part].error == pytest.approx(2 / 3)
        assert outcome.baseline[part].cost == pytest.approx(np.log(3))
    assert made.parameters == 4 * 16 + 16 + 16 * 3 + 3
    assert records[-1].figures["train"] == outcome.figures["train"]


def test_errors_of_a_regression_are_in_the_units_of_the_target(problem, run):
    _, made = run(problem("diabetes", "training.epochs=5"))
    data, split = made.problem.dataset, made.split
    answers = made.outcome.model.answers(made.outcome.model.preprocessing.scaling.apply(data.features), Backend())
    for part, figures in made.outcome.figures.items():
        rows = getattr(split, part)
        expected = np.sqrt(mean_squared_error(data.target[rows], answers[rows, 0]))
        assert figures.error == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("wine", "majority"), ("diabetes", "mean"), ("wine", "nearest_neighbor")])
def test_baselines_as_models(problem, run, name, kind):
    records, made = run(problem(name, f"model.kind={kind!r}"))
    assert records == []
    assert made.outcome.result.status == "done"
    assert made.outcome.model.kind == kind
    if kind != "nearest_neighbor":
        assert made.outcome.figures == made.outcome.baseline


def test_starting_from_another_runs_weights(problem, run):
    overrides = ["model.hidden=[5]", "model.batch_norm=true"]
    _, first = run(problem("wine", *overrides, "training.epochs=3"))
    _, still = run(problem("wine", *overrides, "training.epochs=0"), start=first.outcome.model)
    assert still.outcome.figures == first.outcome.figures
    np.testing.assert_array_equal(still.outcome.model.theta, first.outcome.model.theta)
    np.testing.assert_array_equal(still.outcome.model.statistics, first.outcome.model.statistics)
    _, on = run(problem("wine", *overrides, "training.epochs=3"), start=first.outcome.model)
    assert on.outcome.figures["train"].cost < first.outcome.figures["train"].cost


def test_a_map_travels_with_its_centres(problem, run):
    rbf = 'model.feature_map={name="rbf",count=12,gamma=0.2}'
    _, first = run(problem("wine", rbf, "training.epochs=1"))
    _, second = run(problem("wine", rbf, "training.epochs=1", "seed=5"), start=first.outcome.model)
    centres = (made.outcome.model.tensors["centres"] for made in (first, second))
    np.testing.assert_array_equal(*centres)


def test_weights_of_other_layers_are_refused(problem, run):
    _, first = run(problem("wine", "model.hidden=[5]", "training.epochs=0"))
    others = [
        ["model.hidden=[6]"],
        ["model.hidden=[5]", "model.batch_norm=true"],
        ["model.hidden=[5]", "model.bias=false"],
        ["model.hidden=[5]", 'model.feature_map={name="rbf",count=13,gamma=1.0}'],  # as wide, but not the same
    ]
    for overrides in others:
        with pytest.raises(ConfigError, match="same layers"):
            run(problem("wine", *overrides, "training.init_from='old'"), start=first.outcome.model)
    _, lazy = run(problem("wine", "model.kind='majority'"))
    with pytest.raises(ConfigError, match="that model is majority"):
        run(problem("wine", "model.hidden=[5]"), start=lazy.outcome.model)


def test_a_divergence_leaves_no_model(problem, run):
    _, made = run(problem("diabetes", "optimizer.name='gradient_descent'", "optimizer.learning_rate=1e9"))
    assert made.outcome.model is None
    assert made.outcome.figures == {}
    assert made.outcome.result.status == "diverged"
    assert set(made.outcome.baseline) == {"train", "dev", "test"}


NUMBERS = [0.5, 1.25, 3, 4.5, 0.25, 9]
WORDS = ["a", "b", "c", "a", "b", "c"]


@pytest.mark.parametrize(
    ("target", "overrides", "message"),
    [
        (WORDS, ["model.loss='squared_error'"], "does not fit the classification target"),
        (NUMBERS, ["model.loss='cross_entropy'"], "should be one of squared_error"),
        (WORDS, ["model.loss='binary_cross_entropy'"], "tells two classes apart"),
        (WORDS, ["model.kind='mean'"], 'its baseline is "majority"'),
        (NUMBERS, ["model.kind='majority'"], 'its baseline is "mean"'),
        (WORDS, ["model.batch_norm=true", "training.batch_size=1"], "batch_size = 1"),
        (WORDS, ["data.normalize_target=true"], "normalize_target = true does nothing for the classes of 'y'"),
    ],
)
def test_what_does_not_fit_the_data(table, target, overrides, message):
    with pytest.raises(ConfigError, match=message):
        table({"x": range(6), "y": target}, *overrides)


def test_the_same_run_twice_is_the_same_to_the_bit(problem, run):
    overrides = ["model.hidden=[20]", "model.keep_prob=0.7", "model.batch_norm=true", "training.epochs=3"]
    (a, first), (b, second) = (run(problem("digits", *overrides)) for _ in range(2))
    assert a == b
    assert first.outcome.model.to_bytes() == second.outcome.model.to_bytes()
