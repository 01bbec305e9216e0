"""Whole trainings: compiled steps against NumPy's kernels, and against themselves in other company."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.nn.losses import LOSSES
from dlrun.nn.network import Architecture
from dlrun.optim.optimizers import OPTIMIZERS
from dlrun.rng import fold_in
from dlrun.training.dropout import DropoutMasks
from dlrun.training.replica import Replica
from dlrun.training.rows import Normalization, RowStore
from dlrun.training.stack import Stack, StackSettings

pytest.importorskip("llvmlite")

R, N, D = 3, 100, 5
# Of the largest parameter, after three epochs: rounding, with what the steps make of it.
LIMIT = {"float32": 1e-5, "float64": 1e-13}


def stack(
    engine: Any,
    net: Architecture,
    *,
    places: tuple[int, ...] = (0, 1, 2),
    missing: bool = False,
    copied: bool = True,
    shared: bool = True,
    cores: int = 1,
    **settings: Any,
) -> Stack:
    """Some of three replicas, of 100, 97 and 94 rows, under their own scaling; batches of 32 leave the last uneven."""
    random = np.random.default_rng(3)
    X = random.standard_normal((N, D)) * 3 + 1
    if missing:
        X[::7, 0] = np.nan
    C = net.outputs
    y = np.eye(C)[random.integers(0, C, N)] if C > 1 else (random.random((N, 1)) < 0.5).astype(float)
    one, many = np.ones((1, D)), np.arange(R)[:, None] * np.ones((1, D))
    reference = Normalization(one * 0, one, one / 2, np.zeros((1, C)), np.ones((1, C)))
    own = Normalization(many * 0 + 1, 1 + many / 100, many * 0 + 0.3, np.zeros((R, C)), np.ones((R, C)))
    backend = Backend(engine=engine)
    store = RowStore(backend, X, y, reference, net.dtype, shared=shared)
    if not copied:
        store._raw = None
    company = [
        Replica(
            number=number,
            seed=5,
            train=random.permutation(N)[: N - 3 * number],
            learning_rate=0.01,
            weight_decay=0.1,
            keep_prob=(0.8,) * len(net.hidden),
            l2=0.1 * (number + 1),
            l1=0.05,
        )
        for number in range(R)
    ]
    centres = np.random.default_rng(9).standard_normal((R, D, net.widths[0]))[list(places)]
    found = Stack(
        backend,
        net,
        StackSettings(**{"batch_size": 32, **settings}),
        store,
        own.take(np.array(places)) if shared else reference,
        [company[place] for place in places],
        company=company,
        tensors={"centres": centres} if net.feature_map is not None and net.feature_map.name == "rbf" else None,
    )
    found.cores = cores
    return found


def trained(engine: Any, net: Architecture, **options: Any) -> tuple[Stack, list[Any]]:
    """After three epochs, with the costs of their batches."""
    found = stack(engine, net, **options)
    assert (found.compiled is not None) == (engine == "compiled")
    return found, [found.run_epoch(epoch)[0] for epoch in (1, 2, 3)]


def agree(net: Architecture, **options: Any) -> None:
    """In float32 and float64: costs, parameters, state and running averages to rounding."""
    for dtype, limit in LIMIT.items():
        of_type = replace(net, dtype=dtype)
        a, costs = trained("numpy", of_type, **options)
        b, found = trained("compiled", of_type, **options)
        for expected, cost in zip(costs, found, strict=True):
            np.testing.assert_allclose(cost, expected, rtol=limit, atol=limit)
        for expected, array in zip(a._state_arrays(), b._state_arrays(), strict=True):
            size = float(np.abs(expected).max(initial=0))
            np.testing.assert_allclose(array, expected, rtol=0, atol=limit * size)


def network(**more: Any) -> Architecture:
    return Architecture(
        **{"inputs": D, "outputs": 3, "loss": "cross_entropy", "hidden": (17, 4), "activation": "tanh", **more}
    )


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "sigmoid", "identity"])
def test_activations(activation: str) -> None:
    agree(network(activation=activation))


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_losses(loss: str) -> None:
    several = LOSSES[loss].task == "classification" and not LOSSES[loss].one_output
    agree(network(loss=loss, outputs=3 if several else 1))


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_optimizers_and_clipping(optimizer: str) -> None:
    agree(network(), optimizer=optimizer)
    agree(network(), optimizer=optimizer, clip_norm=0.3, clip_value=0.1)


@pytest.mark.parametrize(
    "more",
    [
        {"hidden": ()},
        {"bias": False},
        {"l1": True, "l2": True},
        {"dropout": (True, False)},
        {"dropout": (True, True), "hidden": (7, 3)},
        {"batch_norm": True},
        {"feature_map": SimpleNamespace(name="polynomial", degree=2)},
        {"feature_map": SimpleNamespace(name="rbf", count=6, gamma=0.1)},
    ],
    ids=str,
)
def test_what_a_network_may_have(more: dict[str, Any]) -> None:
    agree(network(**more))


@pytest.mark.parametrize(
    "rows",
    [{"missing": True, "copied": False}, {"copied": False}, {"batch_size": None}, {"shared": False, "places": (0,)}],
    ids=str,
)
def test_where_rows_come_from(rows: dict[str, Any]) -> None:
    agree(network(), **rows)


def test_products_by_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlrun.engines.cpu.products.OWN", 0)
    agree(network(batch_norm=True))


def rich() -> Architecture:
    return network(dropout=(True, False), batch_norm=True, l2=True, hidden=(40, 4))


def test_neither_company_nor_threads_change_a_bit() -> None:
    together, costs = trained("compiled", rich())
    for options in ({"cores": 2}, {"cores": 8}):
        found, other = trained("compiled", rich(), **options)
        assert (found.theta == together.theta).all()
        np.testing.assert_array_equal(other, costs)
    for place in range(R):
        alone, own = trained("compiled", rich(), places=(place,))
        for array, among in zip(alone._state_arrays(), together._state_arrays(), strict=True):
            assert (array[0] == among[place]).all()
        mine = np.array(own)[:, :, 0]  # without the batches that only others have rows in
        np.testing.assert_array_equal(mine, np.array(costs)[:, : mine.shape[1], place])


def test_masks_are_those_of_the_other_engine() -> None:
    """A network whose answer is the mask: y = Σ mask, from units that are all 1 by their biases."""
    net = Architecture(
        inputs=D, outputs=1, loss="sum_squared_error", hidden=(3,), activation="identity", dropout=(True,)
    )
    found = stack("compiled", net, batch_size=None, optimizer="gradient_descent", places=(1,))
    found.theta[:] = 0
    biases = net.slots[1]
    weights = net.slots[2]
    found.theta[:, biases.start : biases.stop] = 1
    found.theta[:, weights.start : weights.stop] = [1, 10, 100]
    expected_mask = np.zeros((1, N, 3), np.float32)
    keys = fold_in(found.keys, 4)
    DropoutMasks(found.backend, [r.keep_prob for r in found.replicas], {1: expected_mask}).draw(keys, 0)
    train = found.replicas[0].train
    rows = found.adjustment.rows[found.adjustment.first[0, 0] + train]  # type: ignore[union-attr]
    answers = expected_mask[0, : len(train)] @ np.array([1, 10, 100])
    expected = float(((answers - rows[:, D + 1]) ** 2).sum())
    costs, _ = found.run_epoch(4)
    assert costs[0, 0] == pytest.approx(expected, rel=1e-5)


def test_numbers_below_the_smallest_normal_one_count_as_zero() -> None:
    """In a step; outside of it they are what they were."""
    net = Architecture(inputs=D, outputs=1, loss="squared_error", hidden=(), bias=False)
    found = stack("compiled", net, optimizer="gradient_descent", batch_size=None)
    found.hyperparameters.learning_rate[:] = 0
    found.theta[:] = 1e-40
    found.run_epoch(1)
    assert (found.theta == 0).all()
    assert np.float32(1e-40) * np.float32(1) != 0


def test_a_replica_that_diverges_leaves_the_others_alone() -> None:
    net = network()
    calm, _ = trained("compiled", net)
    wild = stack("compiled", net)
    wild.hyperparameters.learning_rate[1] = np.inf
    for epoch in (1, 2, 3):
        costs, _ = wild.run_epoch(epoch)
    assert not np.isfinite(costs[:, 1]).any()
    for place in (0, 2):
        assert (wild.theta[place] == calm.theta[place]).all()


def test_the_path_is_recorded() -> None:
    net = Architecture(inputs=D, outputs=1, loss="squared_error", hidden=(), bias=False)
    paths = []
    for engine in ("numpy", "compiled"):
        found, path = stack(engine, net), []
        found.before_update = lambda theta, path=path: path.append(theta.copy())  # type: ignore[misc]
        found.run_epoch(1)
        paths.append(np.stack(path))
    np.testing.assert_allclose(paths[1], paths[0], rtol=1e-5, atol=1e-7)


def test_a_step_is_compiled_once() -> None:
    """Two stacks of the same shape share their functions."""
    a, b = stack("compiled", network()), stack("compiled", network(), places=(1,))
    assert a.compiled is not None
    assert b.compiled is not None
    assert [kind.call for kind in a.compiled.kinds.values()] == [kind.call for kind in b.compiled.kinds.values()]


def test_a_step_of_too_many_instructions_is_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlrun.engines.cpu.step.MOST_LINES", 100)
    assert stack("compiled", network()).compiled is None
