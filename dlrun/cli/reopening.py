"""A finished run opened again on its own data, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlrun.errors import ConfigError, RunError

if TYPE_CHECKING:
    from dlrun.backend import Backend
    from dlrun.cli.stored_run import StoredRun
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
    why = changed or "config.toml and model.safetensors are not of the same run"
    raise RunError(
        f"{stored.folder}: the model does not fit its data, whose columns, categories or classes are others: {why}"
    )
