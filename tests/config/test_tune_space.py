"""`tune.space`: ranges, their bounds, and whether they fit their key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.config import Experiment, Range, validate, with_values
from dlrun.errors import ConfigError
from dlrun.tuning.default_space import with_space


def experiment(space: dict[str, Any], **tables: Any) -> Experiment:
    return validate({"data": {"source": "iris"}, **tables, "tune": {"space": space}}, where="my.toml")


@pytest.mark.parametrize(
    ("given", "probes"),
    [
        ({"uniform": [0, 1]}, (0.0, 1.0)),
        ({"log_uniform": [1e-4, 1]}, (1e-4, 1.0)),
        ({"one_minus_log": [0.9, 0.999]}, (0.9, 0.999)),
        ({"int_uniform": [16, 128]}, (16, 128)),
        ({"int_log_uniform": [1, 100]}, (1, 100)),
        ({"choice": [[16], [32, 16], []]}, ((16,), (32, 16), ())),
    ],
)
def test_ranges(given: dict[str, Any], probes: tuple[Any, ...]) -> None:
    made = Range.model_validate(given)
    assert made.probes() == probes
    assert [type(probe) for probe in made.probes()] == [type(probe) for probe in probes]
    assert made.document() == given
    assert Range.model_validate(made.document()) == made


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"uniform": [1, 1]}, "low < high"),
        ({"uniform": [2, 1]}, "low < high"),
        ({"uniform": [1]}, "two numbers"),
        ({"uniform": 1}, "two numbers"),
        ({"uniform": ["a", "b"]}, "finite numbers"),
        ({"uniform": [0.0, float("inf")]}, "finite numbers"),
        ({"uniform": [False, True]}, "finite numbers"),
        ({"log_uniform": [0, 1]}, "> 0"),
        ({"int_log_uniform": [0, 8]}, "> 0"),
        ({"int_uniform": [0.5, 8]}, "whole numbers"),
        ({"one_minus_log": [0.5, 1]}, "< 1"),
        ({"one_minus_log": [-0.5, 0.9]}, "≥ 0"),
        ({"choice": []}, "one or more values"),
        ({"choice": 3}, "list of values"),
        ({"choice": [1, 2, 1]}, "twice"),
        ({"log_unifrom": [1, 2]}, 'the nearest is "log_uniform"'),
        ({"uniform": [1, 2], "choice": [1]}, "one of the keys"),
        ({}, "one of the keys"),
        (3, "range"),
    ],
)
def test_bad_ranges(given: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        experiment({"optimizer.learning_rate": given})
    assert 'my.toml: tune.space."optimizer.learning_rate"' in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("key", "given", "complaint"),
    [
        ("optimizer.beta1", {"uniform": [0.5, 1.0]}, "1.0 should be a number ≥ 0 and < 1"),
        ("training.epochs", {"uniform": [1, 5]}, "1.0 should be a whole number"),
        ("model.hidden", {"choice": [[16], [0]]}, "[0] should be a list"),
        ("model.hidden", {"choice": [16]}, "16 should be a list"),
        ("optimizer.name", {"choice": ["adam", "sgd"]}, '"sgd" should be one of'),
        ("optimizer.weight_decay", {"uniform": [0.01, 0.1]}, "adamw"),
        ("optimizer.beta7", {"uniform": [0.1, 0.2]}, "the nearest known one is optimizer.beta1"),
        ("learning_rate", {"uniform": [0.1, 0.2]}, "the nearest known one is optimizer.learning_rate"),
        ("name", {"choice": ["a"]}, "cannot be varied"),
        ("tune.space", {"choice": [{}]}, "cannot be varied"),
        ("optimizer", {"choice": [{"name": "adam"}, {"nome": "adam"}]}, "optimizer.name"),
    ],
)
def test_ranges_that_do_not_fit_their_key(key: str, given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        experiment({key: given})
    assert "tune.space." in str(caught.value)
    assert complaint in str(caught.value)


def test_every_misfit_is_listed() -> None:
    with pytest.raises(ConfigError, match="2 problems"):
        experiment({"optimizer.beta1": {"uniform": [0, 2]}, "training.epochs": {"choice": ["many"]}})


def test_the_layers_of_a_choice_must_fit_the_rest() -> None:
    """In a search. Whoever only trains may give a keep_prob for each layer beside such a space."""
    space = {"model.hidden": {"choice": [[8, 8], [8]]}}
    made = experiment(space, model={"hidden": [4, 4], "keep_prob": [0.5, 0.5]})
    with pytest.raises(ConfigError, match=r"\[8\] model\.keep_prob"):
        with_space(made)


def test_a_decay_of_another_name_starts_anew() -> None:
    names = {"choice": ["constant", "exponential", "inverse_time"]}
    made = experiment({"optimizer.decay.name": names}, optimizer={"decay": {"name": "inverse_time", "rate": 0.5}})
    assert with_values(made, {"optimizer.decay.name": "exponential"}).optimizer.decay.base == 0.95


def test_with_values() -> None:
    made = experiment({"optimizer.learning_rate": {"log_uniform": [1e-4, 1.0]}})
    trial = with_values(
        made,
        {
            "optimizer.learning_rate": np.float64(0.25),
            "training.batch_size": np.int64(16),
            "model.hidden": (8, 4),
            "training.early_stopping.patience": 3,
        },
    )
    assert trial.optimizer.learning_rate == 0.25
    assert trial.training.batch_size == 16
    assert trial.model.hidden == (8, 4)
    assert trial.training.early_stopping is not None
    assert trial.tune.space == {}
    assert made.tune.space
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rate = -1"):
        with_values(made, {"optimizer.learning_rate": -1})
    with pytest.raises(ConfigError, match=r"nearest known one is optimizer\.beta1"):
        with_values(made, {"optimizer.beta9": 0.5})


@pytest.mark.parametrize("keys", [("name", "factor"), ("factor", "name")])
def test_a_decay_and_its_keys_come_in_any_order(keys: tuple[str, str]) -> None:
    made = experiment({}, optimizer={"decay": {"name": "inverse_time", "rate": 0.5}})
    values = {"name": "staircase", "factor": 0.25}
    decay = with_values(made, {f"optimizer.decay.{key}": values[key] for key in keys}).optimizer.decay
    assert (decay.name, decay.factor) == ("staircase", 0.25)
