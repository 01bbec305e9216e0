"""The largest number of each window of size × size places, channel by channel, without padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.node import Node
from dlrun.graph.windows import max_pool, places
from dlrun.nn.layers.layer import Layer, Shape, Site, need_rank


@dataclass(frozen=True, kw_only=True)
class MaxPool(Layer):
    """Pooling; the windows lie side by side unless `stride` says otherwise."""

    kind: ClassVar[str] = "max_pool"
    size: int = 2
    stride: int | None = None

    def output_shape(self, shape: Shape) -> Shape:
        need_rank(shape, 3)
        return (*(places(size, self.size, self.stride or self.size, "valid") for size in shape[:2]), shape[2])

    def build(self, a: Node, site: Site) -> Node:
        return max_pool(a, self.size, stride=self.stride)
