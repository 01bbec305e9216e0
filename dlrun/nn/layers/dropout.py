"""Inverted dropout: in training a unit is kept with probability keep_prob and divided by it; else nothing is done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.node import Node
from dlrun.graph.shaping import reshape
from dlrun.nn.layers.layer import Layer, Site


@dataclass(frozen=True, kw_only=True)
class Dropout(Layer):
    """The masks are leaves of the graph, drawn by `training.dropout`; keep_prob may differ between replicas."""

    kind: ClassVar[str] = "dropout"
    keep_prob: float = 1.0

    def build(self, a: Node, site: Site) -> Node:
        graph = site.graph
        if not graph.drops(site.dropout):
            return a
        mask = graph.leaf(f"mask{site.dropout}", graph.R, graph.B, math.prod(site.shape))
        if len(site.shape) == 1:
            return a * mask
        return a * reshape(mask, (-1 if graph.R is None else graph.R, graph.B, *site.shape))
