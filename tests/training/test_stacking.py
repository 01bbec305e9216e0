"""Many replicas in several stacks: how they are divided does not change what they answer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.training.stacking import StackedTraining, StackPlan, divide


def replicas_of(problem, n=9):
    rng = np.random.default_rng(1)
    made, rows = [], []
    for number in range(n):
        order = rng.permutation(len(problem.dataset))
        made.append(problem.replica(np.sort(order[:96]), np.sort(order[96:120]), number=number))
        rows.append(np.sort(order[120:]))
    return made, rows


def answered(problem, replicas, rows, groups, jobs=1, backend=None):
    training = StackedTraining(problem, backend or Backend(), replicas, rows)
    training.plan = StackPlan(tuple(map(np.array, groups)), training.plan.replica_bytes, jobs)
    records = [record for each in training for record in each]
    return training.answered, records


@pytest.fixture(scope="module")
def example(problem):
    p = problem(
        "iris",
        "model.hidden=[7]",
        "model.keep_prob=0.8",
        "training.epochs=6",
        "training.batch_size=32",
        "training.early_stopping.patience=2",
    )
    replicas, rows = replicas_of(p)
    replicas[4] = dataclasses.replace(replicas[4], learning_rate=1e38)
    return p, replicas, rows, answered(p, replicas, rows, [range(9)])


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize(
    "groups", [[[r] for r in range(9)], [range(5), range(5, 9)], [[0, 2, 4], [8, 1], [3, 5, 6, 7]]]
)
def test_answers_are_the_same_however_replicas_are_divided(example, groups, jobs):
    p, replicas, rows, (expected, records) = example
    found, others = answered(p, replicas, rows, groups, jobs)
    assert set(found) == set(range(9))
    for number, each in expected.items():
        assert found[number].result.status == each.result.status
        np.testing.assert_array_equal(found[number].answers, each.answers)
        np.testing.assert_array_equal(found[number].result.theta, each.result.theta)
    assert sorted(map(repr, records)) == sorted(map(repr, others))


def test_a_diverged_replica_has_no_answers(example):
    _, _, rows, (found, _) = example
    assert found[4].result.status == "diverged"
    assert found[4].answers.shape == (len(rows[4]), 3)
    assert np.isnan(found[4].answers).all()
    assert np.isnan(found[4].figures.cost)
    assert all(np.isfinite(found[number].answers).all() for number in found if number != 4)


class _Small(Backend):
    """A machine whose memory holds stacks of two."""

    def zeros(self, shape, dtype):
        if len(shape) == 2 and shape[1] > 50 and shape[0] > 2:  # gradients (R, P)
            raise MemoryError
        return super().zeros(shape, dtype)


def test_stacks_are_halved_where_memory_runs_out(example):
    p, replicas, rows, (expected, _) = example
    found, _ = answered(p, replicas, rows, [range(9)], backend=_Small())
    for number, each in expected.items():
        np.testing.assert_array_equal(found[number].answers, each.answers)


@pytest.mark.parametrize("total", [1, 2, 7, 100, 1000])
@pytest.mark.parametrize("size", [10, 10_000, 10_000_000])
@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_every_replica_is_in_one_stack(total, size, jobs):
    plan = divide(total, size, Backend(), jobs)
    np.testing.assert_array_equal(np.concatenate(plan.groups), np.arange(total))
    assert 1 <= plan.jobs <= jobs
    lengths = [len(group) for group in plan.groups]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 1


def test_a_consumer_that_goes_away_ends_the_work(example):
    p, replicas, rows, _ = example
    training = StackedTraining(p, Backend(), replicas, rows)
    training.plan = StackPlan(tuple(np.array([r]) for r in range(9)), 1, 2)
    records = iter(training)
    next(records)
    records.close()  # returns: no thread is left waiting
    assert len(training.answered) < 9
