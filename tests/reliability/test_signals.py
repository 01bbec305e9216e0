"""SIGINT and SIGTERM at random instants: from the first line of dlrun to its last, whatever it is about to do."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reliability.running import count

from dlrun.cli.app import run

COMMANDS = {
    "train": ["train", "blood_fat", "--set=training.epochs=300"],
    "crossval": ["crossval", "breast_cancer", "--folds", "4", "--jobs", "2", "--set=training.epochs=50"],
    "bootstrap": ["bootstrap", "wine", "--samples", "40", "--jobs", "2", "--set=training.epochs=40"],
    "tune": ["tune", "iris", "--trials", "24", "--jobs", "2", "--set=training.epochs=60"],
}
FILES = (".csv", ".toml")
FREQUENT = str(Path(__file__).with_name("frequent.py"))


def start(command: str, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, FREQUENT, *COMMANDS[command], "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_handlers(process: subprocess.Popen[str]) -> None:
    """Until dlrun, and not yet the interpreter alone, answers SIGTERM."""
    status, bit = Path(f"/proc/{process.pid}/status"), 1 << (signal.SIGTERM - 1)
    while process.poll() is None:
        caught = next((line for line in status.read_text().splitlines() if line.startswith("SigCgt")), "SigCgt: 0")
        if int(caught.split()[1], 16) & bit:
            return


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in FILES}


@pytest.fixture(scope="module", params=COMMANDS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, float]:
    """A command, the folder of its undisturbed run, and how many seconds that took."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    process = start(request.param, folder)
    wait_for_handlers(process)
    began = time.monotonic()
    _, said = process.communicate()
    assert process.returncode == 0, said
    return request.param, folder, time.monotonic() - began


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_signal_at_any_instant(whole: tuple[str, Path, float], tmp_path: Path) -> None:
    """Out within five seconds with 130 or 143; one sentence, and how to go on; going on ends as the whole run did."""
    command, folder, seconds = whole
    draw, kept, broken = random.Random(command), 0, 0
    for number in range(count(4, 50)):
        out, how = tmp_path / f"run-{number}", draw.choice([signal.SIGINT, signal.SIGTERM])
        process = start(command, out)
        wait_for_handlers(process)
        instant = draw.uniform(0, seconds)
        time.sleep(instant)
        os.killpg(process.pid, how)  # as a terminal does, so that processes of the run's own get it too
        began = time.monotonic()
        _, said = process.communicate(timeout=30)
        where = f"{how.name} after {instant:.3f} s of {seconds:.3f} s, status {process.returncode}:\n{said}"
        assert time.monotonic() - began < 5, where
        if process.returncode != 0:  # else the run had just ended
            assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[how], where
            assert "Traceback" not in said, where
            assert "Exception ignored" not in said, where
            word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[how]
            assert said.splitlines()[-1] == f"dlrun: {word}", where
        assert not list(tmp_path.glob("**/*dlrun-tmp")), where
        if not (out / "config.toml").exists():  # the run had not begun
            assert process.returncode != 0, where
            assert not out.exists() or {path.name for path in out.iterdir()} <= {".lock", "journal.jsonl"}, where
            continue
        again = [command, "--resume", "--out", str(out), *resumed(command)]
        if process.returncode != 0 and not (out / "summary.json").exists():
            told = next(line for line in said.splitlines() if line.startswith("go on with: dlrun "))
            again = shlex.split(told.removeprefix("go on with: dlrun "))
            kept += bool(list(out.glob("checkpoint*"))) or command == "tune"  # which keeps a journal instead
            broken += 1
        assert run([*again, "--quiet"]) == 0, where
        assert files_of(out) == files_of(folder), where
    assert 2 * kept >= broken


def resumed(command: str) -> list[str]:
    """What the folder's config.toml does not hold."""
    options = {"--folds", "--samples", "--trials", "--jobs"}
    words = COMMANDS[command]
    return [word for i, word in enumerate(words) if word in options or words[i - 1] in options]
