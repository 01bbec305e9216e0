"""The schema takes what the interface allows and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dlrun.config import DataConfig, Experiment, SplitConfig, validate
from dlrun.errors import ConfigError

# The example of the interface, but for init_from, which needs a run.
WHOLE: dict[str, Any] = {
    "name": "cancer",
    "seed": 0,
    "task": "classification",
    "data": {
        "source": "breast_cancer",
        "target": "diagnosis",
        "features": ["mean_radius"],
        "missing": "error",
        "normalize": "standard",
        "split": {"train": 0.6, "dev": 0.2, "test": 0.2, "stratify": True},
    },
    "model": {
        "kind": "network",
        "hidden": [64, 32],
        "activation": "relu",
        "initialization": "he",
        "batch_norm": False,
        "keep_prob": 1.0,
        "loss": "cross_entropy",
        "dtype": "float32",
    },
    "optimizer": {
        "name": "adam",
        "learning_rate": 0.001,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "decay": {"name": "inverse_time", "rate": 1.0},
    },
    "regularization": {"l2": 0.0, "l1": 0.0},
    "training": {
        "epochs": 20,
        "batch_size": 64,
        "shuffle": True,
        "init_from": "RUN",
        "early_stopping": {"patience": 10},
    },
    "tune": {
        "space": {
            "optimizer.learning_rate": {"log_uniform": [1e-4, 1.0]},
            "optimizer.beta1": {"one_minus_log": [0.9, 0.999]},
            "model.hidden": {"choice": [[16], [32], [32, 16]]},
            "training.batch_size": {"int_uniform": [16, 128]},
        }
    },
}


def with_value(key: str, value: Any) -> dict[str, Any]:
    """The least experiment, with one more value."""
    document: dict[str, Any] = {"data": {"source": "iris"}}
    table = document
    *above, last = key.split("/")
    for part in above:
        table = table.setdefault(part, {})
    table[last] = value
    return document


def test_example_of_the_interface() -> None:
    experiment = validate(WHOLE, where="example")
    assert experiment.model.hidden == (64, 32)
    assert experiment.optimizer.decay.rate == 1.0
    assert experiment.tune.space["optimizer.beta1"].kind == "one_minus_log"
    assert experiment.tune.space["model.hidden"].choices == ((16,), (32,), (32, 16))
    assert (experiment.tune.space["training.batch_size"].low, experiment.data.split.test) == (16, 0.2)


def test_defaults_of_the_interface() -> None:
    experiment = Experiment(data=DataConfig(source="iris"))
    example = validate(WHOLE | {"tune": {}}, where="example")
    assert experiment.optimizer.model_copy(update={"decay": example.optimizer.decay}) == example.optimizer
    assert experiment.data.split == example.data.split == SplitConfig(train=0.6, dev=0.2, test=0.2)
    assert experiment.training.early_stopping is None
    assert experiment.model.loss is None


GOOD = [
    ("model/hidden", []),
    ("model/hidden", [1, 100_000]),
    ("model/keep_prob", 1),
    ("model/keep_prob", [0.5, 1.0]),
    ("optimizer/learning_rate", 1),
    ("optimizer/beta1", 0),
    ("training/batch_size", 1),
    ("training/batch_size", "full"),
    ("training/epochs", 0),
    ("seed", 2**63 - 1),
    ("name", "a.b-c_D9"),
    ("name", "x" * 64),
    ("optimizer/decay", {"name": "manual", "values": {"1": 0.1, "20": 0.01}}),
    ("optimizer/decay", {"name": "staircase", "factor": 0.1, "every": 5}),
    ("optimizer/decay", {"name": "cosine", "epochs": 5, "final_fraction": 0.1}),
    ("optimizer", {"name": "adamw", "weight_decay": 0.01}),
    ("model/feature_map", {"name": "polynomial", "degree": 3}),
    ("model/feature_map", {"name": "rbf", "count": 50, "gamma": 0.5}),
    ("data/split", {"train": 1.0}),
    ("data/split", {"train": 0.995, "dev": 0.0025, "test": 0.0025}),
    ("data/split", {"train": 0.7, "test": 0.3}),
    ("training/early_stopping", {}),
]


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_taken(key: str, value: Any) -> None:
    assert validate(with_value(key, value), where="file")


BAD = [
    ("seed", -1),
    ("seed", 2**63),
    ("seed", True),
    ("seed", 1.0),
    ("name", ""),
    ("name", ".hidden"),
    ("name", "a/b"),
    ("name", "a b"),
    ("name", "näme"),
    ("name", "line\n"),
    ("name", "x" * 65),
    ("task", "ranking"),
    ("data/source", ""),
    ("data/source", "a\0b"),
    ("data/source", "\udcff.csv"),
    ("data/features", []),
    ("data/features", "age"),
    ("data/missing", "median"),
    ("data/rows", 0),
    ("data/noise", -0.1),
    ("model/hidden", [0]),
    ("model/hidden", [100_001]),
    ("model/hidden", [4] * 1001),
    ("model/hidden", [16.0]),
    ("model/hidden", 16),
    ("model/keep_prob", 0.0),
    ("model/keep_prob", 1.1),
    ("model/keep_prob", [0.5, 0.0]),
    ("model/keep_prob", True),
    ("model/batch_norm", 1),
    ("model/batch_norm", "false"),
    ("model/dtype", "float16"),
    ("optimizer/learning_rate", 0.0),
    ("optimizer/learning_rate", "0.1"),
    ("optimizer/learning_rate", True),
    ("optimizer/learning_rate", float("nan")),
    ("optimizer/learning_rate", float("inf")),
    ("optimizer/learning_rate", 10**400),
    ("optimizer/beta1", 1.0),
    ("optimizer/beta2", -0.1),
    ("optimizer/epsilon", 0.0),
    ("optimizer/clip_norm", 0),
    ("regularization/l2", -1.0),
    ("training/epochs", -1),
    ("training/epochs", 2.0),
    ("training/batch_size", 0),
    ("training/batch_size", "half"),
    ("training/batch_size", True),
    ("training/early_stopping/patience", 0),
    ("training/stop_when_cost_changes_by", 0.0),
    ("data/split/train", 0.0),
    ("optimizer/decay/base", 0.5),  # without the name it is "constant", which takes none
]


@pytest.mark.parametrize(("key", "value"), BAD, ids=lambda value: repr(value)[:40])
def test_refused_with_the_key(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(with_value(key, value), where="my.toml")
    message = str(caught.value)
    assert message.startswith("my.toml: ")
    place = "data.split" if key.startswith("data/split") else key.replace("/", ".")
    assert place in message
    assert "\n" not in message


CROSS = [
    ({"model": {"hidden": [3], "keep_prob": [0.5, 0.5]}}, "model.keep_prob"),
    (
        {"training": {"early_stopping": {}}, "data": {"source": "iris", "split": {"train": 1.0}}},
        "data.split.dev",
    ),
    ({"task": "regression", "model": {"loss": "cross_entropy"}}, "model.loss"),
    ({"task": "classification", "model": {"loss": "squared_error"}}, "model.loss"),
    ({"task": "classification", "model": {"kind": "mean"}}, "model.kind"),
    ({"task": "regression", "model": {"kind": "majority"}}, "model.kind"),
    ({"optimizer": {"name": "adam", "weight_decay": 0.1}}, "optimizer.weight_decay"),
    ({"optimizer": {"decay": {"name": "exponential", "rate": 1.0}}}, "optimizer.decay.rate"),
    ({"optimizer": {"decay": {"name": "manual"}}}, "optimizer.decay.values"),
    ({"optimizer": {"decay": {"name": "manual", "values": {"0": 0.1}}}}, "optimizer.decay.values"),
    ({"optimizer": {"decay": {"name": "manual", "values": {"one": 0.1}}}}, "optimizer.decay.values"),
    ({"optimizer": {"decay": {"name": "manual", "values": {}}}}, "optimizer.decay.values"),
    ({"model": {"feature_map": {"name": "rbf", "degree": 2}}}, "model.feature_map.degree"),
    ({"model": {"feature_map": {"degree": 2}}}, "model.feature_map.name"),
    ({"data": {"source": "x.csv", "target": "y", "features": ["x", "y"]}}, "data.features"),
    ({"data": {"source": "x.csv", "features": ["x", "x"]}}, "data.features"),
    ({"data": {"source": "x.csv", "target": "y", "group": "y"}}, "data.group"),
    ({"data": {"source": "iris", "split": {"train": 0.6, "dev": 0.2, "test": 0.2 + 1e-8}}}, "data.split"),
    ({"data": {"source": "iris", "split": {"train": 0.8, "dev": 0.2, "test": 0.2}}}, "data.split"),
]


@pytest.mark.parametrize(("part", "place"), CROSS)
def test_keys_that_do_not_fit_together(part: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError, match=place.replace(".", r"\.")):
        validate({"data": {"source": "iris"}} | part, where="my.toml")


def test_frozen_and_keyword_only() -> None:
    experiment = Experiment(data=DataConfig(source="iris"))
    with pytest.raises(ValidationError):
        experiment.seed = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        DataConfig("iris")  # type: ignore[call-arg, misc]
