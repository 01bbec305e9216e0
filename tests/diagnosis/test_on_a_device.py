"""Checks and layers on the stand-in for CuPy: nothing mixes host and device, and the CPU's result comes out."""

from __future__ import annotations

import numpy as np
import pytest
from backend.strict import StrictBackend

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data.dataset import load_dataset
from dlrun.diagnosis.batch import checked_batch
from dlrun.diagnosis.gradcheck import GradientCheck, check_gradient
from dlrun.diagnosis.layers import compared_initializations
from dlrun.diagnosis.preflight import preflight
from dlrun.training.problem import Problem
from dlrun.training.run import TrainRun

VARIANTS = {
    "plain": ["model.hidden=[5, 4]"],
    "batch normalization and masks": ["model.batch_norm=true", "model.keep_prob=0.8"],
    "penalties": ["regularization.l1=0.3", "regularization.l2=0.1", "model.initialization=zeros"],
    "rbf": ["model.feature_map={name='rbf', count=5, gamma=0.1}"],
}


def begun(backend: Backend, overrides: list[str]) -> TrainRun:
    loaded = load_experiment("iris", overrides=["model.hidden=[6]", *overrides])
    chosen = loaded.experiment
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    return TrainRun(Problem(chosen, dataset), backend)


def checked(backend: Backend, overrides: list[str]) -> GradientCheck:
    batch = checked_batch(begun(backend, overrides), fixed_dropout=True, after_epochs=1)
    return check_gradient(batch.surface(), batch.gradient(), epsilon=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_check_is_that_of_the_cpu(name: str) -> None:
    ours, theirs = (checked(backend, VARIANTS[name]) for backend in (StrictBackend(), Backend()))
    assert ours.passed
    assert [(p.name, p.kinks, p.verdict) for p in ours.parameters] == [
        (p.name, p.kinks, p.verdict) for p in theirs.parameters
    ]
    assert ours.cost == pytest.approx(theirs.cost, rel=1e-5)  # after an epoch in float32
    assert preflight(begun(StrictBackend(), VARIANTS[name])) is not None


def test_layers_are_those_of_the_cpu() -> None:
    found = []
    for backend in (StrictBackend(), Backend()):
        run = begun(backend, ["model.hidden=[5, 4]"])
        found.append(compared_initializations(run.problem, backend, run.split.train))
    for ours, theirs in zip(*found, strict=True):
        assert ours.verdict == theirs.verdict
        np.testing.assert_allclose(
            [each.spread for each in ours.layers], [each.spread for each in theirs.layers], rtol=1e-12
        )
