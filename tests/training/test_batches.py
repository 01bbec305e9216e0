"""Rows of batches: their order, padding, filling and scaling."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.preprocessing import StandardScaler

from dlrun.backend import Backend
from dlrun.training.rows import BatchBuffer, batch_index, one_hot_targets, storage_scaling


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(any), st.integers(1, 50))
def test_every_row_once_and_padding_counted_out(lengths, batch_size):
    orders = [np.arange(length) + 100 * r for r, length in enumerate(lengths)]
    index, counts = batch_index(orders, batch_size, -1)
    assert index.shape == (-(-max(lengths) // batch_size), len(lengths), batch_size)
    for r, order in enumerate(orders):
        np.testing.assert_array_equal(np.concatenate([row[row >= 0] for row in index[:, r]]), order)
        np.testing.assert_array_equal(counts[:, r], (index[:, r] >= 0).sum(axis=1))
        for row, count in zip(index[:, r], counts[:, r], strict=True):
            assert (row[:count] >= 0).all()


def epochs(stack, n):
    """Each replica's rows in their order, epoch by epoch."""
    found = []
    for epoch in range(1, n + 1):
        index, counts = stack.epoch_rows(epoch)
        found.append([np.concatenate([index[s, r, : counts[s, r]] for s in range(len(index))]) for r in range(stack.R)])
    return found


def test_orders_are_new_each_epoch_and_a_function_of_seed_replica_and_epoch(problem):
    p = problem("iris", "training.batch_size=16")
    rows = [np.arange(0, 100), np.arange(0, 100), np.arange(20, 120), np.arange(0, 57)]
    replicas = [p.replica(part, number=number) for number, part in enumerate(rows)]
    seen = epochs(p.stack(Backend(), replicas), 4)
    for orders in seen:
        for part, order in zip(rows, orders, strict=True):
            np.testing.assert_array_equal(np.sort(order), part)
    for r in range(4):
        assert len({orders[r].tobytes() for orders in seen}) == 4
        alone = epochs(p.stack(Backend(), [replicas[r]]), 4)
        for orders, own in zip(seen, alone, strict=True):
            np.testing.assert_array_equal(orders[r], own[0])
    assert (seen[0][0] != seen[0][1]).any()  # another number, another order
    other = epochs(p.stack(Backend(), [dataclasses.replace(replicas[0], seed=1)]), 1)
    assert (other[0][0] != seen[0][0]).any()


def test_without_shuffling_and_in_full_batches_rows_keep_their_order(problem):
    rows = np.random.default_rng(0).permutation(150)[:100]
    for overrides in (["training.shuffle=false", "training.batch_size=16"], ["training.batch_size='full'"]):
        p = problem("iris", *overrides)
        for (order,) in epochs(p.stack(Backend(), [p.replica(rows)]), 2):
            np.testing.assert_array_equal(order, rows)


def test_rows_that_fit_one_batch_keep_their_order_whoever_else_is_there(problem):
    p = problem("iris", "training.batch_size=64")
    replicas = [p.replica(np.arange(64)), p.replica(np.arange(65), number=1)]
    ((small, large),) = epochs(p.stack(Backend(), replicas), 1)
    np.testing.assert_array_equal(small, np.arange(64))
    assert (large != np.arange(65)).any()


def test_batch_normalization_leaves_a_single_last_row_out(problem):
    """33 rows in batches of 32: the last one would have no variance."""
    p = problem("iris", "training.batch_size=32", "model.batch_norm=true")
    stack = p.stack(Backend(), [p.replica(np.arange(33))])
    costs, _ = stack.run_epoch(1)
    assert stack.steps.tolist() == [1]
    assert np.isfinite(costs[0]).all()
    assert np.isnan(costs[1]).all()
    assert np.isfinite(stack.theta).all()


def test_repeated_rows_weigh_by_their_number(problem):
    """A bootstrap sample of rows a, a, b against the weights 2/3, 1/3 by hand: the first cost and gradient step."""
    p = problem(
        "diabetes",
        "model.hidden=[]",
        "model.initialization='zeros'",
        "training.batch_size='full'",
        "optimizer.name='gradient_descent'",
        "optimizer.learning_rate=0.5",
        "model.dtype='float64'",
    )
    rows = np.array([7, 7, 20])
    stack = p.stack(Backend(), [p.replica(rows)])
    costs, _ = stack.run_epoch(1)
    n = p.normalization([rows])
    x = n.apply(p.dataset.features[rows])
    y = (p.dataset.target[rows] - p.dataset.target[rows].mean()) / p.dataset.target[rows].std()
    assert costs[0, 0] == pytest.approx((y**2).mean(), rel=1e-12)
    gradient = -2 * np.concatenate([x.T @ y, [y.sum()]]) / 3
    np.testing.assert_allclose(stack.theta[0], -0.5 * gradient, rtol=1e-10, atol=1e-12)


def gathered(problem, replicas, rows, dtype="float64"):
    """x of the given rows as each replica's batches hold them, and y."""
    backend = Backend()
    stack = problem.stack(backend, replicas, shared=problem.shared_rows(backend))
    buffer = BatchBuffer(backend, stack.store, stack.adjustment, stack.R, rows.shape[1])
    buffer.gather(rows)
    return buffer.x[:, :, :-1], buffer.y, buffer.x[:, :, -1]


@pytest.mark.parametrize("normalize", ["standard", "minmax", "none"])
def test_shared_rows_are_scaled_as_each_replicas_own_training_rows_say(problem, rng, normalize):
    p = problem("diabetes", f"data.normalize={normalize!r}", "model.dtype='float64'")
    train = [rng.permutation(442)[:200] for _ in range(3)] + [rng.integers(0, 442, 300)]
    replicas = [p.replica(part, number=number) for number, part in enumerate(train)]
    rows = rng.integers(0, 442, (4, 50))
    x, y, ones = gathered(p, replicas, rows)
    n = p.normalization(train)
    for r, part in enumerate(train):
        np.testing.assert_allclose(x[r], n.apply(p.dataset.features[rows[r]], r), rtol=1e-11, atol=1e-12)
        known = p.dataset.target[part]
        scaled = (p.dataset.target[rows[r]] - known.mean()) / known.std()
        expected = scaled if normalize != "none" else p.dataset.target[rows[r]]
        np.testing.assert_allclose(y[r, :, 0], expected, rtol=1e-11, atol=1e-12)
        if normalize == "standard":
            theirs = StandardScaler().fit(p.dataset.features[part]).transform(p.dataset.features[rows[r]])
            np.testing.assert_allclose(x[r], theirs, rtol=1e-9, atol=1e-11)
    assert (ones == 1).all()


def test_missing_values_are_filled_with_each_replicas_own_means(table):
    """Column a: rows 0–2 hold 1, none, 5; the mean of the training rows {0, 1} is 1, that of {1, 2} is 5."""
    p = table(
        {"a": [1, None, 5, 9], "b": [2, 4, 6, None], "y": [0.5, 1, 2, 3]},
        "data.missing='mean'",
        "data.normalize='none'",
        "data.normalize_target=false",
        "model.dtype='float64'",
    )
    train = [np.array([0, 1]), np.array([1, 2]), np.array([0, 2, 2])]
    replicas = [p.replica(part, number=number) for number, part in enumerate(train)]
    x, _, _ = gathered(p, replicas, np.tile([1, 3], (3, 1)))
    np.testing.assert_allclose(x[:, 0], [[1, 4], [5, 4], [11 / 3, 4]], rtol=1e-15)
    np.testing.assert_allclose(x[:, 1], [[9, 3], [9, 5], [9, 14 / 3]], rtol=1e-15)


def test_large_offsets_cost_no_digits_in_float32(table, rng):
    """Values of 10⁶ ± 1 and targets of −10⁸ ± 1: in float32 as they are, they would be whole numbers at best."""
    values, target = rng.normal(size=40), rng.normal(size=40)
    p = table({"a": 1e6 + values, "y": -1e8 + target}, "task='regression'")
    train = [np.arange(0, 30), np.arange(10, 40)]
    x, y, _ = gathered(p, [p.replica(part, number=i) for i, part in enumerate(train)], np.tile(np.arange(40), (2, 1)))
    assert x.dtype == np.float32
    for r, part in enumerate(train):
        np.testing.assert_allclose(x[r, :, 0], (values - values[part].mean()) / values[part].std(), atol=1e-6)
        np.testing.assert_allclose(y[r, :, 0], (target - target[part].mean()) / target[part].std(), atol=3e-6)


def test_a_row_far_out_takes_no_digits_from_replicas_without_it(table, rng):
    """One value of 10¹² would move a mean, and a scaling by it, away from all the others; here it is a test row."""
    values = rng.normal(size=40)
    far = values.copy()
    far[39] = 1e12
    y = rng.normal(size=40)
    train = np.arange(30)
    found = []
    for column in (values, far):
        p = table({"a": column, "y": y}, "task='regression'")
        x, _, _ = gathered(p, [p.replica(train)], np.arange(30)[None])
        found.append(x[0, :, 0].astype(np.float64))
        np.testing.assert_allclose(found[-1], (values[:30] - values[:30].mean()) / values[:30].std(), atol=1e-6)
    np.testing.assert_allclose(*found, atol=1e-6)


def test_test_rows_do_not_enter_a_training(table, trained, rng):
    """Other values in the rows outside of training change at most its last bits (the shared store's middle moves)."""
    x, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    thetas = []
    for factor in (1.0, -7.0):
        x[40:] *= factor
        y[40:] *= factor
        columns = {f"x{j}": x[:, j] for j in range(3)} | {"y": y}
        p = table(
            columns,
            "task='regression'",
            "model.dtype='float64'",
            "model.keep_prob=0.8",
            "training.epochs=3",
            'model.feature_map={name="rbf",count=5,gamma=0.5}',
        )
        _, results = trained(p, [p.replica(np.arange(40), test=np.arange(40, 60))], parts=("train",))
        thetas.append(results[0].theta)
    np.testing.assert_allclose(*thetas, rtol=1e-9, atol=1e-12)


@given(arrays.arrays(np.float64, (20, 2), elements=st.floats(-1e150, 1e150)))
def test_storage_scaling_is_a_power_of_two_and_never_overflows(columns):
    shift, scale = storage_scaling(columns, np.array([True, True]))
    assert ((scale > 0) & (np.frexp(scale)[0] == 0.5)).all()
    assert np.isfinite(((columns - shift) * scale).astype(np.float32)).all()


def test_storage_scaling_leaves_columns_alone_that_are_not_scaled(rng):
    shift, scale = storage_scaling(rng.normal(size=(10, 2)) + 9, np.array([False, True]))
    assert (shift[0], scale[0]) == (0, 1)
    assert shift[1] != 0


def test_targets():
    codes = np.array([0, 2, 1])
    np.testing.assert_array_equal(one_hot_targets(codes, 3, one_output=False), [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(one_hot_targets(np.array([0, 1, 1]), 2, one_output=True), [[0], [1], [1]])
