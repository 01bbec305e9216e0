"""Whole trainings on the stand-in for CuPy: nothing mixes host and device, and the CPU's result comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend.strict import StrictBackend

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data import load_dataset
from dlrun.training.problem import Problem
from dlrun.training.run import TrainRun

SMALL = ["training.epochs=3", "model.hidden=[7, 5]", "model.dtype=float64", "training.batch_size=32"]
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "softmax regression": ("iris", ["model.hidden=[]"]),
    "layers of every kind": ("iris", ["model.batch_norm=true", "model.keep_prob=0.8", "model.activation=tanh"]),
    "penalties and clipping": (
        "iris",
        ["regularization.l2=0.1", "regularization.l1=0.1", "optimizer.clip_norm=1", "optimizer.clip_value=0.5"],
    ),
    "binary": ("breast_cancer", ["model.activation=leaky_relu", "optimizer.name=momentum"]),
    "regression with missing values": ("diabetes", ["model.activation=sigmoid", "data.missing=mean"]),
    "polynomial": ("diabetes", ["model.hidden=[]", 'model.feature_map={name="polynomial", degree=2}']),
    "rbf": ("iris", ["model.hidden=[]", 'model.feature_map={name="rbf", count=9, gamma=0.1}']),
    "full batches, AdamW": ("iris", ["training.batch_size=full", "optimizer.name=adamw", "optimizer.weight_decay=0.1"]),
}


def trained(backend: Backend, source: str, overrides: list[str]) -> tuple[list[Any], Any]:
    loaded = load_experiment(source, overrides=[*SMALL, *overrides])
    experiment = loaded.experiment
    dataset = load_dataset(experiment.data, task=experiment.task, folder=Path.cwd(), seed=experiment.seed)
    run = TrainRun(Problem(experiment, dataset), backend)
    return list(run), run.outcome


@pytest.mark.parametrize("name", VARIANTS)
def test_a_training_on_the_stand_in_is_that_of_the_cpu(name: str) -> None:
    source, overrides = VARIANTS[name]
    on_strict, outcome = trained(StrictBackend(), source, overrides)
    on_cpu, expected = trained(Backend(), source, overrides)
    assert len(on_strict) == len(on_cpu) > 0
    for ours, theirs in zip(on_strict, on_cpu, strict=True):
        assert ours.figures["train"].cost == pytest.approx(theirs.figures["train"].cost, rel=1e-9)
    np.testing.assert_allclose(outcome.result.theta, expected.result.theta, rtol=1e-8, atol=1e-10)
    for part, figures in expected.figures.items():
        assert outcome.figures[part].cost == pytest.approx(figures.cost, rel=1e-9)
