from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data.dataset import load_dataset
from dlrun.training.loop import Training
from dlrun.training.problem import Problem
from dlrun.training.replica import Replica
from dlrun.training.run import TrainRun


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Any:
    """The networks here are too small to share, and the tests run on machines of any size."""
    with threadpool_limits(1, user_api="blas"):
        yield


def experiment_problem(name: str | Path, *overrides: str) -> Problem:
    """An experiment file, or a packaged experiment by its name, on its data."""
    loaded = load_experiment(name, overrides=overrides)
    e = loaded.experiment
    return Problem(e, load_dataset(e.data, task=e.task, folder=loaded.folder, seed=e.seed))


@pytest.fixture(scope="session")
def problem() -> Callable[..., Problem]:
    return experiment_problem


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Problem]:
    """A problem on a table of its own: columns by name, the target as `y`, and overrides."""

    def make(columns: dict[str, Any], *overrides: str) -> Problem:
        names = list(columns)
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(names)] + [",".join("" if v is None else str(v) for v in row) for row in rows]
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
        path = tmp_path / "t.toml"
        path.write_text('name = "t"\n[data]\nsource = "t.csv"\ntarget = "y"\n')
        return experiment_problem(path, *overrides)

    return make


Trained = tuple[dict[int, list[Any]], Any]


def train(problem: Problem, replicas: list[Replica], shared: Any = None, **options: Any) -> Trained:
    """Records by replica, and results by replica, of one stack on a shared store."""
    backend = Backend()
    training = problem.experiment.training
    options = {
        "early_stopping": training.early_stopping,
        "settle": training.stop_when_cost_changes_by,
        **options,
    }
    stack = problem.stack(backend, replicas, shared=shared or problem.shared_rows(backend))
    run = Training(stack, **options)
    records: dict[int, list[Any]] = {r.number: [] for r in replicas}
    for epoch in run:
        for record in epoch:
            records[record.replica].append(record)
    return records, run.results


@pytest.fixture(scope="session")
def trained() -> Callable[..., Trained]:
    return train


@pytest.fixture
def run(backend: Backend) -> Callable[..., tuple[list[Any], TrainRun]]:
    """A whole training, as `dlrun train` does it: records, and the run with its outcome."""

    def go(problem: Problem, **options: Any) -> tuple[list[Any], TrainRun]:
        made = TrainRun(problem, backend, **options)
        return list(made), made

    return go


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)
