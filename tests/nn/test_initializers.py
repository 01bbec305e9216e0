from __future__ import annotations

import numpy as np
import pytest

from dlrun.nn.initializers import STANDARD_DEVIATIONS, initial_weights
from dlrun.nn.network import Architecture

VARIANCES = {"he": 2 / 400, "xavier": 1 / 400, "glorot": 2 / (400 + 100), "normal": 0.3**2, "zeros": 0.0}


def test_every_initialization_is_covered():
    assert set(VARIANCES) == set(STANDARD_DEVIATIONS)


@pytest.mark.parametrize("name", sorted(VARIANCES))
def test_variance(rng, name):
    """400 → 100: the variance of 40 000 normal numbers is within 2.5 % (3.5 standard deviations), the mean near 0."""
    W = initial_weights(name, 400, 100, random=rng, scale=0.3)
    assert W.shape == (400, 100)
    assert W.var() == pytest.approx(VARIANCES[name], rel=0.025)
    assert abs(W.mean()) <= 4 * np.sqrt(VARIANCES[name] / W.size)


def test_first_row_of_theta(rng):
    """Biases and β start at 0, γ at 1; the batch-normalized layers have no bias."""
    net = Architecture(inputs=3, outputs=2, loss="cross_entropy", hidden=(4, 5), batch_norm=True)
    names = [slot.name for slot in net.slots]
    assert names == ["W1", "gamma1", "beta1", "W2", "gamma2", "beta2", "W3", "b3"]
    assert net.parameters == 3 * 4 + 4 + 4 + 4 * 5 + 5 + 5 + 5 * 2 + 2
    row = net.initial_row("he", 0.01, rng)
    for slot in net.slots:
        part = row[slot.start : slot.stop]
        assert (part == {"g": 1, "b": 0}[slot.name[0]]).all() if slot.name[0] != "W" else part.all()
    np.testing.assert_array_equal(net.initial_statistics(), [0] * 4 + [1] * 4 + [0] * 5 + [1] * 5)
    assert [name for name, _ in net.statistics] == ["mean1", "variance1", "mean2", "variance2"]


def test_without_bias():
    net = Architecture(inputs=3, outputs=1, loss="squared_error", hidden=(2,), bias=False)
    assert [slot.name for slot in net.slots] == ["W1", "W2"]
