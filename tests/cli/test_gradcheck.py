"""`dlrun gradcheck` and `dlrun train --preflight` through whole command lines."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dlrun.graph.node import OPS

if TYPE_CHECKING:
    from tests.cli.conftest import Dlrun

PROMISED = [
    "parameter",
    "components",
    "relative_difference",
    "max_absolute_difference",
    "worst_component",
    "verdict",
]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def wrong_relu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products whose second factor is a step pass nothing on: the derivative of ReLU is lost."""
    right = OPS["multiply"].gradient
    assert right is not None

    def wrong(node: Any, g: Any) -> Any:
        return (0 * g, None) if node.inputs[1].op == "step" else right(node, g)  # type: ignore[misc]

    monkeypatch.setitem(OPS, "multiply", replace(OPS["multiply"], gradient=wrong))


def test_every_parameter_in_one_table_and_one_file(dlrun: Dlrun, here: Path) -> None:
    result = dlrun("gradcheck", "iris", "--out", "run")
    assert result.status == 0
    assert "Overall: great" in result.stdout
    rows = table(here / "run" / "gradcheck.csv")
    assert list(rows[0])[:6] == PROMISED
    assert [row["parameter"] for row in rows] == ["W1", "b1", "W2", "b2"]
    assert [int(row["components"]) for row in rows] == [64, 16, 48, 3]
    assert {row["verdict"] for row in rows} == {"great"}
    assert all(float(row["relative_difference"]) < 1e-6 for row in rows)
    summary = json.loads((here / "run" / "summary.json").read_text())
    assert summary["command"] == "gradcheck"
    assert (summary["passed"], summary["verdict"], summary["epsilon"]) == (True, "great", 1e-7)
    assert summary["parameters"] == 131
    assert (here / "run" / "config.toml").exists()


def test_json_is_the_summary(dlrun: Dlrun, here: Path) -> None:
    result = dlrun("gradcheck", "xor_hidden", "--json", "--one-sided", "--epsilon", "1e-6", "--after-epochs", "5")
    found = json.loads(result.stdout)
    assert result.status == 0
    assert (found["sides"], found["epsilon"], found["after_epochs"]) == (1, 1e-6, 5)
    assert found["by_parameter"]["W1"]["components"] == 8


def test_a_wrong_derivative_is_status_1(dlrun: Dlrun, here: Path, wrong_relu: None) -> None:
    result = dlrun("gradcheck", "iris", "--out", "run")
    assert result.status == 1
    assert "the gradient check fails: the gradient is wrong in W1" in result.stderr
    assert "W1" in result.stdout
    assert "worry" in result.stdout
    verdicts = {row["parameter"]: row["verdict"] for row in table(here / "run" / "gradcheck.csv")}
    assert verdicts == {"W1": "worry", "b1": "worry", "W2": "great", "b2": "great"}
    assert json.loads((here / "run" / "summary.json").read_text())["passed"] is False


def test_preflight_refuses_to_train_on_a_wrong_derivative(dlrun: Dlrun, here: Path, wrong_relu: None) -> None:
    result = dlrun("train", "iris", "--preflight", "--out", "run")
    assert result.status == 1
    assert "Nothing was trained" in result.stderr
    assert "W1" in result.stderr
    assert not (here / "run").exists()


def test_preflight_changes_nothing_about_a_training(dlrun: Dlrun, here: Path) -> None:
    for name, more in (("plain", []), ("checked", ["--preflight"])):
        assert dlrun("train", "iris", "--set", "training.epochs=2", "--out", name, *more).status == 0
    plain, checked = ((here / name / "metrics.csv").read_text() for name in ("plain", "checked"))
    assert plain == checked
    assert dlrun("train", "iris", "--set", "model.kind=majority", "--preflight", "--out", "majority").status == 0


def test_the_sweep_is_a_table_and_a_file(dlrun: Dlrun, here: Path) -> None:
    result = dlrun("gradcheck", "xor_hidden", "--epsilon-sweep", "--out", "run")
    assert "slope 1.00 (theory: 1)" in result.stdout
    assert "slope 2.00 (theory: 2)" in result.stdout
    rows = table(here / "run" / "epsilon_sweep.csv")
    assert list(rows[0]) == ["epsilon", "one_sided", "two_sided", "components", "kinks"]
    assert float(rows[0]["epsilon"]) == pytest.approx(0.1)
    summary = json.loads((here / "run" / "summary.json").read_text())
    assert summary["epsilon_sweep"]["two_sided"]["slope"] == pytest.approx(2, abs=0.05)


def test_a_sample_of_a_large_network(dlrun: Dlrun, here: Path) -> None:
    result = dlrun("gradcheck", "--sample", "50", "--dropout", "fixed", "--json")  # bare: digits
    found = json.loads(result.stdout)
    assert result.status == 0
    assert found["name"] == "digits"
    assert found["dropout"] == "fixed"
    assert 50 <= found["components"] <= 74
    assert found["of_components"] == 50826


def test_a_users_table(dlrun: Dlrun, own_table: Path) -> None:
    arguments = ("--data", str(own_table), "--target", "y", "--set", "data.missing=mean", "--set", "model.hidden=[4]")
    assert dlrun("gradcheck", *arguments).status == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["iris", "--epsilon", "0"], "--epsilon 0.0: should be a number from 1e-14 to 1"),
        (["iris", "--epsilon", "nan"], "should be a number from"),
        (["iris", "--set", "model.kind=majority"], "has no gradient to check"),
        (["nowhere"], "no experiment of this name"),
        (["iris", "--dropout", "on"], "--dropout"),
    ],
)
def test_wrong_requests(arguments: list[str], words: str, dlrun: Dlrun, here: Path) -> None:
    result = dlrun("gradcheck", *arguments)
    assert result.status == 2
    assert words in result.stderr
    assert not (here / "runs").exists()
