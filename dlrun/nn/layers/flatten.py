"""All numbers of a picture or a sequence as one row, the last axis running fastest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.node import Node
from dlrun.graph.shaping import reshape
from dlrun.nn.layers.layer import Layer, Shape, Site


@dataclass(frozen=True, kw_only=True)
class Flatten(Layer):
    """(H, W, C) → (H·W·C,) and (T, d) → (T·d,)."""

    kind: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def build(self, a: Node, site: Site) -> Node:
        if len(site.shape) == 1:
            return a
        return reshape(a, (a.shape[0] or -1, site.graph.B, math.prod(site.shape)))
