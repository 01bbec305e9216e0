"""The mean over the steps of a sequence, (T, d) → (d,); of a padded one over those that are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.arithmetic import maximum
from dlrun.graph.node import Node
from dlrun.graph.reductions import reduce_sum
from dlrun.nn.layers.layer import Layer, Shape, Site, need_rank


@dataclass(frozen=True, kw_only=True)
class MeanOverTime(Layer):
    """Average pooling over time."""

    kind: ClassVar[str] = "mean_over_time"

    def output_shape(self, shape: Shape) -> Shape:
        need_rank(shape, 2)
        return shape[1:]

    def build(self, a: Node, site: Site) -> Node:
        mask = site.graph.step_mask
        if mask is None:
            return reduce_sum(a, 2) * (1 / site.shape[0])
        return reduce_sum(mask * a, 2) / maximum(reduce_sum(mask, 2), 1)
