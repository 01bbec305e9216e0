"""Gated recurrent unit: h_t = (1 − z)∘n + z∘h_{t−1}; r, z by the sigmoid of W·x + U·h + b.

n = tanh(W·x + b + r∘(U·h + c)).

Source: Cho and others 2014, in the variant whose reset stands behind the product. Gates in the order r, z, n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.arithmetic import sigmoid, tanh
from dlrun.graph.node import Node
from dlrun.graph.reductions import matmul
from dlrun.nn.layers.layer import Shape, Site
from dlrun.nn.layers.recurrent import Recurrent, State


@dataclass(frozen=True, kw_only=True)
class Gru(Recurrent):
    """W (inputs, 3·units), b (3·units,), U (units, 3·units), c (units,), the bias inside the reset."""

    kind: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return super().parameters(shape) | {"c": (1, self.units)}

    def step(self, x: Node, state: State | None, site: Site) -> State:
        u, c = self.units, site.block("c")
        x_r, x_z, x_n = (x[:, :, k * u : (k + 1) * u] for k in range(3))
        if state is None:
            return ((1 - sigmoid(x_z)) * tanh(x_n + sigmoid(x_r) * c),)
        h = state[0]
        product = matmul(h, site.block("U"))
        h_r, h_z, h_n = (product[:, :, k * u : (k + 1) * u] for k in range(3))
        z = sigmoid(x_z + h_z)
        n = tanh(x_n + sigmoid(x_r + h_r) * (h_n + c))
        return (n + z * (h - n),)
