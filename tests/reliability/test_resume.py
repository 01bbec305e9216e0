"""Runs that are broken off go on to the same bytes."""

from __future__ import annotations

import json
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reliability.running import count

import dlrun
from dlrun.cli.app import run as dlrun_run
from dlrun.runs.checkpoints import NEWEST, PREVIOUS, Checkpoints
from dlrun.workflows import resuming, train

CASE = [
    "breast_cancer",
    "--set=model.batch_norm=true",
    "--set=model.keep_prob=0.8",
    "--set=training.epochs=40",
    "--set=training.early_stopping.patience=25",
]
FILES = ("metrics.csv", "config.toml")


class StopError(BaseException):
    """Ends a command as a kill would, but inside the test's process."""


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in FILES} | {"model": weights_of(folder)}


def weights_of(folder):
    from safetensors.numpy import load_file

    return {name: value.tobytes() for name, value in sorted(load_file(folder / "model.safetensors").items())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert dlrun_run(["train", *CASE, "--quiet", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def every_epoch(monkeypatch):
    """A checkpoint after each epoch, whatever the clock says."""
    monkeypatch.setattr(Checkpoints, "due", property(lambda self: True))


def test_stopped_after_each_of_its_epochs_a_run_ends_the_same(whole, every_epoch, monkeypatch, tmp_path):
    expected = files_of(whole)
    epochs = json.loads((whole / "summary.json").read_text())["epochs"]
    assert epochs == 40
    same = 0
    for stop in range(1, epochs + 1):
        out = tmp_path / str(stop)
        count = 0

        def note(record, stop=stop):
            nonlocal count
            count += 1
            if count > stop:
                raise StopError
            return ""

        with monkeypatch.context() as patched:
            patched.setattr(train, "_note", note)
            if stop < epochs:
                assert dlrun_run(["train", *CASE, "--quiet", "--out", str(out)]) == 3
                assert not (out / "summary.json").exists()
            else:
                assert dlrun_run(["train", *CASE, "--quiet", "--out", str(out)]) == 0
        assert dlrun_run(["train", "--resume", "--quiet", "--out", str(out)]) == 0
        same += files_of(out) == expected
        assert not (out / NEWEST).exists()
    assert same == 40


FREQUENT = str(Path(__file__).with_name("frequent.py"))


def start(out):
    arguments = [sys.executable, FREQUENT, "train", "blood_fat", "--set=training.epochs=300", "--steps"]
    return subprocess.Popen([*arguments, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def steps_of(folder):
    return files_of(folder) | {"steps.csv": (folder / "steps.csv").read_bytes()}


def test_killed_at_a_random_instant_a_run_resumes_to_the_same_end(tmp_path):
    """By SIGKILL, with a checkpoint after every epoch; most kills must find one, or they would prove nothing."""
    whole = tmp_path / "whole"
    began = time.monotonic()
    process = start(whole)
    process.communicate()
    seconds = time.monotonic() - began
    assert process.returncode == 0
    draw, kept, kills = random.Random(7), 0, count(6, 100)
    for number in range(kills):
        out = tmp_path / f"run-{number}"
        process = start(out)
        time.sleep(draw.uniform(0.3, seconds))
        process.kill()
        process.communicate(timeout=10)
        if not (out / "config.toml").exists():
            continue  # killed before the run had begun
        kept += (out / NEWEST).exists()
        assert dlrun_run(["train", "--resume", "--steps", "--quiet", "--out", str(out)]) == 0
        assert steps_of(out) == steps_of(whole)
    assert 2 * kept >= kills


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(whole, every_epoch, monkeypatch, tmp_path, capsys):
    stop_after(7, tmp_path / "run", monkeypatch)
    newest = tmp_path / "run" / NEWEST
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    newest.write_bytes(damaged)
    capsys.readouterr()
    assert dlrun_run(["train", "--resume", "--out", str(tmp_path / "run")]) == 0
    assert str(newest) in capsys.readouterr().err
    assert files_of(tmp_path / "run") == files_of(whole)


def test_where_both_checkpoints_are_damaged_nothing_is_touched(every_epoch, monkeypatch, tmp_path, capsys):
    out = tmp_path / "run"
    stop_after(7, out, monkeypatch)
    for name in (NEWEST, PREVIOUS):
        (out / name).write_bytes((out / name).read_bytes()[:-3])
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert dlrun_run(["train", "--resume", "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert NEWEST in said
    assert PREVIOUS in said
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def stop_after(epochs, out, monkeypatch):
    count = 0

    def note(record):
        nonlocal count
        count += 1
        if count > epochs:
            raise StopError
        return ""

    with monkeypatch.context() as patched:
        patched.setattr(train, "_note", note)
        assert dlrun_run(["train", *CASE, "--quiet", "--out", str(out)]) == 3


def test_resuming_a_finished_run_does_nothing(whole, capsys):
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert dlrun_run(["train", "--resume", "--out", str(whole)]) == 0
    assert "finished" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


def test_another_experiment_is_not_resumed(whole, capsys):
    assert dlrun_run(["train", "iris", "--resume", "--out", str(whole)]) == 2
    assert "not that of the run" in capsys.readouterr().err


def test_a_change_of_the_machine_is_said(every_epoch, monkeypatch, tmp_path, capsys):
    stop_after(3, tmp_path / "run", monkeypatch)
    monkeypatch.setattr(train, "threads_for", lambda problem, jobs: 2)
    assert dlrun_run(["train", "--resume", "--out", str(tmp_path / "run")]) == 0
    assert "not promised" in capsys.readouterr().err


def test_a_change_of_version_is_said(every_epoch, monkeypatch, tmp_path, capsys):
    stop_after(3, tmp_path / "run", monkeypatch)
    monkeypatch.setattr(dlrun, "__version__", "99.0")
    assert dlrun_run(["train", "--resume", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert "goes on with dlrun 99.0; it is not promised to end as it would have" in said
    assert "threads" not in said  # what is as it was is not mentioned


def test_a_run_does_not_go_on_with_other_data(every_epoch, monkeypatch, tmp_path, capsys):
    table, out = tmp_path / "table.csv", tmp_path / "run"
    lines = ["a,b,y", *(f"{i},{i * i % 7},{'yes' if i % 3 else 'no'}" for i in range(40))]
    table.write_text("\n".join(lines))
    case = ["train", "--data", str(table), "--target", "y", "--set=training.epochs=9", "--quiet", "--out", str(out)]
    count = 0

    def note(record):
        nonlocal count
        count += 1
        if count > 4:
            raise StopError
        return ""

    with monkeypatch.context() as patched:
        patched.setattr(train, "_note", note)
        assert dlrun_run(case) == 3
    table.write_text("\n".join([*lines[:-1], "39,2,yes"]))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    assert dlrun_run(["train", "--resume", "--out", str(out)]) == 2
    assert "the data has changed since the run began" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    table.write_text("\n".join(lines))
    assert dlrun_run(["train", "--resume", "--quiet", "--out", str(out)]) == 0


def test_a_request_without_names_is_bare():
    assert resuming.Request(None).bare
    assert not resuming.Request(None, ["a=1"]).bare
    assert not resuming.Request("iris").bare


def test_stopped_at_each_of_forty_steps_a_run_ends_the_same(tmp_path, every_epoch, monkeypatch):
    """Also in the midst of an epoch: what came after the last checkpoint is done again."""
    from dlrun.optim.stepper import Stepper

    case = ["iris", "--set=training.epochs=8", "--set=training.batch_size=18", "--set=model.keep_prob=0.8"]
    whole, step = tmp_path / "whole", Stepper.step
    assert dlrun_run(["train", *case, "--quiet", "--out", str(whole)]) == 0
    assert json.loads((whole / "summary.json").read_text())["steps"] == 40
    same = 0
    for stop in range(40):
        out, count = tmp_path / str(stop), 0

        def stopping(self, *arguments, stop=stop):
            nonlocal count
            if count == stop:
                raise StopError
            count += 1
            step(self, *arguments)

        with monkeypatch.context() as patched:
            patched.setattr(Stepper, "step", stopping)
            assert dlrun_run(["train", *case, "--quiet", "--out", str(out)]) == 3
        assert dlrun_run(["train", "--resume", "--quiet", "--out", str(out)]) == 0
        same += files_of(out) == files_of(whole)
    assert same == 40


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_the_checkpoint_sound(tmp_path, how):
    out = tmp_path / "run"
    arguments = [sys.executable, "-m", "dlrun", "train", "blood_fat", "--set=training.epochs=200000"]
    process = subprocess.Popen([*arguments, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (out / NEWEST).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(how)
    process.send_signal(how)
    began = time.monotonic()
    process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert process.returncode in {130, 143, -how}
    assert Checkpoints(out).load() is not None


def test_the_files_that_a_run_writes_are_those_of_its_resumption(every_epoch, monkeypatch, tmp_path, capsys):
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(train, "_note", raising_after(7))
        assert dlrun_run(["train", *CASE, "--quiet", "--steps", "--out", str(out)]) == 3
    assert f"dlrun train --steps --resume --out {out}" in capsys.readouterr().err
    assert dlrun_run(["train", "--resume", "--out", str(out)]) == 2
    assert "writes steps.csv; give --steps too" in capsys.readouterr().err
    assert dlrun_run(["train", "--resume", "--steps", "--quiet", "--out", str(out)]) == 0
    other = tmp_path / "other"
    stop_after(7, other, monkeypatch)
    assert dlrun_run(["train", "--resume", "--steps", "--out", str(other)]) == 2
    assert "began without --steps" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "crossval --folds 3 --jobs 1"])
def test_the_printed_line_goes_on_with_a_run_of_the_user_s_code(command, monkeypatch, tmp_path, capsys):
    """The experiment is named in it, for the code of a run's folder is never run unasked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.py").write_text("from dlrun import graph as g\n\n\ndef act(z):\n    return g.tanh(z)\n")
    (tmp_path / "e.toml").write_text('[data]\nsource = "iris"\n[model]\nactivation = "f.py:act"\n')
    monkeypatch.setattr("dlrun.runs.folder.RunFolder.write_json", raising_after(0))
    line = [*command.split(), "e.toml", "--set=training.epochs=3"]
    assert dlrun_run([*line, "--quiet", "--out", "run"]) == 3
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    said = next(each for each in capsys.readouterr().err.splitlines() if each.startswith("go on with: dlrun "))
    assert dlrun_run([*shlex.split(said.removeprefix("go on with: dlrun ")), "--quiet"]) == 0


def raising_after(calls):
    """A function that ends the command when it is called once more."""
    left = [calls]

    def call(*arguments):
        if not left[0]:
            raise StopError
        left[0] -= 1
        return ""

    return call
