"""Cross-validation, holdout and bootstrap that are broken off go on to the same bytes."""

from __future__ import annotations

import json

import pytest

import dlrun
from dlrun.cli.app import run as dlrun_run
from dlrun.resampling.progress import EpochProgress
from dlrun.runs.checkpoints import Checkpoints

MODEL = [
    "breast_cancer",
    "--set=model.hidden=[8]",
    "--set=model.keep_prob=0.8",
    "--set=training.epochs=12",
    "--set=training.early_stopping.patience=4",
    "--set=optimizer.learning_rate=0.02",
]
COMMANDS = {
    "crossval": ["--folds", "5", "--repeats", "2"],
    "holdout": ["--repeats", "4", "--test-size", "0.3"],
    "bootstrap": ["--samples", "12"],
}


class StopError(BaseException):
    """Ends a command as a kill would, but inside the test's process."""


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".csv", ".toml")}


@pytest.fixture(scope="module", params=COMMANDS)
def whole(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "run"
    line = [request.param, *MODEL, *COMMANDS[request.param], "--jobs", "1"]
    assert dlrun_run([*line, "--quiet", "--out", str(folder)]) == 0
    return line, folder


def break_off(line, out, stop, monkeypatch):
    """Run the command until its first stacks have trained for so many epochs, with a checkpoint after each."""
    count, update = 0, EpochProgress.update

    def stopping(self, *arguments):
        nonlocal count
        count += 1
        if count > stop:
            raise StopError
        return update(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "due", property(lambda self: True))
        patched.setattr(EpochProgress, "update", stopping)
        assert dlrun_run([*line, "--quiet", "--out", str(out)]) == 3


@pytest.mark.parametrize("stop", [1, 2, 4, 6])
def test_broken_off_after_some_epochs_it_ends_the_same(whole, stop, monkeypatch, tmp_path):
    (line, folder), out = whole, tmp_path / "run"
    break_off(line, out, stop, monkeypatch)
    assert not (out / "summary.json").exists()
    assert list(out.glob("checkpoint-*"))
    assert dlrun_run([*line, "--quiet", "--resume", "--out", str(out)]) == 0
    assert files_of(out) == files_of(folder)
    assert not list(out.glob("checkpoint-*"))
    summaries = [json.loads((each / "summary.json").read_text()) for each in (folder, out)]
    for summary in summaries:
        for timing in ("seconds", "training_seconds"):
            del summary[timing]
    assert summaries[0] == summaries[1]


def test_other_options_are_refused(whole, capsys):
    line, folder = whole
    command = line[0]
    other = {"crossval": ["--folds", "4"], "holdout": ["--repeats", "3"], "bootstrap": ["--samples", "7"]}[command]
    assert dlrun_run([command, *other, "--resume", "--out", str(folder)]) == 2
    assert f"begun by `dlrun {command} config.toml" in capsys.readouterr().err


def test_a_damaged_checkpoint_of_a_stack_is_named_also_where_processes_read_it(whole, monkeypatch, tmp_path, capsys):
    (line, folder), out = whole, tmp_path / "run"
    break_off(line, out, 4, monkeypatch)
    newest = next(path for path in out.glob("checkpoint-*") if "previous" not in path.name)
    newest.write_bytes(newest.read_bytes()[:-9])
    capsys.readouterr()
    assert dlrun_run([*line[:-1], "2", "--resume", "--out", str(out)]) == 0
    assert f"warning: {newest}: the checkpoint is damaged" in capsys.readouterr().err
    assert files_of(out) == files_of(folder)


def test_a_stack_with_nothing_readable_stops_the_run_before_it_touches_anything(whole, monkeypatch, tmp_path, capsys):
    (line, _), out = whole, tmp_path / "run"
    break_off(line, out, 4, monkeypatch)
    for path in out.glob("checkpoint-*"):
        path.write_bytes(b"")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert dlrun_run([*line, "--resume", "--out", str(out)]) == 2
    assert "is damaged" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_change_of_version_is_said_once(whole, monkeypatch, tmp_path, capsys):
    (line, folder), out = whole, tmp_path / "run"
    break_off(line, out, 4, monkeypatch)
    monkeypatch.setattr(dlrun, "__version__", "99.0")
    capsys.readouterr()
    assert dlrun_run([*line, "--resume", "--out", str(out)]) == 0
    assert capsys.readouterr().err.count("goes on with dlrun 99.0") == 1
    assert files_of(out) == files_of(folder)


def test_a_run_of_another_command_is_not_resumed(whole, monkeypatch, tmp_path, capsys):
    (line, folder), out = whole, tmp_path / "run"
    break_off(line, out, 4, monkeypatch)
    for command in {"train", "tune", "crossval", "holdout"} - {line[0]}:
        for where in (out, folder):
            before = {path.name: path.read_bytes() for path in where.iterdir()}
            capsys.readouterr()
            assert dlrun_run([command, "--resume", "--out", str(where)]) == 2, (command, where)
            assert f"holds a run of `dlrun {line[0]}`" in capsys.readouterr().err
            assert {path.name: path.read_bytes() for path in where.iterdir()} == before
