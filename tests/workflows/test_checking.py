"""The gradient check and the diagnosis from Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dlrun
from dlrun.cli.app import run
from dlrun.errors import ConfigError

TIMES = ("seconds", "files", "folder", "run")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def figures(found: Any) -> dict[str, Any]:
    return {key: value for key, value in json.loads(json.dumps(dict(found))).items() if key not in TIMES}


def test_gradcheck(here: Path) -> None:
    found = dlrun.gradcheck("xor_hidden", epsilon_sweep=True)
    assert list(here.iterdir()) == []
    assert run(["gradcheck", "xor_hidden", "--epsilon-sweep", "--out", "run", "--quiet"]) == 0
    assert figures(found.summary) == figures(json.loads((here / "run" / "summary.json").read_text()))
    assert found.verdict == "great"
    for name in ("gradcheck.csv", "epsilon_sweep.csv"):
        pd.testing.assert_frame_equal(found.frame(name), pd.read_csv(here / "run" / name), check_dtype=False)
    assert set(found.parameters["verdict"]) == {"great"}
    assert "Files:" not in str(found)
    with pytest.raises(ConfigError, match="off, fixed"):
        dlrun.gradcheck("xor", dropout="on")  # type: ignore[arg-type]


def test_diagnose(here: Path) -> None:
    dlrun.train("iris", set={"training.epochs": 3, "model.hidden": [4]}, device="cpu", out="run")
    before = {path.name: path.read_bytes() for path in (here / "run").iterdir()}
    found = dlrun.diagnose("run", human_error=0.02, device="cpu")
    assert {path.name: path.read_bytes() for path in (here / "run").iterdir()} == before
    assert [path.name for path in here.iterdir()] == ["run"]
    assert run(["diagnose", "run", "--human-error", "0.02", "--device", "cpu", "--quiet", "--out", "d"]) == 0
    assert figures(found.summary) == figures(json.loads((here / "d" / "summary.json").read_text()))
    assert found.next_steps == found.summary["next_steps"]
    pd.testing.assert_frame_equal(found.frame("layers.csv"), pd.read_csv(here / "d" / "layers.csv"), check_dtype=False)
    layers = dlrun.diagnose(initialization="deep_linear", device="cpu")
    assert layers.summary["initializations"]
    with pytest.raises(ConfigError, match="either the folder"):
        dlrun.diagnose()
