"""The Makefile's dependencies, with a stand-in for dlrun that only leaves the files of a run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")

STAND_IN = """#!/bin/sh
# dlrun train FILE --out DIR --overwrite --quiet
echo "$2" >> calls
mkdir -p "$4"
case $2 in *"$FAIL"*) test -n "$FAIL" && { echo partial > "$4/summary.json"; exit 1; } ;; esac
echo '{}' > "$4/summary.json"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which everything is installed already, and dlrun is the stand-in."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    program = tmp_path / ".venv/bin/dlrun"
    program.parent.mkdir(parents=True)
    program.write_text(STAND_IN)
    program.chmod(0o755)
    for stamp in ("pyvenv.cfg", ".installed", ".installed-dev"):
        (tmp_path / ".venv" / stamp).touch()
    return tmp_path


def make(checkout: Path, *arguments: str, fail: str = "") -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=checkout, env={**clean, "FAIL": fail}, capture_output=True, text=True, check=False
    )


def calls(checkout: Path) -> list[str]:
    """The experiments trained since the last look."""
    log = checkout / "calls"
    found = sorted(log.read_text().split()) if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def newer(path: Path) -> None:
    """Give the file a time later than everything made so far."""
    later = max(file.stat().st_mtime for file in path.parents[1].rglob("*")) + 10
    os.utime(path, (later, later))


@pytest.mark.parametrize("jobs", ["-j1", "-j2"])
def test_every_experiment_once(checkout: Path, jobs: str) -> None:
    assert make(checkout, jobs, "experiments").returncode == 0
    names = sorted(path.name for path in (checkout / "experiments").glob("*.toml"))
    assert calls(checkout) == [f"experiments/{name}" for name in names]
    for name in names:
        assert (checkout / "runs" / name.removesuffix(".toml") / "summary.json").exists()
    again = make(checkout, jobs, "experiments")
    assert "Nothing to be done" in again.stdout
    assert calls(checkout) == []


def test_only_what_changed_is_trained_again(checkout: Path) -> None:
    make(checkout, "experiments")
    calls(checkout)
    newer(checkout / "experiments/wine.toml")
    make(checkout, "experiments")
    assert calls(checkout) == ["experiments/wine.toml"]


def test_an_experiment_s_own_table_counts_too(checkout: Path) -> None:
    make(checkout, "experiments")
    calls(checkout)
    table = checkout / "experiments/data/quadratic.csv"
    later = (checkout / "runs/quadratic/summary.json").stat().st_mtime + 10
    os.utime(table, (later, later))
    make(checkout, "experiments")
    assert calls(checkout) == ["experiments/quadratic.toml"]


def test_one_experiment(checkout: Path) -> None:
    assert make(checkout, "experiment-iris").returncode == 0
    assert calls(checkout) == ["experiments/iris.toml"]


def test_a_failed_run_is_tried_again(checkout: Path) -> None:
    failed = make(checkout, "-k", "experiments", fail="/xor.toml")
    assert failed.returncode != 0
    assert not (checkout / "runs/xor/summary.json").exists()
    assert "experiments/wine.toml" in calls(checkout)
    assert make(checkout, "experiments").returncode == 0
    assert calls(checkout) == ["experiments/xor.toml"]


def test_run_and_test_install_first_and_then_do_what_they_say(checkout: Path) -> None:
    for target, command in (
        ("run", ".venv/bin/dlrun train"),
        ("test", ".venv/bin/python -m pytest"),
        ("gpu-check", "DLRUN_TEST_DEVICE=gpu .venv/bin/python -m pytest"),
    ):
        assert command in make(checkout, "-n", target).stdout
    shutil.rmtree(checkout / ".venv")
    steps = make(checkout, "-n", "test").stdout
    order = [steps.index(step) for step in ("-m venv", "install --editable '.[fast]'", "[dev]", "-m pytest")]
    assert order == sorted(order)


def test_a_change_of_the_requirements_installs_again(checkout: Path) -> None:
    newer_than = (checkout / ".venv/.installed-dev").stat().st_mtime + 10
    os.utime(checkout / "pyproject.toml", (newer_than, newer_than))
    steps = make(checkout, "-n", "test").stdout
    assert "install --editable '.[dev]'" in steps


def test_the_help_names_every_target(checkout: Path) -> None:
    shown = make(checkout).stdout
    for target in ("run", "test", "soak", "check", "experiments", "bench", "gpu-check", "clean"):
        assert f"\n  {target} " in f"\n{shown}"
    assert "digits" in shown
