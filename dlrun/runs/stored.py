"""Opening the folder of an earlier run, and the model in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import RunError
from dlrun.runs.integrity import refuse_odd_files
from dlrun.runs.summary import SUMMARY, read_summary

if TYPE_CHECKING:
    from dlrun.training.model import TrainedModel

MODEL = "model.safetensors"


@dataclass(frozen=True)
class StoredRun:
    """A finished training run: its folder, what it said at its end, and its model."""

    folder: Path
    summary: dict[str, Any]
    model: TrainedModel
    run_code: bool = False


def open_run(folder: Path, *, run_code: bool = False, check: bool = True) -> StoredRun:
    """The run of `dlrun train` in this folder. RunError says what the folder lacks.

    A folder may come from anybody: the Python functions that its config.toml names are loaded with `run_code` alone.
    With `check`, its files are as the run left them.
    """
    summary = train_summary(folder, check=check)
    if summary.get("status") == "diverged":
        raise RunError(f"{folder}: this training diverged and left no model ({summary.get('reason')})")
    model = _load(folder / MODEL)
    return StoredRun(folder, summary, _with_functions(model, folder) if run_code else model, run_code)


def train_summary(folder: Path, *, check: bool = True) -> dict[str, Any]:
    """What a finished run of `dlrun train` said at its end, also where it diverged."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "there is no such folder"
        raise RunError(f"{folder}: {what}; should be the folder of a run of `dlrun train`")
    summary = read_summary(folder, check=check)
    if summary.get("command") != "train":
        raise RunError(f"{folder}: a run of `dlrun {summary.get('command')}`, which leaves no model; train one")
    return summary


def _with_functions(model: TrainedModel, folder: Path) -> TrainedModel:
    """The model with the user's own functions, where the run has any."""
    from dataclasses import replace

    from dlrun.code_names import is_function
    from dlrun.config import load_experiment
    from dlrun.nn.user_functions import load_functions

    chosen = load_experiment(folder / "config.toml", trusted=True).experiment.model  # --run-code says so
    if model.net is None:
        return model
    activation = chosen.activation if is_function(chosen.activation) else None
    functions = load_functions(cost=chosen.cost, activation=activation)
    return replace(model, net=replace(model.net, functions=functions))


def open_model(path: Path, *, run_code: bool = False, check: bool = True) -> TrainedModel:
    """The model of a run's folder, or of a model file given by itself."""
    if path.is_file():
        return _load(path)
    if path.is_dir() and not (path / SUMMARY).exists() and (path / MODEL).exists():
        refuse_odd_files(path)
        return _load(path / MODEL)  # a model that was copied out of its run
    return open_run(path, run_code=run_code, check=check).model


def _load(path: Path) -> TrainedModel:
    from dlrun.training.model import load_model

    return load_model(path)
