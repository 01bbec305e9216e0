"""h_t = g(W·x_t + U·h_{t−1} + b), g = tanh: the vanilla recurrent network (Elman 1990)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.node import Node
from dlrun.graph.reductions import matmul
from dlrun.nn.layers.layer import Site
from dlrun.nn.layers.recurrent import Recurrent, State


@dataclass(frozen=True, kw_only=True)
class Rnn(Recurrent):
    """W (inputs, units), b (units,), U (units, units)."""

    kind: ClassVar[str] = "rnn"
    activation: str = "tanh"

    def step(self, x: Node, state: State | None, site: Site) -> State:
        z = x if state is None else x + matmul(state[0], site.block("U"))
        return (site.graph.activated(self.activation, z),)
