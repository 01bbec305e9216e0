"""The bar counts each replica's epochs once, whatever happens to its stack."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.records import EpochRecord
from dlrun.resampling.progress import EpochProgress
from dlrun.resampling.run import ResamplingRun
from dlrun.resampling.splitters import k_fold
from dlrun.training.replica import Replica

NOBODY = np.zeros(0, np.int64)


def progress(groups, epochs=10):
    replicas = [Replica(number=n, seed=0, train=NOBODY, epochs=epochs) for group in groups for n in group]
    return EpochProgress(replicas, groups)


def records(epoch, *numbers):
    return [EpochRecord(number, epoch, 0, 0.1, 0.0, {}) for number in numbers]


def test_an_early_leaver_counts_with_all_its_epochs():
    p = progress([[0, 1], [2]])
    assert p.total == 30
    assert [p.update(records(1, 0, 1)), p.update(records(2, 0, 1))] == [2, 2]
    assert p.update(records(3, 1)) == 1 + 8  # replica 0 left after epoch 2
    assert p.finished == 1
    assert p.update(records(1, 2)) == 1
    assert p.update(records(2, 2), answered={0, 1}) == 1 + 7
    assert p.update([], answered={0, 1, 2}) == 8
    assert p.finished == 3


def test_a_stack_that_begins_again_in_halves_is_counted_anew():
    p = progress([[0, 1, 2, 3]])
    done = [p.update(records(epoch, 0, 1, 2, 3)) for epoch in (1, 2, 3)]
    done.append(p.update(records(1, 0, 1)))
    assert done == [4, 4, 4, -4]  # two of them go back from 3 to 1
    done += [p.update(records(epoch, 0, 1)) for epoch in range(2, 11)]
    done += [p.update(records(epoch, 2, 3)) for epoch in range(1, 11)]
    done.append(p.update([], answered=range(4)))
    assert sum(done) == p.total == 40
    assert p.finished == 4


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_comes_to_its_total(problem, monkeypatch, jobs):
    monkeypatch.setattr("dlrun.training.stacking.FORK_SECONDS", -1e9)  # processes seem to pay
    overrides = ("model.hidden=[5]", "training.epochs=30", "training.early_stopping.patience=2")
    run = ResamplingRun(problem("wine", *overrides), Backend(), k_fold(178, folds=6), jobs=jobs)
    p = EpochProgress(run.replicas, run.plan.groups)
    done = [p.update(each, run.training.answered) for each in run]
    done.append(p.update([], run.training.answered))
    assert run.plan.jobs == jobs
    assert min(done) >= 0
    assert sum(done) == p.total == 180
