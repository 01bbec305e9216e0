"""The space of an experiment that has none: the texts' order, and values that fit."""

from __future__ import annotations

from typing import Any

import pytest
from tuning.tuning_cases import experiment

from dlrun.config import load_experiment
from dlrun.errors import ConfigError
from dlrun.packaged import packaged_experiments
from dlrun.tuning.default_space import default_space, with_space
from dlrun.tuning.space import Space

ORDER = [
    "optimizer.learning_rate",
    "optimizer.beta1",
    "optimizer.beta2",
    "model.hidden",
    "training.batch_size",
    "optimizer.decay.name",
]


@pytest.mark.parametrize("name", ["gradient_descent", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_keys_come_in_the_order_of_the_texts(name: str) -> None:
    space = list(default_space(experiment({}, optimizer={"name": name})))
    assert space == [key for key in ORDER if key in space]
    assert space[0] == "optimizer.learning_rate"
    assert ("optimizer.beta1" in space) == (name in ("momentum", "nesterov"))  # Adam's β1, β2 and ε come last
    assert ("optimizer.beta2" in space) == (name == "rmsprop")


@pytest.mark.parametrize(
    ("model", "hidden"),
    [
        ({"hidden": [64, 32]}, [[32, 16], [64, 32], [128, 64], [64], [64, 32, 16]]),
        ({"hidden": []}, [[], [16], [32], [32, 16]]),
        ({"hidden": [1]}, [[1], [2], [], [1, 8]]),
        ({"hidden": [8, 4], "keep_prob": [0.5, 0.5]}, [[4, 2], [8, 4], [16, 8]]),
    ],
)
def test_units_and_layers(model: dict[str, Any], hidden: list[list[int]]) -> None:
    chosen = experiment({}, model=model)
    assert default_space(chosen)["model.hidden"] == {"choice": hidden}
    assert Space.of(with_space(chosen)[0])


def test_full_batches_stay_full() -> None:
    assert "training.batch_size" not in default_space(experiment({}, training={"batch_size": "full"}))


def test_every_packaged_experiment_can_be_searched() -> None:
    for name in packaged_experiments():
        chosen = load_experiment(name, overrides=["tune.space="]).experiment
        if chosen.model.kind == "network":
            space, is_default = with_space(chosen)
            assert is_default
            assert space.tune.space


def test_a_space_of_its_own_stays() -> None:
    chosen = experiment()
    assert with_space(chosen) == (chosen, False)


def test_a_baseline_has_nothing_to_search() -> None:
    with pytest.raises(ConfigError, match="is a baseline"):
        with_space(experiment({}, model={"kind": "majority"}))
