"""The gradient of every kind of network against two-sided differences in float64."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from dlrun.nn.activations import ACTIVATIONS
from dlrun.nn.losses import LOSSES

R, B, INPUTS, EPSILON = 2, 6, 3, 1e-6
MAPS = (
    None,
    SimpleNamespace(name="polynomial", degree=2),
    None,
    SimpleNamespace(name="polynomial", degree=3),
    SimpleNamespace(name="rbf", count=4, gamma=0.7),
)
HIDDEN = ((4, 3), (5,), ())


def cases():
    """Every activation × batch normalization × dropout × loss; the other options take turns, at coprime lengths."""
    product = itertools.product(sorted(ACTIVATIONS), (False, True), (False, True), sorted(LOSSES))
    for i, (activation, batch_norm, dropout, loss) in enumerate(product):
        options = {
            "activation": activation,
            "batch_norm": batch_norm,
            "loss": loss,
            "hidden": HIDDEN[i % 11 % 3],
            "feature_map": MAPS[i % 5],
            "bias": i % 7 not in (2, 5),
            "l2": i % 3 == 1,
            "l1": i % 13 in (3, 8, 9),
        }
        options["dropout"] = (dropout,) * len(options["hidden"])
        even = i % 9 in (0, 2, 5, 7)
        words = [activation, loss, *(name for name in ("batch_norm", "bias", "l1", "l2") if options[name])]
        words += ["dropout"] * dropout + ["even" if even else "padded", str(options["hidden"])]
        yield pytest.param(options, even, id=f"{i}-{'-'.join(words)}")


@pytest.mark.parametrize(("options", "even"), list(cases()))
def test_gradient_equals_differences(bind, rng, options, even):
    outputs = 3 if "cross" in options["loss"] and "binary" not in options["loss"] else 1
    net = bind(R, B, even=even, inputs=INPUTS, outputs=outputs, **options)
    net.set_inputs(rng.normal(size=(R, B, INPUTS)))
    y = rng.normal(size=(R, B, outputs))
    if LOSSES[options["loss"]].task == "classification":
        y = np.eye(3)[rng.integers(0, 3, (R, B))] if outputs == 3 else rng.integers(0, 2, (R, B, 1))
    net.set(y=y)
    for name, array in net.arrays.items():
        if name.startswith("mask"):
            net.set(**{name: rng.integers(0, 2, array.shape) / 0.5})
        elif name == "centres":
            net.set(centres=rng.normal(size=array.shape))
        elif name in ("l1", "l2"):
            net.set(**{name: rng.uniform(0.05, 0.3, array.shape)})
    if not even:
        present = np.ones((R, B, 1))
        present[0, 4:], present[1, 5:] = 0, 0
        net.set(**{"weight": present / present.sum(axis=1, keepdims=True)})
        if "present" in net.arrays:
            net.set(present=present)
    theta = rng.normal(size=(R, net.net.parameters)) * 0.7
    net.set(theta=theta)
    expected = np.empty_like(theta)
    for j in range(theta.shape[1]):  # replicas do not touch each other: all are moved at once
        change = np.zeros_like(theta)
        change[:, j] = EPSILON
        net.set(theta=theta + change)
        above = net.objective
        net.set(theta=theta - change)
        expected[:, j] = (above - net.objective) / (2 * EPSILON)
    net.set(theta=theta)
    found = net.gradient
    assert np.linalg.norm(found) > 0
    for r in range(R):
        difference = np.linalg.norm(found[r] - expected[r])
        assert difference <= 1e-7 * (np.linalg.norm(found[r]) + np.linalg.norm(expected[r]))
