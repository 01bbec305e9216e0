"""Small experiments to search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlrun.config import Experiment, validate
from dlrun.data.dataset import load_dataset
from dlrun.training.problem import Problem

RATES = {"optimizer.learning_rate": {"log_uniform": [1e-3, 1e-1]}}


def experiment(space: dict[str, Any] | None = None, **tables: Any) -> Experiment:
    """Iris with one small hidden layer and three epochs, unless `tables` say otherwise."""
    document: dict[str, Any] = {
        "name": "small",
        "data": {"source": "iris"},
        "model": {"hidden": [5]},
        "training": {"epochs": 3, "batch_size": 16},
    }
    for name, table in tables.items():
        document[name] = {**document.get(name, {}), **table} if isinstance(table, dict) else table
    return validate({**document, "tune": {"space": RATES if space is None else space}}, where="small.toml")


def problem_of(chosen: Experiment) -> Problem:
    data = load_dataset(chosen.data, task=chosen.task, folder=Path.cwd(), seed=chosen.seed)
    return Problem(chosen, data)
