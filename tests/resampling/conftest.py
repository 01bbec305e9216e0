from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from dlrun.config import load_experiment
from dlrun.data.dataset import load_dataset
from dlrun.training.problem import Problem


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Any:
    """As the commands hold it."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def problem() -> Callable[..., Problem]:
    """A packaged experiment, or a file, with overrides, on its data."""

    def make(name: str | Path, *overrides: str) -> Problem:
        loaded = load_experiment(name, overrides=overrides)
        e = loaded.experiment
        return Problem(e, load_dataset(e.data, task=e.task, folder=loaded.folder, seed=e.seed))

    return make


@pytest.fixture
def table(tmp_path: Path, problem: Callable[..., Problem]) -> Callable[..., Problem]:
    """A problem on a table of its own: columns by name, None where missing, the target as `y`."""

    def make(columns: dict[str, Any], *overrides: str) -> Problem:
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns)] + [",".join("" if v is None else str(v) for v in row) for row in rows]
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
        path = tmp_path / "t.toml"
        path.write_text('name = "t"\n[data]\nsource = "t.csv"\ntarget = "y"\n')
        return problem(path, *overrides)

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)
