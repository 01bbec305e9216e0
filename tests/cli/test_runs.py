"""`dlrun runs` on a command line: damage that must not stop it, removal, the question before it."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlrun.reporting.runs_report import run_cells
from dlrun.runs.listing import ListedRun

KEPT = {"command": "train", "name": "x"}
# The terminal that a session's first process opens is the one whose Ctrl-C it gets.
ON_ITS_TERMINAL = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.executable, [sys.executable, "-m", "dlrun", *sys.argv[1:]])
"""


def stored(folder: Path, **summary: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(KEPT | summary))
    return folder


def with_error(error: float) -> dict[str, Any]:
    return {"figures": {"train": {"error": 0.9}, "test": {"error": error}}}


def test_numbers_that_no_float_holds_are_left_out(here: Path, dlrun: Any) -> None:
    stored(here / "runs/huge", seconds=10**400, **with_error(0.25))
    stored(here / "runs/nan", seconds=2, **with_error(math.nan))
    stored(here / "runs/infinite", seconds=2, **with_error(math.inf))
    rows = {row["folder"]: row for row in json.loads(dlrun("runs", "--json").stdout)["runs"]}
    assert [
        (rows[f"runs/{name}"]["error"], rows[f"runs/{name}"]["seconds"]) for name in ("huge", "nan", "infinite")
    ] == [
        (0.25, None),
        (None, 2),
        (None, 2),
    ]


def test_runs_without_an_error_come_last_whichever_way(here: Path, dlrun: Any) -> None:
    for name, error in (("a", 0.3), ("b", math.nan), ("c", 0.1)):
        stored(here / f"runs/{name}", **with_error(error))
    for option, order in (("error", "cab"), ("-error", "acb")):
        rows = json.loads(dlrun("runs", "--sort", option, "--json").stdout)["runs"]
        assert [row["folder"] for row in rows] == [f"runs/{name}" for name in order]


def test_a_time_that_no_calendar_has() -> None:
    assert run_cells(ListedRun(Path("x"), "finished", when=1e18), ["folder", "when"]) == ["x", ""]


@pytest.mark.parametrize(
    "summary", ["[]", "null", '{"figures": 3, "command": []}', '{"estimates": 1, "command": "bootstrap"}']
)
def test_a_summary_of_another_shape_is_a_row(summary: str, here: Path, dlrun: Any) -> None:
    (stored(here / "runs/odd") / "summary.json").write_text(summary)
    stored(here / "runs/sound")
    result = dlrun("runs", "--json")
    assert (result.status, result.stderr) == (0, "")
    states = {row["folder"]: row["status"] for row in json.loads(result.stdout)["runs"]}
    assert states["runs/sound"] == "finished"
    assert states["runs/odd"] in ("damaged", "finished")


def test_a_folder_called_rm_is_listed(here: Path, dlrun: Any) -> None:
    stored(here / "rm/one")
    assert [row["folder"] for row in json.loads(dlrun("runs", "./rm", "--json").stdout)["runs"]] == ["rm/one"]
    assert (here / "rm/one/summary.json").exists()


@pytest.mark.parametrize(
    "option", [("--where", "command=tune"), ("--limit", "1"), ("--sort", "error"), ("--csv", "a.csv")]
)
def test_what_chooses_no_run_to_remove_is_refused(option: tuple[str, str], here: Path, dlrun: Any) -> None:
    folder = stored(here / "runs/one")
    result = dlrun("runs", "rm", "runs/one", *option, "--yes")
    assert result.status == 2
    assert f"runs rm {option[0]}: " in result.stderr
    assert (folder / "summary.json").exists()


def test_yes_without_rm_is_refused(here: Path, dlrun: Any) -> None:
    stored(here / "runs/one")
    assert dlrun("runs", "--yes").status == 2


def test_a_run_that_is_named_twice_is_removed_once(here: Path, dlrun: Any) -> None:
    stored(here / "runs/one")
    result = dlrun("runs", "rm", "runs/one", "./runs/one/", "--yes")
    assert (result.status, result.stderr) == (0, "removed: runs/one\n")
    assert not (here / "runs/one").exists()


def test_the_folder_that_one_stands_in(here: Path, dlrun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stored(here / "runs/one")
    monkeypatch.chdir(folder)
    assert dlrun("runs", "rm", ".", "--yes").status == 0
    assert not (folder / "summary.json").exists()


@pytest.mark.parametrize(("typed", "status", "stays"), [(b"y\n", 0, False), (b"n\n", 0, True), (b"\x04", 0, True),
                                                        (b"\x03", 130, True)])  # fmt: skip
def test_the_question_on_a_terminal(typed: bytes, status: int, stays: bool, here: Path) -> None:
    folder = stored(here / "runs/one")
    terminal, inner = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", ON_ITS_TERMINAL, "runs", "rm", "runs/one"],
        stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
    )  # fmt: skip
    os.close(inner)
    said = b""
    try:
        while b"[y/N]" not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, typed)
        while more := os.read(terminal, 1000):
            said += more
    except OSError:  # Linux tells the end of a terminal so
        pass
    assert child.wait(20) == status
    os.close(terminal)
    assert b"Remove 1 run (runs/one)?" in said
    assert b"error in dlrun" not in said
    assert folder.exists() == stays
