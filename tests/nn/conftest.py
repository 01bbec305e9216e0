from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.graph.plan import Plan
from dlrun.nn.network import Architecture, NetworkGraph


class Bound:
    """A network on arrays of its own: set `arrays`, `run`, read figures as host arrays."""

    def __init__(
        self, backend: Backend, net: Architecture, R: int, B: int, *, training: bool = True, even: bool = True
    ) -> None:
        self.backend, self.net, self.R, self.B = backend, net, R, B
        self.graph = NetworkGraph(net, R, B, training=training, even=even)
        self.theta = backend.zeros((R, net.parameters), net.dtype)
        blocks = net.block_views(self.theta)
        self.arrays: dict[str, Any] = {
            name: blocks[name] if name in blocks else backend.zeros(node.shape, net.dtype)
            for name, node in self.graph.leaves.items()
        }
        self.set(x=np.ones(self.arrays["x"].shape))  # the last column stays ones
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def set(self, **values: Any) -> None:
        for name, value in values.items():
            target = self.theta if name == "theta" else self.arrays[name]
            source = np.broadcast_to(np.asarray(value, self.net.dtype), target.shape)
            self.backend.xp.copyto(target, self.backend.to_device(source))

    def set_inputs(self, x: Any) -> None:
        self.backend.xp.copyto(self.arrays["x"][:, :, :-1], self.backend.to_device(np.asarray(x, self.net.dtype)))

    def fetch(self, *nodes: Any) -> list[np.ndarray]:
        plan = self._plans.get(nodes)
        if plan is None:
            plan = self._plans[nodes] = Plan(self.backend, list(nodes), self.graph.bindings(self.arrays))
        with self.backend.quiet():
            plan.run()
        return [self.backend.to_host(plan.outputs[node]).copy() for node in nodes]

    @property
    def objective(self) -> np.ndarray:
        """Cost and penalty, (R,)."""
        nodes = [self.graph.cost] + ([self.graph.penalty] if self.graph.penalty is not None else [])
        return sum(part.reshape(self.R) for part in self.fetch(*nodes))

    @property
    def gradient(self) -> np.ndarray:
        return self.fetch(self.graph.gradient)[0]


@pytest.fixture
def bind(backend: Backend) -> Callable[..., Bound]:
    def make(R: int, B: int, *, training: bool = True, even: bool = True, **architecture: Any) -> Bound:
        options: Mapping[str, Any] = {"dtype": "float64", **architecture}
        return Bound(backend, Architecture(**options), R, B, training=training, even=even)

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
