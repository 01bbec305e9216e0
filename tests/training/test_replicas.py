"""Replicas of one stack get what each would get alone: bit for bit where shapes are equal, to rounding elsewhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.optim.optimizers import OPTIMIZERS
from dlrun.training.loop import Training
from dlrun.training.stack import Stack

NET = ("model.hidden=[7, 5]", "training.batch_size=32", "training.epochs=4")


def folds(problem, rng, sizes, **changes):
    """Replicas on random rows; the rest of the rows is their dev part. Change k is given as a list, one per replica."""
    n = len(problem.dataset)
    replicas = []
    for number, size in enumerate(sizes):
        order = rng.permutation(n)
        own = {name: values[number % len(values)] for name, values in changes.items()}
        made = problem.replica(np.sort(order[:size]), np.sort(order[size : size + 40]), number=number)
        replicas.append(dataclasses.replace(made, **own))
    return replicas


def same_result(a, b):
    np.testing.assert_array_equal(a.theta, b.theta)
    np.testing.assert_array_equal(a.statistics, b.statistics)
    assert (a.status, a.epoch, a.epochs, a.step, a.reason) == (b.status, b.epoch, b.epochs, b.step, b.reason)


def same_records(a, b):
    assert [dataclasses.astuple(x) for x in map(_nan_safe, a)] == [dataclasses.astuple(x) for x in map(_nan_safe, b)]


def _nan_safe(record):
    """NaN equals NaN as text."""
    return dataclasses.replace(
        record, batch_cost=repr(record.batch_cost), figures={part: repr(f) for part, f in record.figures.items()}
    )


def check_alone(problem, trained, replicas, chosen=None, **options):
    """Train all together, then some alone on the same store, and compare every bit."""
    shared = problem.shared_rows(Backend())
    records, results = trained(problem, replicas, shared, **options)
    for replica in replicas if chosen is None else [replicas[i] for i in chosen]:
        alone_records, alone = trained(problem, [replica], shared, **options)
        same_result(results[replica.number], alone[replica.number])
        same_records(records[replica.number], alone_records[replica.number])
    return records, results


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer(problem, trained, rng, optimizer):
    decay = 'optimizer.decay={name="inverse_time",rate=0.1}'
    p = problem("iris", *NET, f"optimizer.name={optimizer!r}", decay, "optimizer.warmup_steps=5")
    replicas = folds(
        p,
        rng,
        [100] * 5,
        learning_rate=[0.03, 0.003, 0.3],
        beta1=[0.9, 0.5, 0.0],
        beta2=[0.999, 0.0, 0.9],
        weight_decay=[0.0, 0.1] if optimizer == "adamw" else [0.0],
    )
    check_alone(p, trained, replicas)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("iris", ["model.batch_norm=true", "model.keep_prob=0.8"]),
        ("breast_cancer", ["model.keep_prob=0.7", "optimizer.clip_norm=0.5", "training.early_stopping.patience=2"]),
        ("diabetes", ["model.batch_norm=true", "model.activation='tanh'", "optimizer.clip_value=0.1"]),
        ("wine", ["model.loss='sum_cross_entropy'", "data.normalize='minmax'", "training.batch_size='full'"]),
        ("diabetes", ['model.feature_map={name="rbf",count=20,gamma=0.1}', "model.hidden=[]", "model.loss='huber'"]),
        ("digits", ["model.dtype='float64'", "training.epochs=2", "training.batch_size=33"]),
    ],
)
def test_kinds_of_networks(problem, trained, rng, name, overrides):
    p = problem(name, *NET, *overrides)
    replicas = folds(p, rng, [102] * 6, l2=[0.0, 0.5, 3.0], l1=[0.0, 0.0, 0.2, 0.1])
    check_alone(p, trained, replicas, chosen=[0, 2, 5])


def test_hyperparameters_seeds_and_epochs_of_its_own(problem, trained, rng):
    """Replicas that end early leave the stack, at 75 % of it, and the others go on as they would have."""
    p = problem("breast_cancer", *NET)
    replicas = folds(
        p,
        rng,
        [200] * 8,
        learning_rate=[0.001, 0.01, 0.1],
        keep_prob=[(1.0, 1.0), (0.5, 1.0), (0.9, 0.9)],
        seed=[1, 2, 3, 4, 5],
        epochs=[2, 9, 3, 5],
        initialization=["he", "xavier", "normal"],
        l2=[0.0, 0.3],
    )
    records, results = check_alone(p, trained, replicas)
    assert [len(records[i]) for i in range(8)] == [2, 9, 3, 5] * 2
    assert len({results[i].theta.tobytes() for i in range(8)}) == 8


def test_early_stopping_of_its_own(problem, trained, rng):
    p = problem("wine", *NET, "training.epochs=60", "training.early_stopping.patience=4")
    replicas = folds(p, rng, [90] * 6, learning_rate=[0.3, 0.003, 0.03])
    _, results = check_alone(p, trained, replicas)
    assert len({results[i].epochs for i in range(6)}) > 2


def test_a_batch_size_that_does_not_divide_the_rows(problem, trained, rng):
    p = problem("iris", *NET, "training.batch_size=33", "model.keep_prob=0.5")
    check_alone(p, trained, folds(p, rng, [100] * 3))


@pytest.mark.parametrize("overrides", [[], ["model.batch_norm=true", "model.keep_prob=0.8"]])
@pytest.mark.parametrize("sizes", [[100, 99, 97, 64], [33, 32, 31, 65], [40, 10, 20, 39]])
def test_unequal_numbers_of_rows_to_rounding(problem, trained, rng, overrides, sizes):
    """Padding changes the order of sums and nothing else: neither orders, masks, weights nor steps."""
    p = problem("iris", *NET, "model.dtype='float64'", *overrides)
    replicas = folds(p, rng, sizes, l2=[0.2, 0.0])
    shared = p.shared_rows(Backend())
    records, results = trained(p, replicas, shared)
    for replica in replicas:
        alone_records, alone = trained(p, [replica], shared)
        found, expected = results[replica.number], alone[replica.number]
        np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.statistics, expected.statistics, rtol=1e-9, atol=1e-12)
        assert found.step == expected.step
        for a, b in zip(records[replica.number], alone_records[replica.number], strict=True):
            assert a.batch_cost == pytest.approx(b.batch_cost, rel=1e-9)
            assert a.figures["dev"].cost == pytest.approx(b.figures["dev"].cost, rel=1e-9)
            assert a.step == b.step


@pytest.mark.parametrize("overrides", [[], ["model.batch_norm=true", "model.keep_prob=0.8"]])
def test_a_divergence_changes_nothing_in_the_others(problem, trained, rng, overrides):
    p = problem("breast_cancer", *NET, "optimizer.name='gradient_descent'", *overrides)
    replicas = folds(p, rng, [150] * 5, learning_rate=[0.1, 1e30, 0.05, 1e38, 0.2])
    _, results = check_alone(p, trained, replicas)
    assert [results[i].status for i in range(5)] == ["done", "diverged", "done", "diverged", "done"]


@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam"])
def test_a_nan_at_step_17_in_replica_3_of_8_changes_nothing_in_the_seven(problem, trained, rng, monkeypatch, optimizer):
    """The weights of one replica are made NaN before its step 17, in the midst of an epoch of ten steps."""
    p = problem("breast_cancer", *NET, f"optimizer.name='{optimizer}'", "model.batch_norm=true", "model.keep_prob=0.8")
    replicas = folds(p, rng, [320] * 8)
    _, sound = trained(p, replicas, p.shared_rows(Backend()))
    update, count = Stack._update, 0

    def poisoned(self, *arguments):
        nonlocal count
        count += 1
        if count == 17:
            self.theta[3] = np.nan
        update(self, *arguments)

    monkeypatch.setattr(Stack, "_update", poisoned)
    _, hurt = trained(p, replicas, p.shared_rows(Backend()))
    assert count == 40
    assert hurt[3].status == "diverged"
    assert hurt[3].reason.endswith("epoch 2, step 18")  # whose cost is the first that the weights of step 17 give
    for number in {*range(8)} - {3}:
        assert hurt[number].status == sound[number].status == "done"
        same_result(hurt[number], sound[number])


def test_all_of_a_long_epoch_need_not_be_run_once_everything_diverged(problem, trained, rng):
    """The record ends at the batch that broke, whether or not the stack went on for the others' sake."""
    p = problem("diabetes", "model.hidden=[4]", "training.batch_size=4", "optimizer.name='momentum'")
    replicas = folds(p, rng, [400] * 3, learning_rate=[1e6, 0.01, 1e6], epochs=[2])
    _, results = check_alone(p, trained, replicas)
    assert results[0].status == "diverged"
    assert results[1].status == "done"


def test_replicas_without_rows_in_a_batch_stay_as_they_were(problem, rng):
    """Two batches of 32 rows: a replica of 20 rows sits the second one out, with θ, state, statistics and t."""
    p = problem("iris", *NET, "model.batch_norm=true")
    replicas = folds(p, rng, [64, 20])
    backend = Backend()
    stack = p.stack(backend, replicas)
    seen = []
    original = stack._update

    def update(*arguments):
        original(*arguments)
        seen.append([array.copy() for array in stack._state_arrays()])

    stack._update = update
    stack.run_epoch(1)
    assert stack.steps.tolist() == [2, 1]
    for before, after in zip(*seen, strict=True):
        assert (before[0] != after[0]).any()
        np.testing.assert_array_equal(before[1], after[1])


def test_keeping_some_changes_nothing_in_them(problem, rng):
    p = problem("wine", *NET, "model.keep_prob=0.7", "model.batch_norm=true")
    replicas = folds(p, rng, [96] * 6)
    backend, shared = Backend(), p.shared_rows(Backend())
    whole, cut = (p.stack(backend, replicas, shared=shared) for _ in range(2))
    kept = np.array([1, 4, 5])
    for epoch in (1, 2, 3):
        whole_costs, _ = whole.run_epoch(epoch)
        cut_costs, _ = cut.run_epoch(epoch)
        np.testing.assert_array_equal(cut_costs, whole_costs if epoch == 1 else whole_costs[:, kept])
        if epoch == 1:
            cut.keep(kept)
    np.testing.assert_array_equal(cut.theta, whole.theta[kept])
    np.testing.assert_array_equal(cut.statistics, whole.statistics[kept])
    for slot, state in cut.stepper.state.items():
        np.testing.assert_array_equal(state, whole.stepper.state[slot][kept])
    assert [r.number for r in cut.replicas] == [1, 4, 5]


def test_the_order_in_a_stack_does_not_matter(problem, trained, rng):
    p = problem("iris", *NET, "model.keep_prob=0.8")
    replicas = folds(p, rng, [96] * 4)
    shared = p.shared_rows(Backend())
    _, forward = trained(p, replicas, shared)
    _, backward = trained(p, replicas[::-1], shared)
    for number in range(4):
        same_result(forward[number], backward[number])


def test_equal_replicas_with_other_numbers_differ(problem, trained):
    """The number enters every stream: weights, order, masks."""
    p = problem("iris", *NET)
    rows = np.arange(0, 150, 2)
    _, results = trained(p, [p.replica(rows, number=number) for number in range(3)])
    assert len({results[number].theta.tobytes() for number in range(3)}) == 3


def test_on_its_own_rows_alone_and_on_the_shared_ones_to_rounding(problem, trained, rng):
    """A store under the replica's own scaling, as `dlrun train` uses, against the shared one."""
    p = problem("diabetes", *NET, "model.dtype='float64'")
    replica = folds(p, rng, [300])[0]
    _, shared = trained(p, [replica])
    stack = p.stack(Backend(), [replica])
    for epoch in range(1, 5):
        stack.run_epoch(epoch)
    np.testing.assert_allclose(stack.theta[0], shared[0].theta, rtol=1e-8, atol=1e-11)


def test_equal_decay_tables_are_one_schedule(problem):
    """They are compared by value, so that replicas made apart are computed together."""
    rows = np.arange(20)
    a, b = (problem("iris", 'optimizer.decay={name="staircase",every=2}').replica(rows) for _ in range(2))
    c = problem("iris", 'optimizer.decay={name="staircase",every=3}').replica(rows)
    assert a.decay == b.decay != c.decay
    assert hash(a.decay) == hash(b.decay)


def test_replicas_may_share_their_streams(problem, trained):
    """Trials of a search differ by their hyperparameters alone: equal ones are one."""
    p = problem("iris", *NET, "model.keep_prob=0.8", 'model.feature_map={name="rbf",count=9,gamma=0.5}')
    rows = np.arange(0, 150, 2)
    made = [dataclasses.replace(p.replica(rows, number=number), draws=7) for number in range(2)]
    other = dataclasses.replace(p.replica(rows, number=2), draws=8)
    _, results = trained(p, [*made, other])
    np.testing.assert_array_equal(results[0].theta, results[1].theta)
    assert (results[0].theta != results[2].theta).any()
    _, own = trained(p, [p.replica(rows, number=7)])
    np.testing.assert_array_equal(results[0].theta, own[7].theta)


@pytest.mark.parametrize("pruned", [{1}, {0, 2, 3}, {0, 1, 2, 3, 4}])
def test_pruning_changes_nothing_in_the_others(problem, trained, rng, pruned):
    p = problem("wine", *NET, "model.keep_prob=0.7", "training.epochs=6")
    replicas = folds(p, rng, [96] * 5)
    shared = p.shared_rows(Backend())
    records, whole = trained(p, replicas, shared)
    run = Training(p.stack(Backend(), replicas, shared=shared))
    left = {number: [] for number in range(5)}
    for epoch in run:
        for record in epoch:
            left[record.replica].append(record)
        if run.epoch == 2:
            run.prune(pruned, reason="worse than half")
    for number in range(5):
        if number in pruned:
            assert len(left[number]) == 2
            assert (run.results[number].status, run.results[number].reason) == ("pruned", "worse than half")
            assert run.results[number].epoch == 2
        else:
            same_result(run.results[number], whole[number])
            same_records(left[number], records[number])
