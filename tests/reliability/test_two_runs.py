"""Runs that start at the same moment: one owner of a folder, or a folder each; the lock dies with its process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reliability.running import count

STARTS, ROUNDS = count(8, 32), count(3, 20)

# Processes that are forked with everything imported, wait for the word, and begin together.
TOGETHER = """
import contextlib, io, json, os, sys, time
from dlrun.cli.app import run
import dlrun.workflows.train, dlrun.training.run, dlrun.config.checking, dlrun.config.keys, dlrun.data.csv_file
import dlrun.runs.folder, filelock, safetensors.numpy

def started(arguments):
    told = io.StringIO()
    began, used = time.monotonic(), time.process_time()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
        status = run(arguments)
    return status, time.process_time() - used, time.monotonic() - began, told.getvalue()

count, arguments = int(sys.argv[1]), sys.argv[2:]
word, go = os.pipe()
answers, answer = os.pipe()
for _ in range(count):
    if os.fork() == 0:
        os.close(go)
        os.read(word, 1)  # until the last writer is gone
        os.write(answer, json.dumps(started(arguments)).encode() + b"\\n")
        os._exit(0)
time.sleep(0.05)
os.close(go)
os.close(answer)
with open(answers) as lines:
    sys.stdout.writelines(lines)
for _ in range(count):
    os.wait()
"""


def together(folder: Path, *arguments: str) -> list[tuple[int, float, float, str]]:
    """Status, seconds of the processor, seconds of the clock and message of so many processes that start together."""
    program = [sys.executable, "-W", "ignore", "-c", TOGETHER, str(STARTS), *arguments]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(program, capture_output=True, text=True, cwd=folder, env=environment, timeout=300, check=True)
    found = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    assert len(found) == STARTS
    return found


XOR = ("train", "xor", "--quiet", "--device", "cpu", "--jobs", "1")


@pytest.mark.parametrize("made", [False, True], ids=["a-new-folder", "an-empty-folder"])
def test_of_runs_into_one_folder_one_owns_it(made: bool, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        out = tmp_path / f"out{number}"
        if made:
            out.mkdir()
        results = together(tmp_path, *XOR, "--out", str(out), "--set", "training.epochs=500")
        winners = [result for result in results if result[0] == 0]
        losers = [result for result in results if result[0] != 0]
        assert len(winners) == 1, results
        for status, used, seconds, message in losers:
            assert status == 2
            assert re.search(r"another dlrun process is writing|the folder is not empty", message)
            assert message.count("\n") == 1
            assert used < 1
            assert seconds < 1 + 3 * sum(each[1] for each in results)  # they share their processors, and with others
        summary = json.loads((out / "summary.json").read_text())
        assert summary["status"] == "done"
        rows = (out / "metrics.csv").read_text().splitlines()
        assert len(rows) == len(set(rows)) == 1 + summary["epochs"]


def test_runs_without_a_folder_get_one_each(tmp_path: Path) -> None:
    short = ("--set", "training.epochs=2")
    for number in range(1, ROUNDS + 1):
        results = together(tmp_path, *XOR, *short)
        assert [result[0] for result in results] == [0] * STARTS, results
        folders = sorted((tmp_path / "runs" / "xor").iterdir())
        assert [folder.name for folder in folders] == [f"train-{n:03}" for n in range(1, number * STARTS + 1)]
        assert all((folder / "summary.json").is_file() for folder in folders)


def holder(out: Path, *arguments: str) -> subprocess.Popen[str]:
    """A long run, as soon as it owns its folder."""
    long = ("--set", "training.epochs=1000000000", "--quiet", "--device", "cpu", "--out", str(out), *arguments)
    metrics, deadline = out / "metrics.csv", time.monotonic() + 30
    metrics.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "dlrun", "train", "xor", *long], text=True)
    while not (metrics.exists() and metrics.stat().st_size > 100):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    return process


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = [sys.executable, "-m", "dlrun", *XOR, "--out", str(out), "--overwrite", "--set", "training.epochs=2"]
    for _ in range(count(1, 10)):
        owner = holder(out, "--overwrite")
        try:
            refused = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)
            assert refused.returncode == 2
            assert "another dlrun process is writing to this folder" in refused.stderr
        finally:
            owner.send_signal(signal.SIGKILL)
            owner.wait(timeout=10)
        assert (out / ".lock").exists()  # what is left of the dead one stops nobody
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
        assert json.loads((out / "summary.json").read_text())["status"] == "done"
        assert not list(out.glob(".*.dlrun-tmp"))


@pytest.mark.parametrize("command", ["crossval", "holdout", "bootstrap", "tune", "gradcheck"])
def test_every_command_leaves_a_taken_folder_alone(command: str, tmp_path: Path) -> None:
    from filelock import FileLock

    from dlrun.cli.app import run

    options = {"holdout": ["--repeats", "2"], "crossval": ["--folds", "2"], "bootstrap": ["--samples", "2"]}
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".lock"):
        line = [command, "iris", "--out", str(out), "--overwrite", "--quiet", *options.get(command, [])]
        assert run([*line, "--set", "training.epochs=1"]) == 2
        assert {path.name for path in out.iterdir()} == {".lock"}
