"""A finished run opened again on its own data, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlrun.errors import ConfigError, RunError

if TYPE_CHECKING:
    from dlrun.backend import Backend
    from dlrun.data.dataset import Dataset
    from dlrun.data.preprocessing import Preprocessing
    from dlrun.runs.stored import StoredRun
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun


def reopened(stored: StoredRun, backend: Backend) -> tuple[TrainRun, str]:
    """The run as it stands after its training; and what is to be said if its data is no longer the same."""
    from dlrun.config import load_experiment
    from dlrun.data.dataset import load_dataset
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun

    loaded = load_experiment(stored.folder / "config.toml", trusted=stored.run_code)
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
    _check_fit(problem, stored, changed=bool(changed))
    network = experiment.model.kind == "network"
    try:
        return TrainRun(problem, backend, start=stored.model if network else None), changed
    except ConfigError:
        raise RunError(f"{stored.folder}: config.toml and model.safetensors are not of the same run") from None


def _check_fit(problem: Problem, stored: StoredRun, *, changed: bool) -> None:
    """The data must still mean the same columns and classes to the model."""
    prepared, dataset = stored.model.preprocessing, problem.dataset
    kind = problem.experiment.model.kind
    if (prepared.encoding, prepared.classes) == (dataset.encoding, dataset.classes) and kind == stored.model.kind:
        return
    if not changed or kind != stored.model.kind:
        raise RunError(f"{stored.folder}: config.toml and model.safetensors are not of the same run")
    raise RunError(
        f"{stored.folder}: the data ({problem.experiment.data.source}) is no longer what this model was trained on: "
        f"{_first_difference(prepared, dataset)}; put the old table back, or measure the model on another one with "
        f"dlrun evaluate {stored.folder} --data FILE"
    )


def _first_difference(before: Preprocessing, now: Dataset) -> str:
    """The first column, category or class that is another than the model knows."""
    known, found = {each.name: each for each in before.encoding}, {each.name: each for each in now.encoding}
    if told := _gone_or_new("column", list(known), list(found)):
        return told
    for name, column in known.items():
        if column.kind != found[name].kind:
            return f"the column {name!r} was {column.kind} and is {found[name].kind}"
        if told := _gone_or_new("category", column.categories, found[name].categories):
            return f"in the column {name!r} {told}"
    if before.task != now.task:
        return f"the target {now.target_name!r} made it a {before.task}, and makes it a {now.task}"
    if told := _gone_or_new("class", before.classes, now.classes):
        return f"in the target {now.target_name!r} {told}"
    return "its columns are in another order"


def _gone_or_new(what: str, before: Sequence[str], now: Sequence[str]) -> str:
    gone, new = ([each for each in a if each not in set(b)] for a, b in ((before, now), (now, before)))
    parts = [f"the {what} {gone[0]!r} is gone"] if gone else []
    parts += [f"the {what} {new[0]!r} is new"] if new else []
    return " and ".join(parts)
