"""The mean of each channel over all places of a picture: (H, W, C) → (C,)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.node import Node
from dlrun.graph.reductions import reduce_sum
from dlrun.nn.layers.layer import Layer, Shape, Site, need_rank


@dataclass(frozen=True, kw_only=True)
class GlobalAveragePool(Layer):
    """Global average pooling (Lin, Chen and Yan 2013)."""

    kind: ClassVar[str] = "global_average_pool"

    def output_shape(self, shape: Shape) -> Shape:
        need_rank(shape, 3)
        return shape[2:]

    def build(self, a: Node, site: Site) -> Node:
        return reduce_sum(a, (2, 3)) * (1 / (site.shape[0] * site.shape[1]))
