"""A disk that is full, at every write in turn; folders that nobody may write to; files that may not grow."""

from __future__ import annotations

import csv
import ctypes
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reliability.cases import tree
from reliability.full_disk import Disk, filling
from reliability.running import Dlrun, count

from dlrun.runs.checkpoints import NEWEST, PREVIOUS, Checkpoints

SHORT = ("--set", "training.epochs=3", "--quiet")
COMMANDS = {
    "train": ("train", "xor", "--device", "cpu", "--out", "out", *SHORT),
    "crossval": ("crossval", "iris", "--folds", "2", "--jobs", "1", "--out", "out", *SHORT),
    "holdout": ("holdout", "iris", "--repeats", "2", "--jobs", "1", "--out", "out", *SHORT),
    "bootstrap": ("bootstrap", "iris", "--samples", "2", "--jobs", "1", "--out", "out", *SHORT),
    "tune": ("tune", "iris", "--trials", "2", "--jobs", "1", "--out", "out", *SHORT),
    "gradcheck": ("gradcheck", "xor", "--out", "out", "--quiet"),
    "minimize": ("minimize", "w**2", "--steps", "3", "--out", "path.csv", "--quiet"),
    "predict": ("predict", "run", "--data", "t.csv", "--device", "cpu", "--out", "answers.csv", "--quiet"),
    "smooth": ("smooth", "t.csv", "--column", "petal_length", "--beta", "0.5", "--out", "smooth.csv", "--quiet"),
    "plot": ("plot", "run", "--kind", "cost", "--out", "plot.svg", "--quiet"),
    "report": ("report", "run", "--out", "report.html", "--quiet"),
    "diagnose": ("diagnose", "run", "--quiet", "--out", "out"),
}
# What stays when a write fails: rows that were complete, and what a resumption needs.
ROWS = (".csv", ".jsonl")


@pytest.fixture
def folder(here: Path, trained: Path) -> Path:
    """A run, a table, and a file that is nobody's business."""
    shutil.copytree(trained, here / "run")
    header = "sepal_length,sepal_width,petal_length,petal_width,species\n"
    (here / "t.csv").write_text(header + "5.1,3.5,1.4,0.2,setosa\n6.2,2.9,4.3,1.3,versicolor\n" * 4)
    (here / "mine.txt").write_text("precious")
    return here


def clean(here: Path, before: dict[str, object]) -> None:
    """Back to how it was."""
    for name in set(tree(here)) - set(before):
        path = here / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def check_leftovers(here: Path, before: dict[str, object]) -> None:
    """No temporary file, no summary; nothing that was there is changed; CSV files hold complete rows alone."""
    after = tree(here)
    assert {name: after.get(name) for name in before} == before
    for name in set(after) - set(before):
        assert "dlrun-tmp" not in name
        assert not name.endswith(("summary.json", "model.safetensors")) or json_or_model(here / name)
        if name.endswith(".csv"):
            text = (here / name).read_bytes()
            assert not text or text.endswith(b"\n"), name
            rows = list(csv.reader(text.decode().splitlines()))
            assert len({len(row) for row in rows}) <= 1


def json_or_model(path: Path) -> bool:
    """Whether the file is whole."""
    if path.suffix == ".json":
        return bool(json.loads(path.read_text()))
    from safetensors.numpy import load_file

    return bool(load_file(path))


@pytest.mark.parametrize("partial", [False, True], ids=["nothing-written", "half-written"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_at_every_write_in_turn(command: str, partial: bool, dlrun: Dlrun, folder: Path) -> None:
    if not partial and command != "train" and not count(0, 1):
        pytest.skip("make soak")
    before = tree(folder)
    with filling(Disk(folder)) as sound:
        result = dlrun(*COMMANDS[command])
    assert result.status == 0, result.stderr
    clean(folder, before)
    assert len(sound.calls) >= 2
    places = range(len(sound.calls))
    for at in places if len(places) <= count(25, 1000) else sorted({*places[:12], *places[-12:], len(places) // 2}):
        with filling(Disk(folder, at=at, partial=partial)) as disk:
            result = dlrun(*COMMANDS[command])
        where = sound.calls[at]
        assert result.status == 3, (where, result)
        assert result.stdout == "", where
        lines = [line for line in result.stderr.splitlines() if line.startswith("dlrun: ")]
        assert len(lines) == 1, (where, result.stderr)
        assert re.fullmatch(r"dlrun: [^:]+: no space left on device", lines[0]), (where, lines)  # and which file
        assert "dlrun-tmp" not in lines[0]
        assert "Traceback" not in result.stderr
        assert len(disk.calls) > at
        check_leftovers(folder, before)
        clean(folder, before)
    assert dlrun(*COMMANDS[command]).status == 0


@pytest.mark.parametrize("partial", [False, True], ids=["nothing-written", "half-written"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one_as_it_was(here: Path, partial: bool) -> None:
    checkpoints = Checkpoints(here)
    for step in (1, 2):
        checkpoints.save({"theta": np.full(1000, step, np.float32)}, {"step": step})
    old = (here / NEWEST).read_bytes()
    with filling(Disk(here)) as sound:
        checkpoints.save({"theta": np.full(1000, 3.0, np.float32)}, {"step": 3})
    assert (here / PREVIOUS).read_bytes() == old
    assert {call.split()[0] for call in sound.calls} == {"open", "write", "fsync", "link", "replace"}
    for at in range(len(sound.calls) - 1):  # the last flushes the folder, when all is in place
        before = (here / NEWEST).read_bytes()
        with filling(Disk(here, at=at, partial=partial)), pytest.raises(OSError, match="No space left"):
            checkpoints.save({"theta": np.full(1000, 4.0, np.float32)}, {"step": 4})
        assert (here / NEWEST).read_bytes() == before, sound.calls[at]
        assert (here / PREVIOUS).read_bytes() in (old, before)
        assert {path.name for path in here.iterdir()} == {NEWEST, PREVIOUS}


def test_where_there_are_no_hard_links_the_last_two_checkpoints_are_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    checkpoints = Checkpoints(here)
    for step in (1, 2, 3):
        checkpoints.save({"theta": np.zeros(3)}, {"step": step})
    (here / NEWEST).write_bytes(b"")
    found = checkpoints.load()
    assert found is not None
    assert found[1]["step"] == 2


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.EIO, errno.EROFS])
def test_other_failures_of_the_disk(code: int, dlrun: Dlrun, folder: Path) -> None:
    before = tree(folder)
    for at in (0, 3, 6):
        with filling(Disk(folder, at=at, code=code)):
            result = dlrun(*COMMANDS["train"])
        assert result.status == 3, result
        assert os.strerror(code).lower()[1:] in result.stderr
        check_leftovers(folder, before)
        clean(folder, before)


def test_overwriting_on_a_full_disk_keeps_what_is_not_the_run_s(dlrun: Dlrun, folder: Path) -> None:
    (folder / "run" / "notes.txt").write_text("mine")
    with filling(Disk(folder, at=2)):
        result = dlrun("train", "xor", "--out", "run", "--overwrite", "--device", "cpu", *SHORT)
    assert result.status == 3
    assert (folder / "run" / "notes.txt").read_text() == "mine"
    assert not (folder / "run" / "summary.json").exists()  # the folder does not pass for a finished run


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    [
        ("minimize", "w**2", "--steps", "3", "--out", "/dev/full"),
        ("predict", "run", "--data", "t.csv", "--device", "cpu", "--out", "/dev/full"),
        ("smooth", "t.csv", "--column", "petal_length", "--beta", "0.5", "--out", "/dev/full"),
        ("plot", "run", "--kind", "cost", "--out", "full.svg"),
    ],
    ids=lambda words: words[0],
)
def test_dev_full(arguments: tuple[str, ...], dlrun: Dlrun, folder: Path) -> None:
    (folder / "full.svg").symlink_to("/dev/full")
    before = tree(folder)
    result = dlrun(*arguments)
    assert result.status == 3, result
    assert "no space left on device" in result.stderr
    assert tree(folder) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [("list",), ("show",), ("info", "--json"), ("minimize", "w**2")], ids=" ".join)
def test_standard_output_on_a_full_disk(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        program = [sys.executable, "-m", "dlrun", *arguments]
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (3, "dlrun: no space left on device\n")


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from dlrun.cli.app import run
for limit in map(int, sys.argv[1].split(",")):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    print(limit, run([*sys.argv[2:], "--out", f"out{limit}"]), flush=True)
"""


def test_files_that_may_not_grow(folder: Path) -> None:
    """RLIMIT_FSIZE at sizes that stop each file of a run in turn."""
    limits = [0, 1, 100, 700, 1000, 1500, 2000]
    line = ["train", "iris", "--device", "cpu", "--set", "training.epochs=20", "--quiet"]
    program = [sys.executable, "-c", LIMITED, ",".join(map(str, limits)), *line]
    before = tree(folder)
    done = subprocess.run(program, capture_output=True, text=True, cwd=folder, check=True, timeout=60)
    assert done.stdout.split()[1::2] == ["3"] * len(limits), done
    told_lines = [line for line in done.stderr.splitlines() if not line.startswith("go on with: ")]
    assert len(told_lines) == len(limits)
    for limit, told in zip(limits, told_lines, strict=True):
        assert f"out{limit}" in told
        assert told.endswith("file too large")
        assert not (folder / f"out{limit}" / "summary.json").exists()
    check_leftovers(folder, before)


# -- folders that nobody may write to --------------------------------------------------------------


def without_privilege() -> None:
    """In a child: give up what lets a superuser write everywhere (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP, in force from the next exec on


def unprivileged(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user for whom the permissions of files hold."""
    drop = without_privilege if os.getuid() == 0 else None
    program = [sys.executable, "-m", "dlrun", *arguments]
    return subprocess.run(program, capture_output=True, text=True, cwd=folder, check=False, timeout=60, preexec_fn=drop)


@pytest.fixture
def locked(folder: Path) -> Path:
    """The folder, open for reading and not for writing."""
    (folder / "closed").mkdir()
    (folder / "secret.csv").write_text("a,y\n1,2\n")
    (folder / "secret.toml").write_text('data.source = "iris"\n')
    for path in (folder / "secret.csv", folder / "secret.toml"):
        path.chmod(0)
    for path in (folder / "closed", folder / "run", folder):
        path.chmod(0o555)
    return folder


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (("train", "xor"), "runs"),
        (("train", "xor", "--out", "new"), "new"),
        (("train", "xor", "--out", "closed"), "closed/.lock"),
        (("train", "xor", "--out", "closed/new"), "closed/new"),
        (("train", "xor", "--out", "run", "--overwrite"), "run/"),
        (("crossval", "iris", "--folds", "2", "--out", "new"), "new"),
        (("gradcheck", "xor", "--out", "new"), "new"),
        (("tune", "iris", "--trials", "1", "--out", "new"), "new"),
        (("minimize", "w**2", "--steps", "1", "--out", "path.csv"), "path.csv"),
        (("predict", "run", "--data", "t.csv", "--out", "answers.csv"), "answers.csv"),
        (("train", "--data", "secret.csv", "--target", "y"), "secret.csv"),
        (("train", "secret.toml"), "secret.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_unwritable_folder(arguments: tuple[str, ...], place: str, locked: Path) -> None:
    before = tree(locked)
    done = unprivileged(locked, *arguments)
    assert done.returncode in (2, 3), done
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert place in line
    assert "permission denied" in line.lower()
    assert tree(locked) == before
