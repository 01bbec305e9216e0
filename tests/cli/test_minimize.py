"""`dlrun minimize` as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

PARABOLA = "w**2 - 10*w + 25"


def test_the_table_begins_and_ends_where_it_should(dlrun) -> None:  # type: ignore[no-untyped-def]
    found = dlrun("minimize", PARABOLA)
    assert found.status == 0
    rows = [line.split() for line in found.stdout.splitlines()]
    assert rows[1] == ["step", "cost", "w", "gradient", "w", "learning", "rate"]
    assert rows[2][:4] == ["0", "25", "0", "-10"]
    assert rows[3][:4] == ["1", "24.01", "0.1", "-9.8"]
    assert rows[-1][0] == "1000"
    assert rows[-1][2].startswith("4.99999")


def test_options(dlrun) -> None:  # type: ignore[no-untyped-def]
    found = dlrun(
        "minimize", "(a - 1)**2 + abs(b)", "--optimizer", "adam", "--steps", "3", "--learning-rate", "0.5",
        "--start", "a=2", "--start", "b=-1", "--set", "optimizer.decay.name=inverse_time",
        "--set", "optimizer.decay.rate=1", "--json",
    )  # fmt: skip
    assert found.status == 0
    result = json.loads(found.stdout)
    assert result["steps"] == 3
    assert result["status"] == "done"
    assert result["path"][0]["values"] == {"a": 2.0, "b": -1.0}
    assert [record["learning_rate"] for record in result["path"]] == [None, 0.25, 0.5 / 3, 0.125]
    assert result["path"][1]["values"]["a"] == pytest.approx(1.75)


def test_the_path_as_a_file(dlrun, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "path.csv"
    found = dlrun("minimize", PARABOLA, "--steps", "20", "--out", str(out), "--quiet")
    assert (found.status, found.stdout) == (0, "")
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["step", "learning_rate", "cost", "w", "gradient_w"]
    assert [int(row["step"]) for row in rows] == list(range(21))
    assert [float(row["w"]) for row in rows] == pytest.approx([5 * (1 - 0.98**k) for k in range(21)], rel=1e-12)
    assert rows[0]["learning_rate"] == ""


def test_divergence_ends_with_status_1_and_leaves_the_path(dlrun, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "path.csv"
    found = dlrun("minimize", "w**4", "--start", "w=1", "--learning-rate", "10", "--out", str(out), "--json")
    assert found.status == 1
    assert "step 5: the cost is inf" in found.stderr
    result = json.loads(found.stdout)
    assert (result["status"], result["cost"]) == ("diverged", None)
    assert len(out.read_text(encoding="utf-8").splitlines()) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["3"], "has no variable"),
        (["w^2"], "write ** as in w**2"),
        (["foo(w)"], "no function 'foo'"),
        (["w", "--start", "v=1"], "no variable 'v'; it has w"),
        (["w", "--start", "w"], "should be NAME=VALUE"),
        (["w", "--start", "w=nan"], "finite number"),
        (["w", "--start", "w=1", "--start", "w=2"], "a start already, 1"),
        (["w", "--optimizer", "adm"], "gradient_descent"),
        (["w", "--learning-rate", "0"], "optimizer.learning_rate = 0.0: should be a number > 0"),
        (["w", "--set", "training.epochs=1"], "only keys of [optimizer]"),
        (["w", "--set", "optimizer.betta1=1"], "optimizer.beta1"),
        (["w", "--steps", "-1"], "--steps"),
        (["step", "--out", "/nowhere/x.csv"], "step"),
        (["w*gradient_w", "--out", "never.csv"], "two columns would be called 'gradient_w'"),
    ],
)
def test_wrong_requests(dlrun, arguments: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    found = dlrun("minimize", *arguments)
    assert found.status == 2
    assert message in found.stderr
    assert found.stdout == ""
    assert "Traceback" not in found.stderr
