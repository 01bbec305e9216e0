"""Activations and gradients layer by layer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data.dataset import load_dataset
from dlrun.diagnosis.layers import LayerReport, compared_initializations, layer_statistics
from dlrun.nn.initializers import initial_weights
from dlrun.nn.network import Architecture
from dlrun.training.problem import Problem
from dlrun.training.run import TrainRun


def reports(name: str, *overrides: str) -> dict[str, LayerReport]:
    loaded = load_experiment(name, overrides=overrides)
    chosen = loaded.experiment
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    problem = Problem(chosen, dataset)
    backend = Backend()
    found = compared_initializations(problem, backend, TrainRun(problem, backend).split.train)
    return {each.name: each for each in found}


def test_the_example_of_the_texts() -> None:
    """diag(1.5, 0.5): after l layers the units are 1.5^l and 0.5^l; L = 10 gives 1.5^9 and 0.5^9."""
    report = reports("deep_linear")["diagonal 1.5, 0.5"]
    hidden = report.layers[:-1]
    assert len(hidden) == 9
    for each in hidden:
        assert each.largest == pytest.approx(1.5**each.layer, rel=1e-12)
        assert each.smallest == pytest.approx(0.5**each.layer, rel=1e-12)
    backward = [each.signal for each in hidden]
    for before, after in itertools.pairwise(backward):
        assert before / after == pytest.approx(1.5, rel=1e-12)  # the output looks at the growing unit alone
    assert report.verdict == "explode"
    assert "grow 1.5-fold per layer" in report.sentence
    assert "in the smallest unit activations shrink 0.5-fold per layer" in report.sentence


def test_a_diagonal_below_one_vanishes() -> None:
    report = reports("deep_linear", "model.scale=[0.5, 0.25]")["diagonal 0.5, 0.25"]
    assert report.verdict == "vanish"
    assert report.layers[8].largest == pytest.approx(0.5**9)


def test_initializations_of_a_deep_relu_network() -> None:
    """He keeps the size of activations and gradients, for which it was made; small weights do not, and zeros stay."""
    found = reports("digits", "model.hidden=[128,128,128,128,128,128,128,128]", "model.keep_prob=1.0")
    he, small, zeros, large = (found[name] for name in ("he", "normal 0.01", "zeros", "normal 1"))
    assert he.verdict == "steady"
    assert 1 / 3 < he.layers[7].spread / he.layers[0].spread < 3
    assert small.verdict == "vanish"
    assert small.layers[0].gradient < 1e-6 * he.layers[0].gradient
    assert large.verdict == "explode"
    assert zeros.verdict == "symmetric"
    assert zeros.layers[0].dead == 1
    assert found["xavier"].layers[7].spread < he.layers[7].spread  # 1/n where relu wants 2/n


def test_sigmoids_saturate_with_large_weights_and_vanish() -> None:
    found = reports("vanishing")
    assert found["normal 0.1"].verdict == "vanish"
    assert found["normal 1"].layers[2].saturated < 0.3
    huge = reports("vanishing", "model.scale=30.0")["normal 30"]
    assert huge.layers[1].saturated > 0.4


def test_statistics_are_those_of_numpy() -> None:
    """Two linear layers with a squared error, worked out by hand."""
    random = np.random.default_rng(0)
    net = Architecture(inputs=3, outputs=1, loss="squared_error", hidden=(2,), activation="identity", dtype="float64")
    x, y = random.standard_normal((1, 7, 4)), random.standard_normal((1, 7, 1))
    x[..., -1] = 1
    theta = random.standard_normal((1, net.parameters))
    first, last = layer_statistics(Backend(), net, {"x": x, "y": y}, theta, ["it"])[0].layers
    A1, A2 = theta[0, :8].reshape(4, 2), theta[0, 8:].reshape(3, 1)
    a = x[0] @ A1
    z = a @ A2[:2] + A2[2]
    dz = 2 * (z - y[0]) / 7
    da = dz @ A2[:2].T
    assert first.mean == pytest.approx(a.mean())
    assert first.spread == pytest.approx(a.std())
    assert first.largest == pytest.approx(np.sqrt((a**2).mean(axis=0)).max())
    assert first.signal == pytest.approx(np.sqrt((da**2).mean()))
    assert first.gradient == pytest.approx(np.linalg.norm(x[0, :, :3].T @ da))
    assert last.signal == pytest.approx(np.sqrt((dz**2).mean()))
    assert last.gradient == pytest.approx(np.linalg.norm(a.T @ dz))


def test_dead_units() -> None:
    net = Architecture(inputs=2, outputs=1, loss="squared_error", hidden=(4,), dtype="float64")
    x, y = np.ones((1, 5, 3)), np.zeros((1, 5, 1))
    theta = np.zeros((1, net.parameters))
    theta[0, 8:12] = [1, -1, -1, 2]  # biases alone: two units are always 0
    found = layer_statistics(Backend(), net, {"x": x, "y": y}, theta, ["it"])[0]
    assert found.layers[0].dead == 0.5


def test_no_gradient_at_all_is_no_vanishing_one() -> None:
    """A cost at its minimum: the outputs are the targets."""
    net = Architecture(inputs=2, outputs=1, loss="squared_error", hidden=(2, 2), activation="identity", dtype="float64")
    x = np.random.default_rng(0).standard_normal((1, 5, 3))
    x[..., -1] = 1
    theta = np.zeros((1, net.parameters))
    theta[0, 0] = 1.0
    found = layer_statistics(Backend(), net, {"x": x, "y": np.zeros((1, 5, 1))}, theta, ["it"])[0]
    assert found.verdict == "still"
    assert "flat here, or at its lowest" in found.sentence


def test_diagonal_weights() -> None:
    W = initial_weights("diagonal", 3, 5, random=np.random.default_rng(0), scale=(1.5, 0.5))
    assert W.shape == (3, 5)
    assert np.diag(W).tolist() == [1.5, 0.5, 1.5]
    assert W.sum() == 3.5
    assert np.diag(initial_weights("diagonal", 2, 2, random=np.random.default_rng(0), scale=0.9)).tolist() == [0.9, 0.9]
