"""Running graphs on the backend under test and on the strict stand-in for CuPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from backend.strict import StrictBackend

from dlrun.backend import Backend
from dlrun.graph.node import Node
from dlrun.graph.plan import Plan

Evaluate = Callable[[Sequence[Node], Mapping[Node, Any]], list[np.ndarray]]


@pytest.fixture(params=["device", "strict"])
def compute(request: pytest.FixtureRequest, backend: Backend) -> Backend:
    """The backend of DLRUN_TEST_DEVICE, then the stand-in."""
    return backend if request.param == "device" else StrictBackend()


@pytest.fixture
def evaluate(compute: Backend) -> Evaluate:
    """`evaluate([nodes], {leaf: array})` gives the values through a plan that was run twice."""

    def run(nodes: Sequence[Node], values: Mapping[Node, Any]) -> list[np.ndarray]:
        bindings = {leaf: compute.to_device(value, leaf.dtype) for leaf, value in values.items()}
        plan = Plan(compute, nodes, bindings)
        with compute.quiet():
            plan.run()
            plan.run()  # what one run leaves behind must not show in the next
        return [np.array(compute.to_host(plan.outputs[node])) for node in nodes]

    return run
