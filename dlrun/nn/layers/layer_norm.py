"""z̃ = γ(z − μ)/√(σ² + ε) + β with μ and σ² over the last axis of each row: units, or channels of a place.

Source: Ba, Kiros and Hinton 2016; ε = 1e-5. It is the same in training and evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlrun.graph.arithmetic import inv, sqrt, square
from dlrun.graph.node import Node
from dlrun.graph.reductions import reduce_sum
from dlrun.nn.layers.batch_norm import EPSILON, _spread
from dlrun.nn.layers.layer import Draw, FloatArray, Layer, Shape, Site


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Layer):
    """Layer normalization."""

    kind: ClassVar[str] = "layer_norm"

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return {"gamma": (1, shape[-1]), "beta": (1, shape[-1])}

    def first(self, shape: Shape, draw: Draw) -> dict[str, FloatArray]:
        return {"gamma": np.ones((1, shape[-1]))}

    def build(self, a: Node, site: Site) -> Node:
        width, extra = site.shape[-1], len(site.shape) - 1
        centred = a - reduce_sum(a, -1, keepdims=True) * (1 / width)
        variance = reduce_sum(square(centred), -1, keepdims=True) * (1 / width)
        gamma, beta = (_spread(site.block(stem), extra, width) for stem in ("gamma", "beta"))
        return centred * inv(sqrt(variance + EPSILON)) * gamma + beta
