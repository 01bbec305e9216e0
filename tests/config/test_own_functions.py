"""Keys that name a Python function, and the diagonal initialization."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlrun.config import load_experiment, to_toml
from dlrun.errors import ConfigError


def test_functions_are_looked_for_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[data]\nsource = "iris"\n[model]\ncost = "parts/costs.py:mine"\nactivation = "costs.py:swish"\n'
        '[tune.space]\n"model.activation" = {choice = ["relu", "costs.py:swish"]}\n'
    )
    loaded = load_experiment(tmp_path / "own.toml").experiment
    folder = tmp_path.resolve()
    assert loaded.model.cost == f"{folder}/parts/costs.py:mine"
    assert loaded.model.activation == f"{folder}/costs.py:swish"
    assert loaded.tune.space["model.activation"].document()["choice"] == ["relu", f"{folder}/costs.py:swish"]
    (tmp_path / "again.toml").write_text(to_toml(loaded))
    assert load_experiment(tmp_path / "again.toml").experiment == loaded


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["model.cost=costs.py"], 'model.cost=costs.py: should be "file.py:function"'),
        (["model.cost=costs.py:1x"], "file.py:function"),
        (["model.activation=costs.txt:f"], "file.py:function"),
        (["model.loss=huber", "model.cost=costs.py:f"], "stands in place of model.loss"),
        (["model.scale=[1.5, 0.5]"], 'only initialization = "diagonal" takes a list'),
        (["model.scale=[]", "model.initialization=diagonal"], "model.scale"),
        (["model.scale=-1"], "a number > 0, or a list of them"),
    ],
)
def test_what_is_refused(settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as found:
        load_experiment("iris", overrides=settings)
    assert words in str(found.value)


def test_diagonal_takes_a_number_or_a_list() -> None:
    for text, value in (("0.9", 0.9), ("[1.5, 0.5]", (1.5, 0.5))):
        settings = ["model.initialization=diagonal", f"model.scale={text}"]
        assert load_experiment("iris", overrides=settings).experiment.model.scale == value
