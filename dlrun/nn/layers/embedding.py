"""A row of learned numbers for each token: (T, 1) token numbers → (T, units), W (tokens, units)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.lookup import lookup
from dlrun.graph.node import Node
from dlrun.graph.shaping import squeeze
from dlrun.nn.layers.layer import Draw, FloatArray, Layer, Shape, Site


@dataclass(frozen=True, kw_only=True)
class Embedding(Layer):
    """The first layer of a network that reads tokens; its weights begin as N(0, 1/units)."""

    kind: ClassVar[str] = "embedding"
    units: int
    tokens: int = 0

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or shape[1] != 1 or not self.tokens:
            raise ValueError("takes a sequence of tokens, as data.text and whole numbers of data.tokens give them")
        return (shape[0], self.units)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return {"W": (self.tokens, self.units)}

    def first(self, shape: Shape, draw: Draw) -> dict[str, FloatArray]:
        W = draw.random.standard_normal((self.tokens, self.units)) / self.units**0.5
        return {"W": W * (not draw.zeros)}

    def build(self, a: Node, site: Site) -> Node:
        return lookup(site.block("W"), squeeze(a, 3))
