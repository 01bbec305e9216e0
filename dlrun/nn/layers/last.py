"""The last step of a sequence, (T, d) → (d,); of a padded one the last that is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.node import Node
from dlrun.graph.reductions import reduce_sum
from dlrun.nn.layers.layer import Layer, Shape, Site, need_rank


@dataclass(frozen=True, kw_only=True)
class Last(Layer):
    """Behind a recurrent layer this is its last state, which padding has left alone."""

    kind: ClassVar[str] = "last"

    def output_shape(self, shape: Shape) -> Shape:
        need_rank(shape, 2)
        return shape[1:]

    def build(self, a: Node, site: Site) -> Node:
        final, mask, T = site.graph.final_states.get(a), site.graph.step_mask, site.shape[0]
        if final is not None:
            return final
        if mask is None:
            return a[:, :, T - 1]
        ends = mask[:, :, T - 1] * a[:, :, T - 1]
        if T > 1:  # 1 at the step behind which padding begins
            ends = ends + reduce_sum((mask[:, :, :-1] - mask[:, :, 1:]) * a[:, :, :-1], 2)
        return ends
