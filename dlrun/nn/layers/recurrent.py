"""What recurrent layers share: steps in their order, padding that changes nothing, truncation.

The inputs of all steps are multiplied by W at once; then a step follows a step. Where a step is padding the state stays
what it was. With truncation the state is carried over every k-th step, and its derivative is not.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlrun.graph.node import Node, apply
from dlrun.graph.reductions import affine
from dlrun.graph.shaping import concatenate, reshape, stop_gradient
from dlrun.nn.layers.layer import Draw, FloatArray, Layer, Shape, Site, need_rank

State = tuple[Node, ...]  # h first


@dataclass(frozen=True, kw_only=True)
class Recurrent(Layer):
    """(T, d) → (T, units), the state h after each step. W (d, g·u), b (g·u,), U (u, g·u)."""

    gates: ClassVar[int] = 1
    units: int

    @abstractmethod
    def step(self, x: Node, state: State | None, site: Site) -> State:
        """The state after a step whose input is x = W·x_t + b, (R, B, g·u); `state` None is one of zeros."""

    def output_shape(self, shape: Shape) -> Shape:
        need_rank(shape, 2)
        return (shape[0], self.units)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        width = self.gates * self.units
        return {"W": (shape[1], width), "b": (1, width), "U": (self.units, width)}

    def first(self, shape: Shape, draw: Draw) -> dict[str, FloatArray]:
        """W as Glorot and Bengio have it, for each gate; U orthogonal, for each gate (Saxe and others 2013)."""
        if draw.zeros:
            return {}
        d, u = shape[1], self.units
        deviation = np.sqrt(2 / (d + u))
        W = draw.random.standard_normal((d, self.gates * u)) * deviation
        U = np.concatenate([_orthogonal(u, draw.random) for _ in range(self.gates)], axis=1)
        return {"W": W, "U": U}

    def products(self, shape: Shape) -> list[tuple[int, int, int]]:
        width = self.gates * self.units
        return [(shape[0], shape[1], width), *[(1, self.units, width)] * (shape[0] - 1)]

    def build(self, a: Node, site: Site) -> Node:
        graph, (T, d) = site.graph, site.shape
        width = self.gates * self.units
        rows = reshape(a, (a.shape[0] or -1, graph.B * T, d))
        z = affine(rows, site.block("A"))
        z = reshape(z, (z.shape[0] or -1, graph.B, T, width))
        state: State | None = None
        outputs = []
        for t in range(T):
            if state is not None and graph.net.truncate and t % graph.net.truncate == 0:
                state = tuple(map(stop_gradient, state))
            state = self._masked(self.step(z[:, :, t], state, site), state, site, t)
            outputs.append(state[0][:, :, None, :])
        assert state is not None
        if graph.R is None:  # the first state may be the same for all replicas where later ones are not
            outputs = [apply("broadcast_like", each, outputs[-1]) for each in outputs]
        whole = concatenate(outputs, 2)
        graph.final_states[whole] = state[0]
        return whole

    @staticmethod
    def _masked(new: State, old: State | None, site: Site, t: int) -> State:
        """The new state where the step is there, the old one where it is padding."""
        mask = site.graph.step_mask
        if mask is None:
            return new
        here = mask[:, :, t]  # (R, B, 1)
        if old is None:
            return tuple(here * n for n in new)
        return tuple(o + here * (n - o) for n, o in zip(new, old, strict=True))


def _orthogonal(units: int, random: np.random.Generator) -> FloatArray:
    q, r = np.linalg.qr(random.standard_normal((units, units)))
    return np.asarray(q * np.sign(np.diag(r)))
