"""A search from Python: the trials of the command, on files and on frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dlrun
from dlrun.cli.app import run
from dlrun.errors import AnswerIsNoError, RunError

SPACE = {"tune.space": {"optimizer.learning_rate": {"log_uniform": [1e-3, 0.3]}, "model.hidden": {"choice": [[4], []]}}}
SHORT = {"training.epochs": 2, **SPACE}
RANGES = '"optimizer.learning_rate" = {log_uniform = [1e-3, 0.3]}, "model.hidden" = {choice = [[4], []]}'
WORDS = ["--set", "training.epochs=2", "--set", f"tune.space={{{RANGES}}}"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def figures(found: Any) -> dict[str, Any]:
    return {k: v for k, v in json.loads(json.dumps(dict(found))).items() if k not in ("seconds", "files")}


def test_the_trials_are_those_of_the_command(here: Path) -> None:
    found = dlrun.tune("iris", trials=4, folds=3, set=SHORT, device="cpu", seed=1)
    assert list(here.iterdir()) == []
    line = ["tune", "iris", "--trials", "4", "--folds", "3", *WORDS, "--device", "cpu", "--seed", "1", "--quiet"]
    assert run([*line, "--out", "run"]) == 0
    assert figures(found.summary) == figures(json.loads((here / "run" / "summary.json").read_text()))
    kept = pd.read_csv(here / "run" / "trials.csv")
    pd.testing.assert_frame_equal(found.trials.astype(kept.dtypes), kept)
    assert found.best is not None
    assert len(found.tables) >= 1
    again = dlrun.tune("iris", trials=4, folds=3, set=SHORT, device="cpu", seed=1, out="kept")
    assert (here / "kept" / "best.toml").read_bytes() == (here / "run" / "best.toml").read_bytes()
    more = dlrun.tune(out="kept", resume=True, trials=6)
    assert len(more.trials) == 6
    assert figures(again.summary)["trials"] == 4


def test_a_frame_is_searched_on_and_kept(here: Path) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=60), "b": draw.normal(size=60)})
    frame["y"] = np.where(frame["a"] > 0, "yes", "no")
    space = {**SHORT, "tune.space": {**SPACE["tune.space"], "data.missing": {"choice": ["error", "drop"]}}}
    found = dlrun.tune(data=frame, target="y", trials=3, set=space, device="cpu")
    kept = dlrun.tune(data=frame, target="y", trials=3, set=space, device="cpu", out="run")
    assert [path.name for path in here.iterdir()] == ["run"]
    assert figures(kept.summary) == figures(found.summary)
    assert run(["train", "run/best.toml", "--device", "cpu", "--quiet", "--out", "best"]) == 0


def test_what_is_wrong(here: Path) -> None:
    with pytest.raises(RunError, match="--resume needs"):
        dlrun.tune("iris", resume=True)
    wild = {"optimizer.name": "gradient_descent", "tune.space": {"optimizer.learning_rate": {"uniform": [1e28, 1e30]}}}
    with pytest.raises(AnswerIsNoError, match="gave a result") as caught:
        dlrun.tune("wine", trials=2, set=wild, device="cpu")
    assert len(caught.value.result.trials) == 2
