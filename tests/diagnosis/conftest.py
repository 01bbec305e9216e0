"""Networks with a batch of random rows, for checking their gradients without any experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from dlrun.backend import Backend
from dlrun.diagnosis.batch import CheckedBatch
from dlrun.nn.losses import LOSSES
from dlrun.nn.network import Architecture

Checked = Callable[..., CheckedBatch]


def random_batch(*, B: int = 12, keep_prob: float = 0.7, seed: int = 0, **options: Any) -> CheckedBatch:
    """A network of the given architecture at random weights, biases too, on B random rows."""
    net = Architecture(
        **{"inputs": 5, "outputs": 3, "loss": "cross_entropy", "hidden": (6,), "dtype": "float64"} | options
    )
    random = np.random.default_rng(seed)
    x = random.standard_normal((1, B, net.inputs + 1))
    x[..., -1] = 1
    loss = LOSSES[net.loss]
    if loss.task == "regression":
        y = random.standard_normal((1, B, net.outputs))
    elif loss.one_output:
        y = random.integers(0, 2, (1, B, 1)).astype(np.float64)
    else:
        y = np.eye(net.outputs)[random.integers(0, net.outputs, (1, B))]
    arrays = {"x": x, "y": y, "l2": np.full((1, 1, 1), 0.02), "l1": np.full((1, 1, 1), 0.03)}
    for layer, width in enumerate(net.hidden, start=1):
        arrays[f"mask{layer}"] = (random.random((1, B, width)) < keep_prob) / keep_prob
    if net.feature_map is not None and net.feature_map.name == "rbf":
        arrays["centres"] = random.standard_normal((1, net.inputs, net.widths[0]))
    theta = net.initial_row("glorot", 0.01, random) + 0.2 * random.standard_normal(net.parameters)
    return CheckedBatch(Backend(), net, arrays, theta, np.arange(B))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread for the BLAS, as the commands have it."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture
def checked() -> Checked:
    """`checked(hidden=(4,), l2=True)` is such a batch."""
    return random_batch
