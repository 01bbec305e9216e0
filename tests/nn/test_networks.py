"""What a network computes: by hand, with batch normalization, with dropout, with penalties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from dlrun.nn.network import BATCH_NORM_EPSILON


def test_three_sigmoids_in_a_chain_by_hand(bind):
    """loss = (L3 − y)², L_i = σ(w_i L_{i−1}), L_0 = x, and ∂loss/∂w1 = loss'·L3'·w3·L2'·w2·L1'·x, and so on.

    The last layer of a network is linear; a unit weight w4 behind the third sigmoid completes the chain.
    """
    x, y = 0.8, 0.3
    w1, w2, w3 = 0.5, -1.2, 2.0
    net = bind(1, 1, inputs=1, outputs=1, hidden=(1, 1, 1), activation="sigmoid", bias=False, loss="squared_error")
    net.set_inputs([[[x]]])
    net.set(y=y, theta=[[w1, w2, w3, 1.0]])
    first = expit(w1 * x)
    second = expit(w2 * first)
    third = expit(w3 * second)
    assert net.objective.item() == pytest.approx((third - y) ** 2, rel=1e-14)
    slope = 2 * (third - y)
    d3 = slope * third * (1 - third)
    d2 = d3 * w3 * second * (1 - second)
    d1 = d2 * w2 * first * (1 - first)
    np.testing.assert_allclose(net.gradient, [[d1 * x, d2 * first, d3 * second, slope * third]], rtol=1e-13)


def test_softmax_of_two_classes_is_logistic_regression(bind, rng):
    """With w = W₁ − W₀: the same cost, and ∂/∂W₁ = −∂/∂W₀ = ∂/∂w."""
    x, y = rng.normal(size=(1, 12, 3)), rng.integers(0, 2, (1, 12, 1))
    two = bind(1, 12, inputs=3, outputs=2, loss="cross_entropy")
    one = bind(1, 12, inputs=3, outputs=1, loss="binary_cross_entropy")
    W = rng.normal(size=(4, 2))  # the last row is b
    for net, target, theta in ((two, np.eye(2)[y[..., 0]], W), (one, y, W[:, 1] - W[:, 0])):
        net.set_inputs(x)
        net.set(y=target, theta=theta.reshape(1, -1))
    np.testing.assert_allclose(two.objective, one.objective, rtol=1e-13)
    dW, dw = two.gradient.reshape(4, 2), one.gradient.reshape(4)
    np.testing.assert_allclose(dW, np.stack([-dw, dw], axis=1), rtol=1e-12, atol=1e-15)


def test_batch_normalization_undoes_itself(bind, rng):
    """γ = √(σ²+ε) and β = μ give z back."""
    x = rng.normal(size=(2, 10, 3)) * 4 + 1
    net = bind(2, 10, inputs=3, outputs=4, hidden=(4,), activation="identity", batch_norm=True, loss="squared_error")
    W = rng.normal(size=(2, 3, 4))
    z = x @ W
    gamma, beta = np.sqrt(z.var(axis=1) + BATCH_NORM_EPSILON), z.mean(axis=1)
    last = np.broadcast_to(np.concatenate([np.eye(4), np.zeros((1, 4))]), (2, 5, 4))
    net.set_inputs(x)
    net.set(theta=np.concatenate([part.reshape(2, -1) for part in (W, gamma, beta, last)], axis=1))
    found, mean, variance = net.fetch(
        net.graph.z, net.graph.batch_statistics["mean1"], net.graph.batch_statistics["variance1"]
    )
    np.testing.assert_allclose(found, z, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mean[:, 0], z.mean(axis=1), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(variance[:, 0], z.var(axis=1), rtol=1e-12)


def test_batch_normalization_gives_mean_beta_and_deviation_gamma(bind, rng):
    net = bind(1, 50, inputs=3, outputs=2, hidden=(2,), activation="identity", batch_norm=True, loss="squared_error")
    net.set_inputs(rng.normal(size=(1, 50, 3)) * 10)
    last = [1.0, 0, 0, 1, 0, 0]
    net.set(theta=np.concatenate([rng.normal(size=6), [3.0, 0.5], [-1.0, 7.0], last])[None])
    z = net.fetch(net.graph.z)[0][0]
    np.testing.assert_allclose(z.mean(axis=0), [-1, 7], rtol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), [3, 0.5], rtol=1e-6)  # ε beside σ² of about 100


def test_padding_does_not_enter_the_statistics_of_a_batch(bind, rng):
    x = rng.normal(size=(1, 8, 3))
    options = {"inputs": 3, "outputs": 1, "hidden": (4,), "batch_norm": True, "loss": "squared_error"}
    padded, plain = bind(1, 8, even=False, **options), bind(1, 5, **options)
    theta = rng.normal(size=(1, plain.net.parameters))
    padded.set_inputs(x)
    padded.set(weight=(np.arange(8) < 5)[None, :, None] / 5, theta=theta)
    plain.set_inputs(x[:, :5])
    plain.set(theta=theta)
    np.testing.assert_allclose(padded.gradient, plain.gradient, rtol=1e-10, atol=1e-14)
    for name in ("mean1", "variance1"):
        found, expected = padded.graph.batch_statistics[name], plain.graph.batch_statistics[name]
        np.testing.assert_allclose(padded.fetch(found)[0], plain.fetch(expected)[0], rtol=1e-12)


def test_evaluation_uses_the_averages_it_is_given_and_no_mask(bind, rng):
    """z̃ = γ(z−μ)/√(σ²+ε) + β of the running averages, row by row."""
    options = {"inputs": 3, "outputs": 1, "hidden": (4,), "batch_norm": True, "dropout": (True,), "activation": "tanh"}
    net = bind(1, 6, training=False, loss="squared_error", **options)
    assert not any(name.startswith("mask") for name in net.arrays)
    x, W = rng.normal(size=(6, 3)), rng.normal(size=(3, 4))
    gamma, beta, mean, variance = *rng.normal(size=(3, 4)), rng.uniform(0.5, 2, 4)
    out = rng.normal(size=5)
    net.set_inputs(x[None])
    net.set(mean1=mean, variance1=variance, theta=np.concatenate([W.ravel(), gamma, beta, out])[None])
    normal = gamma * (x @ W - mean) / np.sqrt(variance + BATCH_NORM_EPSILON) + beta
    np.testing.assert_allclose(net.fetch(net.graph.z)[0][0, :, 0], np.tanh(normal) @ out[:4] + out[4], rtol=1e-12)


def test_masks_multiply_activations(bind, rng):
    net = bind(1, 5, inputs=2, outputs=1, hidden=(3,), dropout=(True,), activation="tanh", loss="squared_error")
    x, mask = rng.normal(size=(5, 2)), rng.integers(0, 2, (5, 3)) / 0.5
    theta = rng.normal(size=net.net.parameters)
    W1, b1, W2, b2 = theta[:6].reshape(2, 3), theta[6:9], theta[9:12], theta[12]
    net.set_inputs(x[None])
    net.set(mask1=mask, theta=theta[None])
    np.testing.assert_allclose(
        net.fetch(net.graph.z)[0][0, :, 0], (np.tanh(x @ W1 + b1) * mask) @ W2 + b2, rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("name", ["l2", "l1"])
def test_penalties_add_their_part_to_dW_and_spare_the_biases(bind, rng, name):
    """λ/(2m)·‖W‖² adds (λ/m)·W; λ/(2m)·‖W‖₁ adds λ/(2m)·sign W."""
    options = {"inputs": 3, "outputs": 2, "hidden": (4,), "batch_norm": False, "loss": "cross_entropy"}
    plain, penalized = bind(1, 5, **options), bind(1, 5, **options, **{name: True})
    theta = rng.normal(size=(1, plain.net.parameters))
    lam, m = 0.7, 5
    for net in (plain, penalized):
        net.set_inputs(np.random.default_rng(3).normal(size=(1, 5, 3)))
        net.set(y=np.eye(2)[[0, 1, 1, 0, 1]], theta=theta)
    penalized.set(**{name: lam / (2 * m)})
    weights = np.concatenate([np.full(s.stop - s.start, s.name[0] == "W") for s in plain.net.slots])
    W = theta[0] * weights
    added = lam / m * W if name == "l2" else lam / (2 * m) * np.sign(W)
    np.testing.assert_allclose(penalized.gradient[0] - plain.gradient[0], added, rtol=1e-12, atol=1e-15)
    size = (W**2).sum() if name == "l2" else np.abs(W).sum()
    assert penalized.objective - plain.objective == pytest.approx(lam / (2 * m) * size, rel=1e-12)


def test_gamma_and_beta_are_not_penalized(bind, rng):
    net = bind(1, 5, inputs=3, outputs=1, hidden=(4,), batch_norm=True, l2=True, loss="squared_error")
    net.set(l2=0.5, theta=rng.normal(size=(1, net.net.parameters)))
    weights = np.concatenate([np.full(s.stop - s.start, s.name[0] == "W") for s in net.net.slots])
    theta = net.backend.to_host(net.theta)[0]
    assert net.fetch(net.graph.penalty)[0].item() == pytest.approx(0.5 * (theta[weights] ** 2).sum(), rel=1e-12)
