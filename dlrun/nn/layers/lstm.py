"""Long short-term memory: c_t = f∘c_{t−1} + i∘g, h_t = o∘tanh(c_t).

i, f, o are the sigmoid and g the tanh of W·x + U·h + b.

Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers and others 2000. Gates in the order i, f, g, o.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlrun.graph.arithmetic import sigmoid, tanh
from dlrun.graph.node import Node
from dlrun.graph.reductions import matmul
from dlrun.nn.layers.layer import Draw, FloatArray, Shape, Site
from dlrun.nn.layers.recurrent import Recurrent, State


@dataclass(frozen=True, kw_only=True)
class Lstm(Recurrent):
    """W (inputs, 4·units), b (4·units,), U (units, 4·units); the state is (h, c). Forget gates begin open: b_f = 1."""

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4

    def first(self, shape: Shape, draw: Draw) -> dict[str, FloatArray]:
        b = np.zeros((1, 4 * self.units))
        b[:, self.units : 2 * self.units] = 1
        return super().first(shape, draw) | {"b": b}

    def step(self, x: Node, state: State | None, site: Site) -> State:
        u = self.units
        z = x if state is None else x + matmul(state[0], site.block("U"))
        i, f, g, o = (z[:, :, k * u : (k + 1) * u] for k in range(4))
        c = sigmoid(i) * tanh(g)
        if state is not None:
            c = sigmoid(f) * state[1] + c
        return sigmoid(o) * tanh(c), c
