"""`dlrun plot` through whole command lines."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dlrun = Callable[..., Any]
SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("ending", list(SIGNATURES))
def test_the_ending_chooses_the_format(dlrun: Dlrun, iris_run: Path, here: Path, ending: str) -> None:
    result = dlrun("plot", str(iris_run), "--out", f"a.{ending}")
    assert (result.status, result.stdout) == (0, "")
    assert result.stderr == f"cost: a.{ending}\n"
    assert (here / f"a.{ending}").read_bytes().startswith(SIGNATURES[ending])


def test_every_picture_of_a_training(dlrun: Dlrun, iris_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(iris_run, tmp_path / "run")
    result = dlrun("plot", str(run), "--kind", "all", "--json")
    kinds = [each["kind"] for each in json.loads(result.stdout)["plots"]]
    assert kinds == ["cost", "error", "learning_rate", "confusion", "reliability"]
    assert all((run / f"plot-{kind}.png").stat().st_size > 5000 for kind in kinds)


def test_the_terminal_needs_no_file(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    result = dlrun("plot", str(iris_run), "--terminal")
    assert result.status == 0
    assert result.stdout.startswith("iris: cost\n")
    assert "* train" in result.stdout
    assert result.stdout.isascii()
    assert not list(here.iterdir())
    assert not list(iris_run.glob("plot-*"))


def test_two_runs_in_one_picture(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    result = dlrun("plot", str(iris_run), str(iris_run), "--label", "one", "--label", "<two>", "--by", "step", "--log")
    assert result.status == 0
    assert (here / "plot-cost.png").exists()


def test_overwriting_a_run_takes_its_pictures_along(dlrun: Dlrun, here: Path) -> None:
    train = ("train", "xor", "--out", "run", "--set", "training.epochs=1", "--quiet")
    assert dlrun(*train).status == 0
    assert dlrun("plot", "run", "--quiet").status == 0
    assert dlrun("report", "run", "--quiet").status == 0
    assert {"plot-cost.png", "report.html"} <= {file.name for file in (here / "run").iterdir()}
    assert dlrun(*train, "--overwrite").status == 0
    assert not {"plot-cost.png", "report.html"} & {file.name for file in (here / "run").iterdir()}


def test_a_path_over_the_contours_of_its_cost(dlrun: Dlrun, here: Path) -> None:
    cost = "(1-x)**2 + 10*y**2"
    assert dlrun("minimize", cost, "--out", "p.csv", "--steps", "20", "--start", "x=-1", "--quiet").status == 0
    assert dlrun("plot", "p.csv", "--expression", cost).status == 0
    assert (here / "p-path.png").exists()
    assert dlrun("plot", "p.csv", "--expression", "q**2").stderr.count("\n") == 1


def test_the_smoothed_year(dlrun: Dlrun, here: Path) -> None:
    (here / "t.csv").write_text("day,t\n1,3\n2,5\n3,4\n")
    assert dlrun("smooth", "t.csv", "--column", "t", "--beta", "0.9", "--out", "s.csv", "--quiet").status == 0
    assert dlrun("plot", "s.csv", "--out", "s.svg").status == 0
    assert b"day" in (here / "s.svg").read_bytes()


WRONG = {
    "ending": (("--out", "a.gif"), "--out a.gif: a picture's name should end in .png, .svg or .pdf"),
    "no ending": (("--out", "a"), "should end in"),
    "folder": (("--out", "sub.png"), "is a folder"),
    "kind": (("--kind", "cots"), "--kind cots: no such kind; did you mean 'cost'?"),
    "other kind": (("--kind", "folds"), "has no folds to plot"),
    "labels": (("--label", "a", "--label", "b"), "--label: 2 given for 1 run;"),
    "all to one": (("--kind", "all", "--out", "a.png"), "--kind all draws several pictures"),
    "no folder": (("--out", "no/such/a.png"), "No such file or directory".lower()),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_a_wrong_request_is_one_message(dlrun: Dlrun, iris_run: Path, here: Path, case: str) -> None:
    (here / "sub.png").mkdir()
    arguments, message = WRONG[case]
    result = dlrun("plot", str(iris_run), *arguments)
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [file.name for file in here.iterdir()] == ["sub.png"]


def test_matplotlib_is_loaded_by_nothing_else() -> None:
    code = (
        "import sys, dlrun.cli.plot, dlrun.cli.report, dlrun.cli.smooth, dlrun.reporting.plots.kinds, "
        "dlrun.runs.folder; sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("plot", "RUN", "--kind", "cost", "--out", "precious.png"), "picture"),
        (("report", "RUN", "--out", "precious.html"), "page"),
        (("minimize", "w**2", "--steps", "2", "--out", "precious.csv"), "path of a minimization"),
    ],
    ids=["plot", "report", "minimize"],
)
def test_a_file_of_another_kind_is_not_replaced(
    arguments: tuple[str, ...], what: str, dlrun: Any, iris_run: Path, here: Path
) -> None:
    line = [str(iris_run) if word == "RUN" else word for word in arguments]
    out = here / line[-1]
    out.write_text("a,b\n1,2\n")
    result = dlrun(*line)
    assert result.status == 2
    assert f"precious{out.suffix}: this file is no {what}, and would be lost" in result.stderr
    assert out.read_text() == "a,b\n1,2\n"
    out.unlink()
    assert dlrun(*line).status == 0
    assert dlrun(*line).status == 0  # its own kind is written anew
