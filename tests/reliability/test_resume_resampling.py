"""Cross-validation, holdout and bootstrap that are broken off go on to the same bytes."""

from __future__ import annotations

import json

import pytest

from dlrun.cli.app import run as dlrun_run
from dlrun.reporting.checkpoints import Checkpoints
from dlrun.resampling.progress import EpochProgress

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


@pytest.mark.parametrize("stop", [1, 2, 4, 6])
def test_broken_off_after_some_epochs_it_ends_the_same(whole, stop, monkeypatch, tmp_path):
    line, folder = whole
    monkeypatch.setattr(Checkpoints, "due", property(lambda self: True))
    out, count, update = tmp_path / "run", 0, EpochProgress.update

    def stopping(self, *arguments):
        nonlocal count
        count += 1
        if count > stop:
            raise StopError
        return update(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(EpochProgress, "update", stopping)
        assert dlrun_run([*line, "--quiet", "--out", str(out)]) == 3
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
