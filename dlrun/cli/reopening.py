"""A finished run opened again on its own data, without training."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from dlrun.errors import ConfigError, RunError

if TYPE_CHECKING:
    from dlrun.backend import Backend
    from dlrun.cli.stored_run import StoredRun
    from dlrun.data.dataset import Dataset
    from dlrun.data.preprocessing import Preprocessing
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun


def reopened(stored: StoredRun, backend: Backend) -> tuple[TrainRun, str]:
    """The run as it stands after its training; and what is to be said if its data is no longer the same."""
    from dlrun.config import load_experiment
    from dlrun.data.dataset import load_dataset
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun

    loaded = load_experiment(stored.folder / "config.toml")
    experiment = loaded.experiment
    still = experiment.training.model_copy(update={"epochs": 0, "early_stopping": None, "init_from": None})
    experiment = experiment.model_copy(update={"training": still})
    dataset = load_dataset(experiment.data, task=experiment.task, folder=loaded.folder, seed=experiment.seed)
    problem = Problem(experiment, dataset, run_code=stored.run_code)
    changed = ""
    if dataset.hash != stored.summary.get("data_hash"):
        changed = (
            f"the data ({experiment.data.source}) is no longer what this model was trained on: its hash differs. "
            "Rows that it has seen may be in the dev and test parts"
        )
    _check_fit(problem, stored, changed)
    network = experiment.model.kind == "network"
    try:
        return TrainRun(problem, backend, start=stored.model if network else None), changed
    except ConfigError:
        raise RunError(f"{stored.folder}: config.toml and model.safetensors are not of the same run") from None


def _check_fit(problem: Problem, stored: StoredRun, changed: str) -> None:
    """The data must still mean the same columns and classes to the model."""
    prepared, dataset = stored.model.preprocessing, problem.dataset
    kind = problem.experiment.model.kind
    if (prepared.encoding, prepared.classes) == (dataset.encoding, dataset.classes) and kind == stored.model.kind:
        return
    if not changed:
        raise RunError(f"{stored.folder}: config.toml and model.safetensors are not of the same run")
    source, what = problem.experiment.data.source, _first_difference(prepared, dataset)
    raise RunError(
        f"{stored.folder}: its data ({source}) has changed since the training, and no longer fits the model: {what}; "
        "--data FILE measures the model on a table of the same columns"
    )


def _first_difference(prepared: Preprocessing, dataset: Dataset) -> str:
    """What the model knows and the data has not, or the other way round."""
    before, now = ({each.name: each for each in encoding} for encoding in (prepared.encoding, dataset.encoding))
    for name in [*before, *now]:
        if name not in now:
            return f"there is no column {name!r} any more"
        if name not in before:
            return f"there was no column {name!r}"
        if before[name].kind != now[name].kind:
            return f"column {name!r} was {before[name].kind} and is {now[name].kind}"
        if other := set(before[name].categories) ^ set(now[name].categories):
            return f"column {name!r} {_gained_or_lost(min(other), now[name].categories)}"
    if other := set(prepared.classes) ^ set(dataset.classes):
        return f"the target {_gained_or_lost(min(other), dataset.classes)}"
    return "its columns stand in another order"


def _gained_or_lost(value: str, now: Collection[str]) -> str:
    return f"{'now has' if value in now else 'no longer has'} {value!r}"
