"""Every malformed request gets one message with place, value and remedy, status 2, and leaves nothing behind."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reliability.bad_command_lines import COMMAND_LINES
from reliability.bad_experiments import EXPERIMENTS
from reliability.bad_tables import TABLES
from reliability.cases import IRIS, Bad, tree
from reliability.running import Dlrun, Result

from dlrun.cli.commands import COMMANDS

CASES = [*EXPERIMENTS, *TABLES, *COMMAND_LINES]
LONGEST = 4_200  # characters of a message


def check(result: Result, says: tuple[str, ...]) -> None:
    assert (result.status, result.stdout) == (2, ""), result.stderr
    assert re.match(r"dlrun[^:\n]*: ", result.stderr)
    assert len(re.findall(r"^dlrun", result.stderr, re.MULTILINE)) == 1  # one message
    for word in ("Traceback", "an error in dlrun itself", "warning"):
        assert word not in result.stderr
    for part in says:
        assert part in result.stderr
    assert len(result.stderr) < LONGEST
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", result.stderr)


def test_there_are_at_least_120_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 120


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_it_is_refused_and_nothing_is_written(case: Bad, dlrun: Dlrun, here: Path) -> None:
    case.write(here)
    before = tree(here)
    began = time.process_time()
    check(dlrun(*case.arguments), case.says)
    assert time.process_time() - began < 5
    assert tree(here) == before


READERS = {"evaluate", "predict", "compare", "diagnose", "export", "plot", "report", "runs"}
OTHERS = {*READERS, "minimize", "smooth", "list", "info"}
TAKE_AN_EXPERIMENT = [name for name in COMMANDS if name not in OTHERS]
NEEDED = {"holdout": ("--repeats", "2"), "crossval": ("--folds", "3"), "bootstrap": ("--samples", "2")}


@pytest.mark.parametrize("name", TAKE_AN_EXPERIMENT)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ("e.toml", "is empty")),
        ("seed = -1\n" + IRIS, ("e.toml", "seed = -1", "from 0 to")),
        ("sead = 1\n" + IRIS, ("sead", "nearest known one is seed")),
        ("training.batch_size = 0\n" + IRIS, ("training.batch_size = 0", "from 1 to")),
        ('data.source = "nowhere.csv"\ndata.target = "y"\n', ("nowhere.csv", "there is no file")),
        ('data.source = "irsi"\n', ("irsi", "did you mean 'iris'")),
    ],
    ids=["empty", "range", "misspelt", "batch", "no-table", "no-set"],
)
def test_every_command_refuses_a_bad_experiment(
    name: str, text: str, says: tuple[str, ...], dlrun: Dlrun, here: Path
) -> None:
    if name == "show" and "data.source" in text:
        pytest.skip("show reads no data")
    (here / "e.toml").write_text(text)
    before = tree(here)
    check(dlrun(name, "e.toml", *NEEDED.get(name, ())), says)
    assert tree(here) == before


SUBPROCESSES = [
    "empty",
    "binary",
    "lists in lists",
    "batch 0",
    "a 10 MB field",
    "a FIFO for a table",
    "no such command",
]


@pytest.mark.parametrize("name", SUBPROCESSES)
def test_a_process_of_its_own_says_the_same(name: str, here: Path) -> None:
    case = next(case for case in CASES if case.name == name)
    case.write(here)
    before = tree(here)
    program = [sys.executable, "-m", "dlrun", *case.arguments]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False, cwd=here)
    check(Result(done.returncode, done.stdout, done.stderr), case.says)
    assert tree(here) == before
