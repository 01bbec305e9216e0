"""z̃ = γ(z − μ)/√(σ² + ε) + β: μ and σ² of the batch in training, their running averages otherwise.

Source: Ioffe and Szegedy 2015. Statistics are per unit; of a picture per channel, over all places; of a sequence per
number, over all steps. σ² is the population's variance, ε = 1e-5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlrun.graph.arithmetic import inv, sqrt, square
from dlrun.graph.node import Node
from dlrun.graph.reductions import reduce_sum
from dlrun.graph.shaping import reshape
from dlrun.nn.layers.layer import Draw, FloatArray, Layer, Shape, Site

EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Layer):
    """Batch normalization."""

    kind: ClassVar[str] = "batch_norm"

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return {"gamma": (1, shape[-1]), "beta": (1, shape[-1])}

    def statistics(self, shape: Shape) -> dict[str, int]:
        return {"mean": shape[-1], "variance": shape[-1]}

    def first(self, shape: Shape, draw: Draw) -> dict[str, FloatArray]:
        return {"gamma": np.ones((1, shape[-1]))}

    def build(self, a: Node, site: Site) -> Node:
        graph, width, extra = site.graph, site.shape[-1], len(site.shape) - 1
        names = [f"{stem}{site.number}" for stem in ("mean", "variance")]
        if graph.training:
            mean = _batch_mean(a, site)
            centred = a - mean
            variance = _batch_mean(square(centred), site)
            for name, node in zip(names, (mean, variance), strict=True):
                graph.batch_statistics[name] = _spread(node, 0, width) if extra else node
        else:
            running = [graph.leaf(name, graph.R, 1, width) for name in names]
            mean, variance = (_spread(node, extra, width) for node in running)
            centred = a - mean
        gamma, beta = (_spread(site.block(stem), extra, width) for stem in ("gamma", "beta"))
        scale = gamma * inv(sqrt(variance + EPSILON))
        return centred * scale + beta


def _spread(node: Node, extra: int, width: int) -> Node:
    """(R, 1, …, n) with as many axes of 1 as rows have beside their last."""
    wanted = extra + 3
    if node.rank == wanted:
        return node
    replicas = node.shape[0]
    return reshape(node, (-1 if replicas is None else replicas, *(1,) * (extra + 1), width))


def _batch_mean(x: Node, site: Site) -> Node:
    """The mean over the rows of the batch, which count by their weight, and over all places of a row."""
    weight, places = site.graph.weight, math.prod(site.shape[:-1])
    axes = tuple(range(1, 2 + len(site.shape[:-1])))
    if places > 1:
        weight = weight * (1 / places)
    if weight.rank == 0:
        return weight * reduce_sum(x, axes if len(axes) > 1 else 1, keepdims=True)
    if len(axes) > 1:
        weight = reshape(weight, (-1 if site.graph.R is None else site.graph.R, site.graph.B, *(1,) * len(site.shape)))
        return reduce_sum(weight * x, axes, keepdims=True)
    return reduce_sum(weight * x, 1, keepdims=True)
