"""`dlrun diagnose` through whole command lines."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Dlrun

IRIS = Path(__file__).parents[2] / "datasets" / "iris.csv"


def found(result: Any) -> dict[str, Any]:
    assert result.status == 0, result.stderr
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_errors_are_those_of_the_run(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    told = found(dlrun("diagnose", str(iris_run), "--json", "--out", "diagnosis"))
    before = json.loads((iris_run / "summary.json").read_text())["figures"]
    for part in ("train", "dev", "test"):
        assert told["errors"][part]["error"] == pytest.approx(before[part]["error"])
        assert told["errors"][part]["rows"] == before[part]["rows"]
    assert list(told["gaps"]) == ["avoidable bias", "variance", "overfitting to dev"]
    assert told["gaps"]["variance"]["certain"] is False  # 30 rows
    assert told["command"] == "diagnose"
    assert json.loads((here / "diagnosis" / "summary.json").read_text())["verdict"] == told["verdict"]
    assert {row["layer"] for row in rows(here / "diagnosis" / "layers.csv")} == {"1", "2"}


def test_the_words(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    result = dlrun("diagnose", str(iris_run))
    assert result.status == 0
    for words in ("avoidable bias", "too few rows to tell", "95 % interval", "Layers of the trained model"):
        assert words in result.stdout


def test_human_error_makes_the_difference(dlrun: Dlrun, here: Path) -> None:
    """One split of a nearly useless model: much bias, unless nobody does better."""
    assert dlrun("train", "iris", "--set", "training.epochs=1", "--set", "model.hidden=[]", "--out", "run").status == 0
    told = found(dlrun("diagnose", "run", "--json"))
    error = told["errors"]["train"]["error"]
    assert "avoidable bias" in told["suffers_from"]
    assert any(step["set"] == ["training.epochs=3"] for step in told["next_steps"])
    excused = found(dlrun("diagnose", "run", "--json", "--human-error", str(error)))
    assert "avoidable bias" not in excused["suffers_from"]


def test_the_suggested_settings_can_be_pasted(dlrun: Dlrun, here: Path) -> None:
    import shlex

    assert dlrun("train", "iris", "--set", "training.epochs=1", "--out", "run").status == 0
    shown = dlrun("diagnose", "run").stdout
    line = next(line for line in shown.splitlines() if "a bigger network" in line)
    arguments = shlex.split(line[line.index("--set") :])
    assert dlrun("show", "iris").status == 0
    assert dlrun("train", "iris", *arguments, "--out", "bigger").status == 0


def test_a_learning_rate_that_overshoots_is_said(dlrun: Dlrun, here: Path) -> None:
    settings = ["--set", "optimizer.learning_rate=30"]
    assert dlrun("train", "iris", *settings, "--out", "run").status == 0
    told = found(dlrun("diagnose", "run", "--json"))
    assert "overshoots" in [each["what"] for each in told["curve"]]
    assert told["next_steps"][0]["set"] == ["optimizer.learning_rate=3"]
    assert "the steps overshoot" in dlrun("diagnose", "run").stdout


def test_a_diverged_run_is_told_from_its_metrics(dlrun: Dlrun, here: Path) -> None:
    settings = ["optimizer.name=gradient_descent", "optimizer.learning_rate=1e6", "training.epochs=3"]
    wrong = dlrun("train", "diabetes", "--out", "run", *(part for each in settings for part in ("--set", each)))
    assert wrong.status == 1
    result = dlrun("diagnose", "run")
    assert result.status == 0
    assert "diverged" in result.stdout
    assert "learning rate is too large" in result.stdout


def test_another_table_is_the_dev_part(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    """Flowers whose measures are 1.5 cm larger: the model errs on them, and they can be told apart."""
    table = rows(IRIS)
    target = list(table[0])[-1]
    with (here / "shifted.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        for row in table:
            writer.writerow({k: v if k == target else f"{float(v) + 1.5:.2f}" for k, v in row.items()})
    told = found(dlrun("diagnose", str(iris_run), "--data", "shifted.csv", "--two-sample", "--json"))
    assert list(told["errors"]) == ["train", "train-dev", "dev"]
    assert "mismatch" in told["suffers_from"]
    assert told["gaps"]["mismatch"]["certain"] is True
    assert told["two_sample"]["differ"] is True
    assert "Two samples" in dlrun("diagnose", str(iris_run), "--data", "shifted.csv", "--two-sample").stdout


def test_train_and_dev_of_one_table_are_alike(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    told = found(dlrun("diagnose", str(iris_run), "--two-sample", "--json"))
    assert told["two_sample"]["differ"] is False
    assert told["two_sample"]["rows"] == [90, 30]


def test_a_learning_curve(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    result = dlrun("diagnose", str(iris_run), "--learning-curve", "--repeats", "2", "--jobs", "1", "--out", "run")
    assert result.status == 0
    assert "Error against the number of training rows" in result.stdout
    points = rows(here / "run" / "learning_curve.csv")
    assert list(points[0]) == ["rows", "repeat", "train_error", "dev_error", "status"]
    assert {row["repeat"] for row in points} == {"0", "1"}
    assert int(points[-1]["rows"]) == 90


def test_regression(dlrun: Dlrun, here: Path) -> None:
    assert dlrun("train", "diabetes", "--out", "run", "--set", "training.epochs=10").status == 0
    told = found(dlrun("diagnose", "run", "--json", "--human-error", "40", "--tolerance", "0.1"))
    assert told["human_error"] == 40
    bias = told["gaps"]["avoidable bias"]
    assert bias["value"] == pytest.approx((told["errors"]["train"]["error"] - 40) / 77, rel=0.15)
    assert bias["ci_low"] < bias["value"] < bias["ci_high"]


def test_a_baseline_can_be_diagnosed(dlrun: Dlrun, here: Path) -> None:
    assert dlrun("train", "iris", "--set", "model.kind=majority", "--out", "run").status == 0
    told = found(dlrun("diagnose", "run", "--json"))
    assert told["next_steps"][0]["set"] == ['model.kind="network"']


def test_initializations(dlrun: Dlrun, here: Path) -> None:
    result = dlrun("diagnose", "--initialization", "deep_linear", "--out", "run")
    assert result.status == 0
    assert "38.4" in result.stdout  # 1.5^9
    assert "0.00195" in result.stdout  # 0.5^9
    table = rows(here / "run" / "layers.csv")
    last = next(row for row in table if row["initialization"] == "diagonal 1.5, 0.5" and row["layer"] == "9")
    assert float(last["largest_unit"]) == pytest.approx(1.5**9)
    assert float(last["smallest_unit"]) == pytest.approx(0.5**9)
    told = found(dlrun("diagnose", "--initialization", "vanishing", "--json"))
    verdicts = {each["name"]: each["verdict"] for each in told["initializations"]}
    assert verdicts["normal 0.1"] == "vanish"
    assert verdicts["zeros"] == "symmetric"


def test_a_users_function_is_not_run_unasked(dlrun: Dlrun, here: Path) -> None:
    (here / "own.py").write_text("def cost(z, y):\n    return (z - y) ** 2\n")
    settings = ["--set", "model.loss=", "--set", "model.cost=own.py:cost", "--set", "training.epochs=5"]
    assert dlrun("train", "diabetes", *settings, "--out", "run").status == 0
    assert found(dlrun("diagnose", "run", "--json", "--run-code")).get("layers")
    (here / "own.py").write_text("raise SystemExit")
    told = found(dlrun("diagnose", "run", "--json"))
    assert "layers" not in told
    assert told["errors"]["dev"]["error"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either the folder of a run, or --initialization"),
        (["nowhere"], "there is no such folder"),
        (["RUN", "--initialization", "iris"], "either the folder of a run, or --initialization"),
        (["RUN", "--human-error", "-1"], "--human-error"),
        (["RUN", "--human-error", "15"], "a share below 1"),
        (["RUN", "--tolerance", "0"], "--tolerance"),
        (["RUN", "--set", "training.epochs=1"], "go with --initialization"),
        (["--initialization", "iris", "--two-sample"], "not with --initialization"),
        (["--initialization", "iris", "--set", "model.kind=majority"], "has no layers"),
        (["RUN", "--data", "nothing.csv"], "nothing.csv"),
    ],
)
def test_wrong_requests(arguments: list[str], words: str, dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    given = [str(iris_run) if each == "RUN" else each for each in arguments]
    result = dlrun("diagnose", *given)
    assert result.status == 2
    assert words in result.stderr
    assert not (here / "runs").exists()


def test_numbers_are_plain(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    told = found(dlrun("diagnose", str(iris_run), "--json"))
    assert np.isfinite([gap["value"] for gap in told["gaps"].values()]).all()


def test_after_early_stopping_more_epochs_alone_are_not_advised(dlrun: Dlrun, here: Path) -> None:
    early = ("--set", "training.early_stopping.patience=2", "--set", "optimizer.learning_rate=1e-6")
    assert dlrun("train", "iris", "--out", "run", "--set", "training.early_stopping.min_delta=1", *early).status == 0
    assert json.loads((here / "run" / "summary.json").read_text())["status"] == "stopped"
    told = found(dlrun("diagnose", "run", "--json"))
    assert "avoidable bias" in told["suffers_from"]
    settings = [setting for step in told["next_steps"] for setting in step["set"]]
    assert "training.early_stopping.patience=6" in settings
    assert not any(setting.startswith("training.epochs") for setting in settings)


def test_a_human_error_that_nobody_gave_is_said_to_be_assumed(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    assert "The human error is taken to be 0" in dlrun("diagnose", str(iris_run)).stdout
    assert "is taken to be" not in dlrun("diagnose", str(iris_run), "--human-error", "0").stdout
