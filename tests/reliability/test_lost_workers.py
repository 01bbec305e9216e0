"""Worker processes that are killed or stopped at any instant, under whole commands: one message, and a way to go on."""

from __future__ import annotations

import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from reliability.running import count

from dlrun.training.workers import can_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes are not forked here")

SIZE = ("--set", "model.hidden=[64,64]", "--set", "training.epochs=40", "--device", "cpu", "--jobs", "2", "--quiet")
SIZE += ("--engine", "numpy")  # compiled steps need no processes
LINES = {
    "crossval": ("crossval", "iris", "--folds", "10", "--repeats", "4", *SIZE),
    "holdout": ("holdout", "iris", "--repeats", "40", "--test-size", "0.3", *SIZE),
    "bootstrap": ("bootstrap", "iris", "--samples", "40", *SIZE),
    "tune": ("tune", "iris", "--trials", "30", *SIZE),
    "gradcheck": ("gradcheck", "digits", "--jobs", "2", "--quiet", "--set", "model.hidden=[64,64]"),
}

FORKING = str(Path(__file__).with_name("forking.py"))


def start(line: tuple[str, ...], out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, FORKING, *line, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=out.parent,
    )


def children_of(process: int) -> list[int]:
    try:
        found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [int(each) for each in found]


def a_worker_of(process: subprocess.Popen[str]) -> int | None:
    """One of its processes, as soon as there is one; None where it ends without."""
    while process.poll() is None:
        if found := children_of(process.pid):
            return found[-1]
        time.sleep(0.001)
    return None


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


@pytest.mark.parametrize("command", LINES)
def test_a_worker_that_is_killed_at_any_instant(command: str, tmp_path: Path) -> None:
    draw = random.Random(command)
    whole = start(LINES[command], tmp_path / "whole")
    began = time.monotonic()
    first = a_worker_of(whole)
    before = time.monotonic() - began
    assert whole.wait() in (0, 1)
    whole.communicate()
    lasted = time.monotonic() - began - before
    if first is None:
        pytest.skip(f"{command} begins no processes here")
    lost = 0
    for number in range(200):  # some kills come too late
        if lost == count(2, 20):
            break
        out = tmp_path / f"run{number}"
        process = start(LINES[command], out)
        worker = a_worker_of(process)
        assert worker is not None
        time.sleep(draw.uniform(0, 0.5 * lasted))
        workers = children_of(process.pid)
        with suppress(ProcessLookupError):
            os.kill(worker, draw.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM]))
        _, said = process.communicate(timeout=120)
        assert "Traceback" not in said
        assert not [each for each in {worker, *workers} if Path(f"/proc/{each}").exists()]
        if process.returncode in (0, 1):  # the worker had done its part
            assert files_of(out) == files_of(tmp_path / "whole")
            continue
        lost += 1
        assert process.returncode == 3, said
        assert said.count("dlrun: process ") == said.count("\ndlrun: ") + said.startswith("dlrun: ") == 1, said
        assert re.search(rf"^dlrun: process {worker}, .*(SIGKILL|SIGSEGV|SIGTERM)", said, re.MULTILINE), said
        again = re.search(r"^go on with: dlrun (.*)$", said, re.MULTILINE)
        if command == "gradcheck":
            continue
        assert again is not None, said
        words = [*shlex.split(again[1]), "--device", "cpu", "--quiet"]
        subprocess.run([sys.executable, "-m", "dlrun", *words], check=True, cwd=tmp_path)
        assert files_of(out) == files_of(tmp_path / "whole")
    assert lost


@pytest.mark.parametrize("command", LINES)
def test_a_run_with_a_stopped_worker_ends_at_once_where_it_is_told_to(command: str, tmp_path: Path) -> None:
    draw, stopped = random.Random(command), 0
    for number in range(200):  # some runs end before
        if stopped == count(1, 20):
            break
        process = start(LINES[command], tmp_path / f"run{number}")
        worker = a_worker_of(process)
        assert worker is not None
        time.sleep(draw.uniform(0, 0.3))
        workers, how = children_of(process.pid), draw.choice([signal.SIGINT, signal.SIGTERM])
        if worker not in workers:
            process.communicate(timeout=60)
            continue
        os.kill(worker, signal.SIGSTOP)
        time.sleep(draw.choice([0, 0.2]))  # at once, or when the parent waits for it
        process.send_signal(how)
        _, said = process.communicate(timeout=30)
        assert not [each for each in workers if Path(f"/proc/{each}").exists()]
        if process.returncode in (0, 1):  # the worker had done its part
            continue
        stopped += 1
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[how], said
        word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[how]
        assert said.splitlines()[-1] == f"dlrun: {word}"
        assert (f"go on with: dlrun {command} " in said) == (command != "gradcheck"), said
        assert "Traceback" not in said
    assert stopped


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path: Path) -> None:
    listed = subprocess.run(
        f"{shlex.quote(sys.executable)} -m dlrun list --json | head -c 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (listed.stdout, listed.stderr) == ("{0\n", "")


def test_a_pipe_of_another_file_is_a_failure(tmp_path: Path) -> None:
    """The reader of standard output is still there, and learns of it."""
    (tmp_path / "t.csv").write_text("x\n" + "".join(f"{n}\n" for n in range(100_000)))
    os.mkfifo(tmp_path / "fifo")
    line = [sys.executable, "-m", "dlrun", "smooth", "t.csv", "--column", "x", "--beta", "0.9", "--out", "fifo"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    with open(tmp_path / "fifo", "rb") as file:
        file.read(10)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3, said
    assert "fifo: broken pipe" in said


def test_a_pipe_of_another_file_is_a_failure_also_where_nobody_reads_the_output(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x\n" + "".join(f"{n}\n" for n in range(100_000)))
    os.mkfifo(tmp_path / "fifo")
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "dlrun", "smooth", "t.csv", "--column", "x", "--beta", "0.9", "--out", "fifo"]
    with os.fdopen(writing, "wb") as nowhere:
        process = subprocess.Popen(line, stdout=nowhere, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    with open(tmp_path / "fifo", "rb") as file:
        file.read(10)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (3, "dlrun: fifo: broken pipe\n")


def test_remarks_that_nobody_reads_do_not_end_a_run(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "dlrun", "train", "iris", "--set", "training.epochs=1", "--out", "run"]
    with os.fdopen(writing, "wb") as nowhere:
        done = subprocess.run(line, stdout=subprocess.PIPE, stderr=nowhere, cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_an_output_that_is_closed_from_the_start_is_no_traceback(closed: str, tmp_path: Path) -> None:
    line = f"{shlex.quote(sys.executable)} -m dlrun list {closed}; echo status $? >status"
    done = subprocess.run(line, shell=True, executable="/bin/bash", capture_output=True, text=True, cwd=tmp_path)
    assert (tmp_path / "status").read_text() == "status 0\n"
    assert "Traceback" not in done.stderr


def test_standard_output_may_be_named_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x\n1\n2\n")
    line = f"{shlex.quote(sys.executable)} -m dlrun smooth t.csv --column x --beta 0.5 --out /dev/stdout | cat"
    done = subprocess.run(line, shell=True, executable="/bin/bash", capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.startswith("x,")
    assert done.stderr.count("\n") <= 1
