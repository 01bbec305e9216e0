"""`dlrun bootstrap`: the four estimates through the real command."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

QUICK = ("--set", "training.epochs=3", "--set", "model.hidden=[8]")
LOTTERY = 'name = "lottery"\n[data]\nsource = "random_labels"\nrows = 200\n[model]\nkind = "nearest_neighbor"\n'


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Iris, 60 samples: read it, and leave it as it is."""
    from dlrun.cli.app import run

    folder = tmp_path_factory.mktemp("runs") / "iris"
    assert (
        run(["bootstrap", "iris", *QUICK, "--samples", "60", "--out", str(folder), "--quiet", "--device", "cpu"]) == 0
    )
    return folder


def test_files_and_headers(iris: Path) -> None:
    assert {p.name for p in iris.iterdir()} - {".lock"} == {
        "config.toml",
        "predictions.csv",
        "replicates.csv",
        "summary.json",
    }
    header = (iris / "replicates.csv").read_text().splitlines()[0]
    assert header.startswith("sample,n_unique,n_oob,oob_error,train_error")
    header = (iris / "predictions.csv").read_text().splitlines()[0]
    assert header == "row,repeat,fold,target,prediction,p_setosa,p_versicolor,p_virginica"


def test_estimates_from_the_files(iris: Path) -> None:
    """Each figure from predictions.csv by its definition in the paper."""
    answers, s = rows_of(iris / "predictions.csv"), summary_of(iris)
    whole = [a["target"] != a["prediction"] for a in answers if a["repeat"] == "0"]
    assert len(whole) == 150
    losses: dict[str, list[bool]] = {}
    for a in answers:
        if a["repeat"] != "0":
            losses.setdefault(a["row"], []).append(a["target"] != a["prediction"])
    apparent, oob = np.mean(whole), np.mean([np.mean(each) for each in losses.values()])
    found = {name: each["value"] for name, each in s["estimates"].items()}
    assert found["apparent"] == pytest.approx(apparent)
    assert found["oob"] == pytest.approx(oob)
    assert found["632"] == pytest.approx(0.368 * apparent + 0.632 * oob)
    predicted = [a["prediction"] for a in answers if a["repeat"] == "0"]
    gamma = sum(1 / 3 * (1 - predicted.count(name) / 150) for name in set(predicted))
    assert s["no_information"] == pytest.approx(gamma)
    rate = (min(oob, gamma) - apparent) / (gamma - apparent) if oob > apparent else 0.0
    assert s["overfitting_rate"] == pytest.approx(rate)
    weight = 0.632 / (1 - 0.368 * rate)
    assert found["632plus"] == pytest.approx((1 - weight) * apparent + weight * oob)
    for each in s["estimates"].values():
        assert each["ci_low"] <= each["ci_high"]


def test_replicates_agree_with_the_predictions(iris: Path) -> None:
    answers, samples = rows_of(iris / "predictions.csv"), rows_of(iris / "replicates.csv")
    assert [s["sample"] for s in samples] == [str(b) for b in range(1, 61)]
    for s in samples:
        mine = [a for a in answers if a["repeat"] == s["sample"]]
        assert len(mine) == int(s["n_oob"]) == 150 - int(s["n_unique"])
        assert float(s["oob_error"]) == pytest.approx(np.mean([a["target"] != a["prediction"] for a in mine]))
        assert 0 <= float(s["train_error"]) <= 1


def test_on_average_a_sample_draws_632_of_1000_rows(here: Path, dlrun: Any) -> None:
    """1 − (1 − 1/n)ⁿ, within four standard errors of a mean of 300 samples (Var ≈ (1/e − 2/e²)/n)."""
    (here / "e.toml").write_text(LOTTERY.replace("nearest_neighbor", "majority"))
    assert dlrun("bootstrap", "e.toml", "--samples", "300", "--no-stratify", "--out", "a").status == 0
    share = summary_of(here / "a")["drawn_share"]
    spread = math.sqrt((math.exp(-1) - 2 * math.exp(-2)) / 200 / 300)
    assert share == pytest.approx(1 - (1 - 1 / 200) ** 200, abs=4 * spread)
    assert 0.62 < share < 0.645


def test_a_memorizer_of_random_labels(here: Path, dlrun: Any) -> None:
    """F4: .632 says 31.6 % where the truth is 50 %; .632+ mends it, and a warning says which to read."""
    (here / "e.toml").write_text(LOTTERY)
    result = dlrun("bootstrap", "e.toml", "--samples", "100", "--out", "a")
    assert result.status == 0
    s = summary_of(here / "a")
    found = {name: each["value"] for name, each in s["estimates"].items()}
    assert found["apparent"] == 0
    assert found["632"] == pytest.approx(0.316, abs=0.03)
    assert found["632plus"] == pytest.approx(0.5, abs=0.05)
    assert found["oob"] == pytest.approx(0.5, abs=0.05)
    assert ".632 is optimistic" in s["warnings"][0]
    assert ".632 is optimistic" in result.stdout
    assert s["estimates"]["632plus"]["se_low"] < 0.5 < s["estimates"]["632plus"]["se_high"]


def test_regression(here: Path, dlrun: Any) -> None:
    assert dlrun("bootstrap", "diabetes", *QUICK, "--samples", "20", "--out", "a").status == 0
    s, answers = summary_of(here / "a"), rows_of(here / "a" / "predictions.csv")
    losses: dict[str, list[float]] = {}
    for a in answers:
        if a["repeat"] != "0":
            losses.setdefault(a["row"], []).append((float(a["target"]) - float(a["prediction"])) ** 2)
    oob = math.sqrt(np.mean([np.mean(each) for each in losses.values()]))
    assert s["estimates"]["oob"]["value"] == pytest.approx(oob)
    assert s["baseline"]["kind"] == "mean"
    assert s["baseline"]["estimates"]["oob"]["value"] == pytest.approx(77, abs=1.5)


def test_again_with_other_processes_to_the_same_numbers(iris: Path, here: Path, dlrun: Any) -> None:
    comment = (iris / "config.toml").read_text().splitlines()[0]
    words = comment.removeprefix("# dlrun ").replace("config.toml", str(iris / "config.toml")).split()
    for jobs in ("1", "3"):
        assert dlrun(*words, "--out", jobs, "--quiet", "--jobs", jobs).status == 0
        for name in ("replicates.csv", "predictions.csv"):
            assert (here / jobs / name).read_bytes() == (iris / name).read_bytes()


def test_when_the_fit_on_all_rows_diverges_the_answer_is_no(here: Path, dlrun: Any) -> None:
    broken = ("--set", "optimizer.name='gradient_descent'", "--set", "optimizer.learning_rate=1e30")
    result = dlrun("bootstrap", "wine", *QUICK, *broken, "--samples", "5", "--out", "a")
    assert result.status == 1
    assert "diverged" in result.stderr
    s = summary_of(here / "a")
    assert (s["status"], s["estimates"]) == ("diverged", None)
    assert [r["oob_error"] for r in rows_of(here / "a" / "replicates.csv")] == [""] * 5


def test_tiny_data_where_samples_draw_every_row(here: Path, dlrun: Any) -> None:
    (here / "t.csv").write_text("x,y\n1,a\n2,b\n3,a\n4,b\n")
    options = ("--data", "t.csv", "--target", "y", "--set", "model.kind=majority", "--set", "training.early_stopping=")
    result = dlrun("bootstrap", *options, "--samples", "40", "--out", "a", "--no-stratify")
    assert result.status == 0, result.stderr
    assert "drew every row" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--samples", "0"], "samples: 0"), (["--confidence", "0"], "confidence: 0"), (["--samples", "x"], "'x'")],
)
def test_wrong_requests(here: Path, dlrun: Any, arguments: list[str], message: str) -> None:
    result = dlrun("bootstrap", "iris", *arguments)
    assert result.status == 2
    assert message in result.stderr
    assert not list(here.iterdir())


def test_the_plan(here: Path, dlrun: Any) -> None:
    plan = json.loads(dlrun("bootstrap", "breast_cancer", "--samples", "200", "--plan", "--json").stdout)["plan"]
    assert plan["replicas"] == 201  # one on all rows
    assert not list(here.iterdir())
