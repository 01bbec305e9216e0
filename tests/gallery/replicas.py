"""An experiment of the gallery trained several times at once: each replica has its own split, weights and order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data.dataset import load_dataset
from dlrun.data.splits import split_rows, strata_of
from dlrun.training.loop import Training
from dlrun.training.problem import Problem
from dlrun.training.stack import Stack

FloatArray = npt.NDArray[np.float64]


@dataclass
class Trained:
    """R replicas after training. `figures[part, what]` (epochs, R), what being cost or error."""

    problem: Problem
    stack: Stack
    figures: dict[tuple[str, str], FloatArray]
    batch_costs: list[FloatArray]  # of each replica, all its steps in order
    paths: list[FloatArray] | None  # of each replica (steps, P), of networks with few parameters
    status: list[str]
    theta: FloatArray

    def last(self, part: str, what: str) -> FloatArray:
        """(R,) after the last epoch; infinite for a replica that diverged."""
        values = self.figures[part, what][-1]
        return np.where([status == "diverged" for status in self.status], np.inf, values)


def problem_of(name: str, *overrides: str) -> Problem:
    loaded = load_experiment(name, overrides=overrides)
    e = loaded.experiment
    return Problem(e, load_dataset(e.data, task=e.task, folder=loaded.folder, seed=e.seed))


def trained(name: str, *overrides: str, replicas: int = 10) -> Trained:
    """Train `replicas` of the experiment as one stack; their splits differ too."""
    p = problem_of(name, *overrides)
    e = p.experiment
    strata = strata_of(p.dataset) if e.data.split.stratify else None
    members = []
    for r in range(replicas):
        split = split_rows(len(p.dataset), e.data.split, seed=r, strata=strata, groups=p.dataset.groups)
        members.append(p.replica(split.train, split.dev, split.test, number=r))
    stack = p.stack(Backend(), members)
    run = Training(stack, settle=e.training.stop_when_cost_changes_by, record_steps=True)
    curves: dict[tuple[str, str], list[list[float]]] = {}
    costs: list[list[FloatArray]] = [[] for _ in members]
    ways: list[list[FloatArray]] = [[] for _ in members]
    for records in run:
        by_replica = {record.replica: record for record in records}
        parts = sorted({part for record in records for part in record.figures})
        for part in parts:
            for what in ("cost", "error"):
                row = [
                    getattr(by_replica[r].figures[part], what) if r in by_replica else np.nan for r in range(replicas)
                ]
                curves.setdefault((part, what), []).append(row)
        for r, record in by_replica.items():
            assert record.steps is not None
            costs[r].append(record.steps.cost)
            if record.steps.theta is not None:
                ways[r].append(record.steps.theta)
    return Trained(
        problem=p,
        stack=stack,
        figures={key: np.array(rows) for key, rows in curves.items()},
        batch_costs=[np.concatenate(each or [np.zeros(0)]) for each in costs],
        paths=[np.concatenate(each) for each in ways] if all(ways) else None,
        status=[run.results[r].status for r in range(replicas)],
        theta=np.stack([np.asarray(run.results[r].theta, np.float64) for r in range(replicas)]),
    )


def hidden_values(run: Trained, replica: int, rows: Any) -> list[tuple[FloatArray, FloatArray]]:
    """z and a of every hidden layer on the given rows, in evaluation mode, without batch normalization."""
    net, data = run.stack.net, run.problem.dataset
    n = run.problem.normalization([r.train for r in run.stack.replicas])
    a = n.apply(data.features[rows], replica)
    g = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
    views = {name: value[0] for name, value in net.views(run.theta[replica][None]).items()}
    found = []
    for layer in range(1, len(net.hidden) + 1):
        z = a @ views[f"W{layer}"] + views[f"b{layer}"]
        a = g[net.activation](z)
        found.append((z, a))
    return found
