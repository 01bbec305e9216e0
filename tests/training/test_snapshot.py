"""A training restored from a checkpoint goes on bit for bit; a damaged checkpoint is never taken for a sound one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data.dataset import load_dataset
from dlrun.errors import RunError
from dlrun.resampling.splitters import k_fold
from dlrun.runs.checkpoints import NEWEST, PREVIOUS, Checkpoints
from dlrun.training.loop import Training
from dlrun.training.problem import Problem
from dlrun.training.snapshot import decode, encode, restore, snapshot

OVERRIDES = (
    "model.hidden=[12]",
    "model.batch_norm=true",
    "model.keep_prob=0.8",
    "training.early_stopping.patience=3",
    "optimizer.learning_rate=0.02",
    "training.epochs=40",
    "training.batch_size=64",
)


@pytest.fixture(scope="module")
def problem():
    loaded = load_experiment("breast_cancer", overrides=OVERRIDES)
    e = loaded.experiment
    return Problem(e, load_dataset(e.data, task=e.task, folder=loaded.folder, seed=e.seed))


def make(problem):
    """Six replicas of unequal epochs, with rows of their own to stop early by; some leave the stack on the way."""
    backend = Backend()
    splits = k_fold(len(problem.dataset), folds=6, strata=problem.dataset.target)
    replicas = [problem.replica(s.train[:-60], s.train[-60:], s.test, number=i) for i, s in enumerate(splits)]
    stack = problem.stack(backend, replicas, shared=problem.shared_rows(backend))
    return Training(stack, early_stopping=problem.experiment.training.early_stopping)


def test_a_training_stopped_after_any_epoch_ends_as_if_it_had_not_been(problem):
    whole = make(problem)
    expected = list(whole)
    assert len({result.epochs for result in whole.results.values()}) > 1, "replicas should leave at different epochs"
    states = []
    first = make(problem)
    for records in first:
        states.append((len(states) + 1, records, encode(*snapshot(first))))
    for stopped, _, state in states:
        resumed = make(problem)
        restore(resumed, *decode(state))
        rest = list(resumed)
        assert repr([records for _, records, _ in states[:stopped]] + rest) == repr(expected)
        for number, result in whole.results.items():
            assert resumed.results[number].theta.tobytes() == result.theta.tobytes()
            assert resumed.results[number].statistics.tobytes() == result.statistics.tobytes()
            assert resumed.results[number].epoch == result.epoch


def test_every_flipped_byte_and_every_truncation_is_noticed(problem):
    training = make(problem)
    next(iter(training))
    state = encode(*snapshot(training))
    decode(state)
    draw = random.Random(0)
    for _ in range(200):
        damaged = bytearray(state)
        damaged[draw.randrange(len(state))] ^= 1 << draw.randrange(8)
        with pytest.raises(ValueError, match=r"it |its "):
            decode(bytes(damaged))
    for _ in range(200):
        with pytest.raises(ValueError, match=r"it |its "):
            decode(state[: draw.randrange(len(state))])


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load() is None
    for epoch in (1, 2, 3):
        checkpoints.save({"theta": np.full(3, epoch)}, {"epoch": epoch})
    assert checkpoints.load()[1]["epoch"] == 3
    (tmp_path / NEWEST).write_bytes((tmp_path / NEWEST).read_bytes()[:-1])
    tensors, values, damaged = checkpoints.load()
    assert values["epoch"] == 2
    assert tensors["theta"].tolist() == [2, 2, 2]
    assert len(damaged) == 1
    assert NEWEST in damaged[0]
    (tmp_path / PREVIOUS).write_bytes(b"not a checkpoint")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunError, match=PREVIOUS):
        checkpoints.load()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_checkpoint_of_another_experiment_is_refused(problem):
    training = make(problem)
    next(iter(training))
    tensors, values = snapshot(training)
    with pytest.raises(RunError, match="another experiment"):
        restore(make(problem), tensors | {"theta": tensors["theta"][:, 1:]}, values)
    with pytest.raises(RunError, match="another experiment"):
        restore(make(problem), tensors | {"numbers": tensors["numbers"] + 100}, values)
