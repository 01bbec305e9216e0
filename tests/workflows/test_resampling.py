"""Cross-validation, holdout and bootstrap from Python: the figures are those of the command, and nothing is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dlrun
from dlrun.cli.app import run
from dlrun.errors import AnswerIsNoError, ConfigError, DlrunError
from dlrun.workflows.results import Result

SETTINGS = {"model.hidden": [8], "training.epochs": 3, "model.activation": "tanh", "optimizer.decay.name": "constant"}
WORDS = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={json.dumps(value)}")]
CASES: list[tuple[str, dict[str, Any], list[str], tuple[str, ...]]] = [
    ("crossval", {"folds": 4}, ["--folds", "4"], ("folds.csv", "predictions.csv")),
    ("crossval", {"folds": 3, "repeats": 2, "stratify": False}, ["--folds", "3", "--repeats", "2", "--no-stratify"],
     ("folds.csv", "predictions.csv")),
    ("holdout", {"repeats": 3, "test_size": 0.25}, ["--repeats", "3", "--test-size", "0.25"],
     ("folds.csv", "predictions.csv")),
    ("bootstrap", {"samples": 12}, ["--samples", "12"], ("replicates.csv", "predictions.csv")),
]  # fmt: skip
TIMES = ("seconds", "training_seconds", "files")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def figures(summary: Any) -> dict[str, Any]:
    return {key: value for key, value in json.loads(json.dumps(summary)).items() if key not in TIMES}


@pytest.mark.parametrize(("name", "options", "words", "files"), CASES)
def test_the_figures_are_those_of_the_command(
    name: str, options: dict[str, Any], words: list[str], files: tuple[str, ...], here: Path
) -> None:
    result: Result = getattr(dlrun, name)("iris", set=SETTINGS, seed=5, device="cpu", **options)
    assert list(here.iterdir()) == []
    assert result.folder is None
    line = [name, "iris", *words, *WORDS, "--seed", "5", "--device", "cpu", "--quiet", "--out", "run"]
    assert run(line) == 0
    assert figures(result.summary) == figures(json.loads((here / "run" / "summary.json").read_text()))
    for file in files:
        kept = pd.read_csv(here / "run" / file)
        pd.testing.assert_frame_equal(result.frame(file), kept, check_dtype=False, check_exact=True)


def test_a_run_that_is_kept_is_that_of_the_command(here: Path) -> None:
    result = dlrun.crossval("iris", folds=3, set=SETTINGS, device="cpu", out="a")
    assert run(["crossval", "iris", "--folds", "3", *WORDS, "--device", "cpu", "--quiet", "--out", "b"]) == 0
    assert result.folder == Path("a")
    for name in ("config.toml", "folds.csv", "predictions.csv"):
        assert (here / "a" / name).read_bytes() == (here / "b" / name).read_bytes()
    again = dlrun.crossval(out="a", folds=3, resume=True)  # ended already
    assert again.error == result.error
    assert len(again.folds) == 3


def test_what_a_result_offers(here: Path) -> None:
    result = dlrun.crossval("iris", folds=5, set=SETTINGS, device="cpu")
    wrong = result.predictions["prediction"] != result.predictions["target"]
    assert result.error.mean == pytest.approx(wrong.groupby(result.predictions["fold"]).mean().mean())
    assert result.error.pooled == pytest.approx(wrong.mean())
    low, high = result.error.interval
    assert low is not None
    assert high is not None
    assert low <= result.error.mean <= high
    assert result.baseline.mean == pytest.approx(2 / 3)  # three classes of equal size
    assert list(result.folds["fold"]) == list(np.arange(len(result.folds)) + result.folds["fold"].iloc[0])
    assert "<table" in result._repr_html_()
    assert "majority" in str(result)
    assert "Files:" not in str(result)
    with pytest.raises(KeyError, match=r"folds\.csv"):
        result.frame("trials.csv")


def test_what_is_wrong_is_an_error_of_dlrun(here: Path) -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("crossval", {"experiment": "irsi"}, "iris"),
        ("crossval", {"experiment": "iris", "set": {"model.hiden": [3]}}, "model.hidden"),
        ("crossval", {"experiment": "iris", "folds": 1}, "fold"),
        ("crossval", {"experiment": "iris", "device": "tpu"}, "auto, cpu, gpu"),
        ("crossval", {"experiment": "iris", "resume": True}, "--resume needs"),
        ("bootstrap", {"experiment": "iris", "confidence": 2.0}, "confidence"),
    ]
    for name, options, said in wrong:
        with pytest.raises(DlrunError, match=said):
            getattr(dlrun, name)(**options)
    with pytest.raises(ConfigError, match="give no --folds"):
        dlrun.crossval("iris", leave_one_out=True, folds=3)
    assert list(here.iterdir()) == []


def test_an_answer_that_is_no_brings_what_was_found() -> None:
    with pytest.raises(AnswerIsNoError, match="diverged") as caught:
        dlrun.crossval(
            "wine", folds=3, set={"optimizer.name": "gradient_descent", "optimizer.learning_rate": 1e30}, device="cpu"
        )
    assert caught.value.result.summary["status"] == "diverged"


def test_importing_is_cheap() -> None:
    code = "import sys, dlrun; sys.exit(any(name in sys.modules for name in ('numpy', 'pandas', 'pydantic', 'typer')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
