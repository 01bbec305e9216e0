"""Minimizing an expression and clustering rows from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import dlrun
from dlrun.cli.app import run
from dlrun.errors import AnswerIsNoError, ConfigError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_parabola_of_the_texts(here: Path) -> None:
    """J(w) = w² − 10w + 25 with α = 0.01 from 0: 0.1 after one step, 4.99999 after a thousand."""
    found = dlrun.minimize("w**2 - 10*w + 25")
    assert list(here.iterdir()) == []
    assert found.values["w"] == pytest.approx(4.99999, abs=1e-5)
    path = found.path
    assert len(path) == 1001
    assert path["w"].iloc[1] == pytest.approx(0.1)
    assert path["cost"].iloc[0] == 25
    adam = dlrun.minimize("(a - 3)**2 + b**2", optimizer="adam", learning_rate=0.1, start={"a": 1, "b": -1}, steps=500)
    assert adam.values["a"] == pytest.approx(3, abs=1e-3)
    assert adam.values["b"] == pytest.approx(0, abs=1e-3)
    dlrun.minimize("w**2 - 10*w + 25", out="path.csv", steps=10)
    pd.testing.assert_frame_equal(pd.read_csv("path.csv"), path.head(11), check_dtype=False)


def test_a_cost_that_blows_up_brings_its_path() -> None:
    with pytest.raises(AnswerIsNoError) as caught:
        dlrun.minimize("w**4", learning_rate=1e3, start={"w": 10.0})
    assert caught.value.result.summary["status"] == "diverged"


def test_kmeans(here: Path) -> None:
    found = dlrun.kmeans("iris", clusters=3, seed=1)
    assert list(here.iterdir()) == []
    assert run(["kmeans", "iris", "--clusters", "3", "--seed", "1", "--quiet", "--out", "run"]) == 0
    kept = json.loads((here / "run" / "summary.json").read_text())
    assert found.clusters == 3
    assert json.loads(json.dumps(found.summary["choices"])) == kept["choices"]
    for name in ("centres.csv", "assignments.csv", "starts.csv", "elbow.csv"):
        pd.testing.assert_frame_equal(found.frame(name), pd.read_csv(here / "run" / name), check_dtype=False)
    assert sorted(found.assignments["cluster"].unique()) == [0, 1, 2]
    with pytest.raises(ConfigError, match="--clusters 0"):
        dlrun.kmeans("iris", clusters=0)
