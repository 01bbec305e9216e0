"""z = a·W + b, then an activation; of a sequence, at each step.

Source: the course texts; W (inputs, units) and b (units,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.node import Node
from dlrun.graph.reductions import affine, matmul
from dlrun.graph.shaping import reshape
from dlrun.nn.layers.layer import Draw, FloatArray, Layer, Shape, Site, need_rank


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """A fully connected layer; the output layer of every network is one."""

    kind: ClassVar[str] = "dense"
    units: int
    activation: str = "relu"
    bias: bool = True

    def output_shape(self, shape: Shape) -> Shape:
        need_rank(shape, 1, 2)
        return (*shape[:-1], self.units)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        W: dict[str, Shape] = {"W": (shape[-1], self.units)}
        return W | ({"b": (1, self.units)} if self.bias else {})

    def first(self, shape: Shape, draw: Draw) -> dict[str, FloatArray]:
        return {"W": draw.weights(shape[-1], self.units, self.units)}

    def products(self, shape: Shape) -> list[tuple[int, int, int]]:
        return [(shape[0] if len(shape) == 2 else 1, shape[-1], self.units)]

    def build(self, a: Node, site: Site) -> Node:
        return site.graph.activated(self.activation, self.linear(a, site))

    def linear(self, a: Node, site: Site) -> Node:
        """a·W + b. The rows of the data hold a column of ones already."""
        if len(site.shape) == 2:
            R, B, T, d = a.shape
            rows = reshape(a, (-1 if R is None else R, (B or 1) * (T or 1), d or 1))
            z = self._product(rows, site)
            return reshape(
                z, (-1 if R is None and z.shape[0] is None else z.shape[0] or -1, B or 1, T or 1, self.units)
            )
        if site.graph.is_input(a) and site.has("A"):
            return matmul(site.graph.x, site.block("A"))
        return self._product(a, site)

    def _product(self, a: Node, site: Site) -> Node:
        return affine(a, site.block("A")) if site.has("A") else matmul(a, site.block("W"))
