"""`--set KEY=VALUE`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlrun.config import Experiment, load_experiment
from dlrun.errors import ConfigError

FILE = """
[data]
source = "iris"
[optimizer]
name = "adam"
[optimizer.decay]
name = "inverse_time"
rate = 0.5
[training.early_stopping]
patience = 7
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my.toml"
    path.write_text(FILE)
    return path


def loaded(file: Path, *overrides: str, seed: int | None = None) -> Experiment:
    return load_experiment(file, overrides=overrides, seed=seed).experiment


def test_values_are_toml_or_bare_texts(file: Path) -> None:
    experiment = loaded(
        file,
        "optimizer.learning_rate=0.01",
        "optimizer.name=momentum",
        "model.hidden = [8, 4]",
        "model.keep_prob=[0.5, 1]",
        "model.batch_norm=true",
        'data.target="1"',
        "name=2024-01-31",
        "data.split={train = 0.5, dev = 0.5}",
    )
    assert experiment.optimizer.learning_rate == 0.01
    assert experiment.optimizer.name == "momentum"
    assert experiment.model.hidden == (8, 4)
    assert experiment.model.keep_prob == (0.5, 1.0)
    assert experiment.model.batch_norm is True
    assert experiment.data.target == "1"
    assert experiment.name == "2024-01-31"
    assert experiment.data.split.dev == 0.5


@pytest.mark.parametrize(
    ("override", "right"),
    [
        ("model.hidden=8,4", "model.hidden=[8, 4]"),
        ("model.hidden=8", "model.hidden=[8]"),
        ("model.keep_prob=0.5,1", None),  # two where there is one hidden layer
        ("data.features=a,b", 'data.features=["a", "b"]'),
        ("model.hidden=-8", None),
        ("training.epochs=5,6", None),
    ],
)
def test_a_list_without_brackets(override: str, right: str | None, file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(file, "model.hidden=[5]", override)
    if right is None:
        assert "--set '" not in str(caught.value)
    else:
        assert str(caught.value).endswith(f", as in --set '{right}'")
        key, _, value = right.partition("=")
        loaded(file, f"{key}={value}")


def test_a_value_cannot_bring_further_keys(file: Path) -> None:
    experiment = loaded(file, "data.target=1\nseed = 5")
    assert (experiment.data.target, experiment.seed) == ("1\nseed = 5", 0)


def test_the_last_wins_and_seed_over_all(file: Path) -> None:
    assert loaded(file, "seed=1", "seed=2").seed == 2
    assert loaded(file, "seed=1", seed=3).seed == 3


def test_tables_are_made(file: Path) -> None:
    experiment = loaded(file, "training.early_stopping.patience=5", "model.feature_map.name=rbf")
    assert experiment.training.early_stopping is not None
    assert experiment.training.early_stopping.patience == 5
    assert experiment.model.feature_map is not None


def test_nothing_behind_the_sign_takes_the_key_out(file: Path) -> None:
    experiment = loaded(file, "training.early_stopping=", "optimizer.decay=", "model.loss=")
    assert experiment.training.early_stopping is None
    assert experiment.optimizer.decay.name == "constant"


def test_another_decay_starts_its_table_anew(file: Path) -> None:
    decay = loaded(file, "optimizer.decay.name=exponential", "optimizer.decay.base=0.9").optimizer.decay
    assert (decay.name, decay.base) == ("exponential", 0.9)
    decay = loaded(file, "optimizer.decay.name=inverse_time").optimizer.decay
    assert decay.rate == 0.5


@pytest.mark.parametrize("key", ['tune.space."optimizer.beta1"', "tune.space.optimizer.beta1"])
def test_search_space(file: Path, key: str) -> None:
    space = loaded(file, f"{key}={{one_minus_log = [0.9, 0.999]}}").tune.space
    assert [*space] == ["optimizer.beta1"]
    assert loaded(file, f"{key}={{one_minus_log = [0.9, 0.999]}}", f"{key}=").tune.space == {}


def test_paths_are_relative_to_the_current_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = file.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    experiment = loaded(file, "data.source=sub/x.csv", "training.init_from=run-1")
    assert experiment.data.source == str(elsewhere / "sub" / "x.csv")
    assert experiment.training.init_from == str(elsewhere / "run-1")


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("seed", "should be KEY=VALUE"),
        ("=1", "'' is no key"),
        ("a b=1", "'a b' is no key"),
        ("seed.=1", "'seed.' is no key"),
        ("a\nb=1", "is no key"),
        ("optimizer.beta1=2", "should be a number ≥ 0 and < 1"),
        ("optimizer.beta3=0.5", "the nearest known one is optimizer.beta1"),
        ("optimizer.beta3=", "the nearest known one is optimizer.beta1"),
        ("optimizer.name.x=1", "optimizer.name is a single value"),
        ("data.split.dev=0.9", "sum to 0.9"),
        ("model.hidden=[1", "should be a list"),
        ("seed=nan", "should be a whole number"),
    ],
)
def test_messages_name_the_override(file: Path, override: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(file, override)
    assert str(caught.value).startswith(f"--set {override}: ")
    assert complaint in str(caught.value)


def test_a_fault_of_the_file_stays_the_files(file: Path) -> None:
    file.write_text(FILE + "[regularization]\nl2 = -1\n")
    with pytest.raises(ConfigError, match=r"my\.toml: regularization\.l2 = -1"):
        loaded(file, "regularization.l1=1")
    with pytest.raises(ConfigError, match="--seed -4"):
        loaded(file, "regularization.l2=1", seed=-4)
