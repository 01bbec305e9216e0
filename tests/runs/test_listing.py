"""`dlrun runs`: what lies below a folder, in which state, sorted, filtered, written and removed."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import dlrun
from dlrun.cli.app import run
from dlrun.errors import RunError
from dlrun.runs.folder import claim_run_folder
from dlrun.runs.listing import differing, list_runs
from dlrun.runs.removing import refuse_no_run

QUICK = {"training.epochs": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("made") / "runs"
    for number, hidden in enumerate(([], [4], [8])):
        setting = {**QUICK, "model.hidden": hidden}
        dlrun.crossval("iris", folds=3, set=setting, device="cpu", out=top / "iris" / f"crossval-{number}")
    dlrun.train("wine", set=QUICK, device="cpu", out=top / "wine" / "train-1")
    dlrun.bootstrap("iris", samples=5, set=QUICK, device="cpu", out=top / "deep" / "er" / "boot")
    return top


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(["runs", *words, "--json"]) == 0
    return list(json.loads(capsys.readouterr().out)["runs"])


def test_all_runs_with_their_figures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["folder"]: row for row in listed(capsys)}
    assert len(rows) == 5
    for folder, row in rows.items():
        kept = json.loads((here / folder / "summary.json").read_text())
        assert (row["name"], row["command"], row["status"]) == (kept["name"], kept["command"], "finished")
        assert row["seconds"] == kept["seconds"]
    first = rows["runs/iris/crossval-0"]
    error = json.loads((here / "runs/iris/crossval-0/summary.json").read_text())["error"]
    assert (first["error"], first["low"], first["high"]) == (error["mean"], error["ci_low"], error["ci_high"])
    boot = json.loads((here / "runs/deep/er/boot/summary.json").read_text())["estimates"]["632plus"]
    assert rows["runs/deep/er/boot"]["error"] == boot["value"]
    trained = json.loads((here / "runs/wine/train-1/summary.json").read_text())["figures"]["test"]["error"]
    assert rows["runs/wine/train-1"]["error"] == trained
    assert rows["runs/wine/train-1"]["data"] == "wine"


def test_the_settings_in_which_they_differ(here: Path) -> None:
    found = list_runs(here / "runs" / "iris")
    assert differing(found) == ["model.hidden"]
    assert sorted(each.settings["model.hidden"] for each in found) == ["[4]", "[8]", "[]"]


def test_where_sort_and_limit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def folders(*words: str) -> list[str]:
        return [row["folder"].removeprefix("runs/") for row in listed(capsys, *words)]

    assert folders("--where", "model.hidden=[]", "--where", "command=crossval") == ["iris/crossval-0"]
    assert folders("--where", "model.hidden=[ 4 ]") == ["iris/crossval-1"]
    assert folders("--where", "data.source=wine") == folders("--where", "data=wine") == ["wine/train-1"]
    assert folders("--where", "status=running") == []
    errors = [row["error"] for row in listed(capsys, "--sort", "error")]
    assert errors == sorted(errors)
    assert [row["error"] for row in listed(capsys, "--sort", "-error")] == sorted(errors, reverse=True)
    assert folders("runs/iris", "--sort", "model.hidden") == ["iris/crossval-1", "iris/crossval-2", "iris/crossval-0"]
    assert len(folders("--limit", "2")) == 2
    for words in (["--where", "model.hiden=[]"], ["--sort", "eror"], ["--where", "status"], ["nowhere"], ["a", "b"]):
        assert run(["runs", *words]) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_the_table_and_the_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "runs/iris"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("3 runs in runs/iris\n")
    assert "model.hidden" in shown
    assert run(["runs", "--csv", "all.csv"]) == 0
    with open("all.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert {row["model.hidden"] for row in rows} >= {"[]", "[4]", "[8]"}
    (here / "mine.csv").write_text("a,b\n1,2\n")
    assert run(["runs", "--csv", "mine.csv"]) == 2
    assert (here / "mine.csv").read_text() == "a,b\n1,2\n"


def test_states(here: Path) -> None:
    (here / "runs/iris/crossval-0/summary.json").write_text("{")
    (here / "runs/iris/crossval-1/summary.json").unlink()
    diverged = here / "runs/iris/crossval-2/summary.json"
    diverged.write_text(json.dumps({**json.loads(diverged.read_text()), "status": "diverged"}))
    with claim_run_folder(out=here / "runs/now", name="x", command="train") as folder:
        folder.write_text("config.toml", 'name = "x"\n')
        states = {each.folder.name: each.status for each in list_runs(here / "runs")}
        with pytest.raises(RunError, match="is writing"):
            refuse_no_run(here / "runs/now")
    assert states["crossval-0"] == "damaged"
    assert states["crossval-1"] == "interrupted"
    assert states["crossval-2"] == "diverged"
    assert states["now"] == "running"
    assert {e.folder.name: e.command for e in list_runs(here / "runs")}["crossval-1"] == "crossval"


def test_nothing_is_followed_or_waited_for(here: Path) -> None:
    (here / "elsewhere").mkdir()
    shutil.copytree(here / "runs/wine/train-1", here / "elsewhere/run")
    (here / "runs/link").symlink_to(here / "elsewhere")
    (here / "runs/pipe").mkdir()
    os.mkfifo(here / "runs/pipe/summary.json")
    (here / "runs/linked").mkdir()
    (here / "runs/linked/summary.json").symlink_to(here / "elsewhere/run/summary.json")
    states = {str(each.folder.relative_to(here / "runs")): each.status for each in list_runs(here / "runs")}
    assert not any(name.startswith("link/") for name in states)
    assert states["pipe"] == states["linked"] == "damaged"


# -- removing ------------------------------------------------------------------------------------


def test_runs_are_removed_and_nothing_else(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "victim").write_text("own")
    (here / "runs/wine/train-1/notes.txt").write_text("own")
    (here / "runs/wine/train-1/report.html").symlink_to(here / "victim")
    assert run(["runs", "rm", "runs/wine/train-1", "runs/iris/crossval-0"]) == 2  # nobody to ask
    assert "--yes" in capsys.readouterr().err
    assert (here / "runs/iris/crossval-0/summary.json").exists()
    assert run(["runs", "rm", "runs/wine/train-1", "runs/iris/crossval-0", "--yes"]) == 0
    said = capsys.readouterr().err
    assert "other files stay: notes.txt" in said
    assert not (here / "runs/iris/crossval-0").exists()
    assert [path.name for path in (here / "runs/wine/train-1").iterdir()] == ["notes.txt"]
    assert (here / "victim").read_text() == "own"
    assert (here / "runs/iris/crossval-1/summary.json").exists()


@pytest.mark.parametrize(
    ("words", "said"), [((), "names no run"), (("nowhere",), "no such folder"), (("runs/iris",), "holds no run")]
)
def test_what_is_no_run_is_not_removed(
    words: tuple[str, ...], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.rglob("*"))
    assert run(["runs", "rm", "runs/wine/train-1", *words, "--yes"] if words else ["runs", "rm", "--yes"]) == 2
    assert said in capsys.readouterr().err
    assert sorted(here.rglob("*")) == before
