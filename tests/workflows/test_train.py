"""Training from Python: the model and figures of the command, frames in, frames and arrays out, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dlrun
from dlrun.cli.app import run
from dlrun.errors import AnswerIsNoError, DataError, DlrunError

SHORT = {"training.epochs": 4, "model.hidden": [8]}
WORDS = [word for key, value in SHORT.items() for word in ("--set", f"{key}={json.dumps(value)}")]
TIMES = ("seconds", "files", "name")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def frame() -> pd.DataFrame:
    draw = np.random.default_rng(3)
    x = draw.normal(size=(90, 2))
    colour = draw.choice(["red", "green", "blue"], 90)
    label = np.where(x[:, 0] + (colour == "red") > 0.3, "yes", "no")
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "colour": colour, "label": label}, index=range(500, 590))


def test_the_model_is_that_of_the_command(here: Path) -> None:
    result = dlrun.train("iris", set=SHORT, seed=2, device="cpu", steps=True)
    assert list(here.iterdir()) == []
    line = ["train", "iris", *WORDS, "--seed", "2", "--device", "cpu", "--quiet", "--steps", "--out", "run"]
    assert run(line) == 0
    kept = json.loads((here / "run" / "summary.json").read_text())
    own = json.loads(json.dumps(dict(result.summary)))
    assert {k: v for k, v in own.items() if k not in TIMES} == {k: v for k, v in kept.items() if k not in TIMES}
    assert result.trained is not None
    assert result.trained.to_bytes() == (here / "run" / "model.safetensors").read_bytes()
    for name in ("metrics.csv", "steps.csv"):
        pd.testing.assert_frame_equal(
            result.frame(name), pd.read_csv(here / "run" / name), check_dtype=False, check_exact=True
        )
    assert result.figures["train"]["error"] == kept["figures"]["train"]["error"]
    assert list(result.metrics["epoch"].unique()) == [1, 2, 3, 4]


def test_a_frame_is_trained_on_as_its_csv_file_would_be(here: Path, frame: pd.DataFrame) -> None:
    result = dlrun.train(data=frame, target="label", set=SHORT, device="cpu")
    assert list(here.iterdir()) == []
    frame.to_csv("t.csv", index=False)
    assert (
        run(["train", "--data", "t.csv", "--target", "label", *WORDS, "--device", "cpu", "--quiet", "--out", "r"]) == 0
    )
    assert result.trained is not None
    assert result.trained.to_bytes() == (here / "r" / "model.safetensors").read_bytes()

    new = frame.drop(columns="label").head(7)
    answers = result.model.predict(new)
    new.to_csv("new.csv", index=False)
    assert run(["predict", "r", "--data", "new.csv", "--device", "cpu", "--out", "p.csv", "--quiet"]) == 0
    table = pd.read_csv("p.csv")
    assert list(answers) == list(table["prediction"])
    assert result.model.classes == ("no", "yes")
    np.testing.assert_array_equal(result.model.predict_proba(new), table[["p_no", "p_yes"]])
    np.testing.assert_array_equal(result.model.predict("new.csv"), answers)


def test_a_frame_is_kept_beside_its_run_and_can_be_run_again(here: Path, frame: pd.DataFrame) -> None:
    result = dlrun.train(data=frame, target="label", set=SHORT, device="cpu", out="run")
    assert result.folder == Path("run")
    model = (here / "run" / "model.safetensors").read_bytes()
    assert run(["train", "run/config.toml", "--device", "cpu", "--quiet", "--out", "again"]) == 0
    assert (here / "again" / "model.safetensors").read_bytes() == model
    assert run(["evaluate", "run", "--device", "cpu"]) == 0
    again = dlrun.train(out="run", resume=True)  # ended already: what it left is read
    np.testing.assert_array_equal(again.model.predict(frame), result.model.predict(frame))
    kept = dlrun.crossval(data=frame, target="label", folds=3, set=SHORT, device="cpu", out="cv")
    once = dlrun.crossval(data=frame, target="label", folds=3, set=SHORT, device="cpu")
    assert kept.error == once.error


def test_a_regression_answers_in_the_target_s_units(here: Path) -> None:
    x = np.linspace(0, 1, 60)
    table = pd.DataFrame({"x": x, "y": 1000 + 50 * x})
    setting = {"model.hidden": [], "training.epochs": 300, "optimizer.learning_rate": 0.05}
    model = dlrun.train(data=table, target="y", set=setting, device="cpu").model
    np.testing.assert_allclose(model.predict(table), table["y"], atol=1.0)
    with pytest.raises(TypeError, match="no classes"):
        model.predict_proba(table)


def test_what_is_wrong_with_a_frame_is_said_without_a_path(here: Path, frame: pd.DataFrame) -> None:
    frame.loc[503, "a"] = np.nan
    with pytest.raises(DataError, match="the frame") as caught:
        dlrun.train(data=frame, target="label", set=SHORT)
    assert "dlrun-" not in str(caught.value)
    with pytest.raises(DlrunError, match="the frame has no column 'labl'"):
        dlrun.train(data=frame, target="labl")
    model = dlrun.train(data=frame.dropna(), target="label", set=SHORT, device="cpu").model
    with pytest.raises(DataError, match="the frame"):
        model.predict(frame[["a"]])


def test_a_training_that_diverges_brings_what_was_found(here: Path) -> None:
    with pytest.raises(AnswerIsNoError, match="diverged") as caught:
        dlrun.train(
            "wine", set={"optimizer.name": "gradient_descent", "optimizer.learning_rate": 1e30}, device="cpu", out="run"
        )
    assert caught.value.result.summary["status"] == "diverged"
    assert (here / "run" / "summary.json").exists()
