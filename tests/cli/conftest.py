"""Running a command line inside the test's own process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlrun.cli.app import run

COMPUTING = ("train", "evaluate", "predict", "holdout", "crossval", "bootstrap")  # the commands that take --device


@dataclass(frozen=True)
class Result:
    """What a command line gave."""

    status: int
    stdout: str
    stderr: str


Dlrun = Callable[..., Result]


@pytest.fixture
def dlrun(capsys: pytest.CaptureFixture[str]) -> Dlrun:
    """`dlrun("list", "--json")` gives the status and what was printed; commands compute on the device under test."""

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        status = run(on_device(arguments))
        return Result(status, *capsys.readouterr())

    return call


def on_device(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The command line with the device that DLRUN_TEST_DEVICE names, if it names none itself."""
    if arguments[:1] and arguments[0] in COMPUTING and "--device" not in arguments:
        return (*arguments, "--device", os.environ.get("DLRUN_TEST_DEVICE", "cpu"))
    return arguments


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def iris_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of iris; read it, and leave it as it is."""
    folder = tmp_path_factory.mktemp("iris") / "run"
    assert run(on_device(("train", "iris", "--out", str(folder), "--quiet"))) == 0
    return folder


OWN = """age,city,=cmd|' /c calc'!A0,y
1,Paris,3,yes
2,Rome,4,=no
,Paris,5,yes
4,Oslo,6,=no
5,Oslo,2,yes
6,Rome,,=no
7,Paris,9,yes
8,,7,=no
9,Paris,3,yes
10,Oslo,4,=no
11,Rome,4,yes
12,Oslo,4,=no
"""


@pytest.fixture
def own_table(here: Path) -> Path:
    """A user's table with texts, missing values, and names that a spreadsheet would run."""
    (here / "own.csv").write_text(OWN)
    return here / "own.csv"


def least_cpu_seconds(*arguments: str) -> float:
    """The least processor time of three runs of `dlrun` as a process of its own.

    On a machine with nothing else to do this is the time on the clock; on a busy one it still is the program's.
    """
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "dlrun", *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(seconds)


@pytest.fixture
def cpu_seconds() -> Callable[..., float]:
    return least_cpu_seconds
