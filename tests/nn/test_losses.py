"""Losses against SciPy and closed forms, also where a naive formula overflows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from dlrun.nn.losses import LOSSES, default_loss
from dlrun.training.evaluation import probabilities

SUMS = {"sum_binary_cross_entropy", "sum_cross_entropy", "sum_squared_error"}


def linear(bind, loss, z, y, *, training=True, even=True):
    """A network that answers z: one input per output, W = 1 and no bias."""
    z, y = np.asarray(z), np.asarray(y)
    B, C = z.shape
    net = bind(1, B, inputs=C, outputs=C, loss=loss, bias=False, training=training, even=even)
    net.set_inputs(z[None])
    net.set(y=y[None], theta=np.eye(C).reshape(1, -1))
    return net


def expected_rows(loss, z, y):
    error = z - y
    if "binary" in loss:
        return -(y * special.log_expit(z) + (1 - y) * special.log_expit(-z))[:, 0]
    if "cross" in loss:
        return -(y * special.log_softmax(z, axis=1)).sum(axis=1)
    if "squared" in loss:
        return (error**2).sum(axis=1)
    return {"absolute_error": np.abs(error), "huber": special.huber(1.0, error)}[loss].sum(axis=1)


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("scale", [0.5, 3.0, 1e4])
def test_rows_and_costs(bind, rng, loss, scale):
    C = {"cross_entropy": 4, "sum_cross_entropy": 4, "squared_error": 3, "huber": 2}.get(loss, 1)
    z = rng.normal(size=(9, C)) * scale
    y = rng.normal(size=(9, C))
    if LOSSES[loss].task == "classification":
        y = np.eye(C)[rng.integers(0, C, 9)] if C > 1 else rng.integers(0, 2, (9, 1))
    rows = expected_rows(loss, z, y)
    net = linear(bind, loss, z, y)
    cost, of_rows = net.fetch(net.graph.cost, net.graph.row_losses)
    np.testing.assert_allclose(of_rows[0, :, 0], rows, rtol=1e-12, atol=1e-12)
    assert cost.item() == pytest.approx(rows.sum() if loss in SUMS else rows.mean(), rel=1e-12)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_weighted_cost_leaves_padding_out(bind, rng, loss):
    """Σ wℓ/Σ w over the first four of six rows."""
    C = 3 if loss in ("cross_entropy", "sum_cross_entropy") else 1
    z = rng.normal(size=(6, C))
    y = np.eye(C)[rng.integers(0, C, 6)] if C > 1 else rng.integers(0, 2, (6, 1)).astype(float)
    net = linear(bind, loss, z, y, even=False)
    present = np.array([1.0, 1, 1, 1, 0, 0])[None, :, None]
    net.set(**{name: present / (4 if name == "weight" else 1) for name in ("weight", "present") if name in net.arrays})
    rows = expected_rows(loss, z, y)[:4]
    cost = net.fetch(net.graph.cost)[0].item()
    assert cost == pytest.approx(rows.sum() if loss in SUMS else rows.mean(), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropies_of_logits_that_overflow_exponentials(bind, dtype):
    """z = ±10⁴: the right answer costs 0, the wrong one |z|, and the gradient is p − y."""
    for z, y, cost in ((1e4, 1, 0), (1e4, 0, 1e4), (-1e4, 0, 0), (-1e4, 1, 1e4)):
        net = bind(1, 1, inputs=1, outputs=1, loss="binary_cross_entropy", bias=False, dtype=dtype)
        net.set_inputs([[[z]]])
        net.set(y=y, theta=1.0)
        assert net.fetch(net.graph.cost)[0].item() == cost
        assert net.gradient.item() == pytest.approx(((z > 0) - y) * z)
    net = bind(1, 1, inputs=2, outputs=2, loss="cross_entropy", bias=False, dtype=dtype)
    net.set_inputs([[[1e4, -1e4]]])
    net.set(y=[[[0, 1]]], theta=[[1, 0, 0, 1]])
    assert net.fetch(net.graph.cost)[0].item() == 2e4
    np.testing.assert_allclose(net.gradient, [[1e4, -1e4, -1e4, 1e4]])


def test_probabilities_are_those_of_scipy(rng):
    z = rng.normal(size=(20, 5)) * 50
    np.testing.assert_allclose(probabilities(z, one_output=False), special.softmax(z, axis=1), rtol=1e-12, atol=1e-300)
    one = np.array([[-800.0], [-40], [-1], [0], [2], [40], [800]])
    both = np.concatenate([special.expit(-one), special.expit(one)], axis=1)
    np.testing.assert_allclose(probabilities(one, one_output=True), both, rtol=1e-12)


def test_default_losses():
    assert default_loss("regression", 0) == "squared_error"
    assert default_loss("classification", 2) == "binary_cross_entropy"
    assert default_loss("classification", 3) == "cross_entropy"
