"""Evaluating, asking and comparing runs from Python: what the commands print with --json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dlrun
from dlrun.cli.app import run
from dlrun.errors import RunError

SHORT = {"training.epochs": 2, "model.hidden": [4]}
ROWS = "sepal_length,sepal_width,petal_length,petal_width,species\n5.1,3.5,1.4,0.2,setosa\n6.2,2.9,4.3,1.3,versicolor\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    dlrun.train("iris", set=SHORT, device="cpu", out=folder / "train")
    dlrun.crossval("iris", set=SHORT, device="cpu", folds=4, out=folder / "a")
    dlrun.crossval("iris", set={**SHORT, "model.hidden": []}, device="cpu", folds=4, out=folder / "b")
    (folder / "t.csv").write_text(ROWS)
    return folder


def printed(capsys: pytest.CaptureFixture[str], *line: str) -> Any:
    capsys.readouterr()
    assert run([*line, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_evaluate(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, table = str(runs / "train"), str(runs / "t.csv")
    own = dlrun.evaluate(folder, device="cpu")
    assert plain(own.document) == printed(capsys, "evaluate", folder, "--device", "cpu")
    assert own.figures["test"]["rows"] == 30
    other = dlrun.evaluate(folder, data=table, device="cpu")
    assert plain(other.document) == printed(capsys, "evaluate", folder, "--data", table, "--device", "cpu")
    framed = dlrun.evaluate(folder, data=pd.read_csv(table), device="cpu")
    assert framed.figures == other.figures
    assert "<table" in framed._repr_html_()


def test_predict(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, table = str(runs / "train"), str(runs / "t.csv")
    found = dlrun.predict(folder, data=table, device="cpu")
    assert plain(found.document) == printed(capsys, "predict", folder, "--data", table, "--device", "cpu")
    assert list(found.predictions["target"]) == ["setosa", "versicolor"]
    framed = dlrun.predict(folder, data=pd.read_csv(table).drop(columns="species"), device="cpu")
    assert list(framed.predictions["prediction"]) == list(found.predictions["prediction"])


def test_compare(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = str(runs / "a"), str(runs / "b")
    found = dlrun.compare(a, b)
    assert plain(found.document) == printed(capsys, "compare", a, b)
    assert len(found.comparisons) == 1
    with pytest.raises(RunError, match="two or more"):
        dlrun.compare(a)


def test_a_changed_file_is_refused_unless_it_is_wanted(runs: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(runs / "train", tmp_path / "run"))
    with (folder / "config.toml").open("a") as file:
        file.write("\n")
    with pytest.raises(RunError, match="has changed"):
        dlrun.evaluate(folder)
    assert dlrun.evaluate(folder, verify=False, device="cpu").figures
