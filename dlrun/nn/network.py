"""Networks as graphs over a stack of replicas, and the place of each parameter in the rows of θ.

Shapes: X (R, B, d), W_l (R, n_in, n_out), b_l (R, 1, n_out); all parameters of replica r are one row of θ (R, P), in
the order W1, b1 (or gamma1, beta1), W2, … Parameters are views of θ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dlrun.backend import Array
from dlrun.graph.arithmetic import absolute, inv, sqrt, square
from dlrun.graph.gradients import gradients
from dlrun.graph.node import Node, constant, name_scope, placeholder
from dlrun.graph.reductions import affine, matmul, reduce_sum
from dlrun.graph.shaping import pack
from dlrun.nn.activations import activation_named
from dlrun.nn.features import feature_count, fixed_tensors, mapped
from dlrun.nn.initializers import initial_weights
from dlrun.nn.losses import loss_named
from dlrun.nn.user_functions import UserFunctions

BATCH_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Slot:
    """A parameter of one replica: its name, its shape without the replica axis, its place in θ."""

    name: str
    shape: tuple[int, int]
    start: int

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Everything that replicas of one stack have in common."""

    inputs: int
    outputs: int
    loss: str
    hidden: tuple[int, ...] = ()
    activation: str = "relu"
    bias: bool = True
    batch_norm: bool = False
    dropout: tuple[bool, ...] = ()  # per hidden layer: whether any replica has keep_prob < 1
    l2: bool = False
    l1: bool = False
    feature_map: Any = None
    functions: UserFunctions | None = None  # a user's own cost and activation
    dtype: str = "float32"

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Units from the (mapped) inputs to the outputs."""
        return (feature_count(self.feature_map, self.inputs), *self.hidden, self.outputs)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The layout of a row of θ."""
        slots: list[Slot] = []
        for layer, (n_in, n_out) in enumerate(zip(self.widths, self.widths[1:], strict=False), start=1):
            shapes = {f"W{layer}": (n_in, n_out)}
            if self.batch_norm and layer <= len(self.hidden):  # the bias would be subtracted with the mean
                shapes |= {f"gamma{layer}": (1, n_out), f"beta{layer}": (1, n_out)}
            elif self.bias:
                shapes |= {f"b{layer}": (1, n_out)}
            for name, shape in shapes.items():
                slots.append(Slot(name, shape, slots[-1].stop if slots else 0))
        return tuple(slots)

    @property
    def parameters(self) -> int:
        """P, the parameters of one replica."""
        return self.slots[-1].stop

    @property
    def statistics(self) -> tuple[tuple[str, int], ...]:
        """Running averages of batch normalization: name and width, in the order of their row."""
        if not self.batch_norm:
            return ()
        return tuple(
            (f"{kind}{layer}", width)
            for layer, width in enumerate(self.hidden, start=1)
            for kind in ("mean", "variance")
        )

    def views(self, rows: Array) -> dict[str, Array]:
        """Rows (R, P) of θ or of its gradient as one view (R, n_in, n_out) per parameter."""
        R = rows.shape[0]
        return {slot.name: rows[:, slot.start : slot.stop].reshape(R, *slot.shape) for slot in self.slots}

    @cached_property
    def blocks(self) -> tuple[Slot, ...]:
        """θ as the graph sees it: W_l and b_l, neighbours in θ, are one matrix A_l = [W_l; b_l]."""
        found: list[Slot] = []
        for slot in self.slots:
            if slot.name.startswith("b") and not slot.name.startswith("beta"):
                W = found.pop()
                found.append(Slot(f"A{W.name[1:]}", (W.shape[0] + 1, W.shape[1]), W.start))
            else:
                found.append(slot)
        return tuple(found)

    def block_views(self, rows: Array) -> dict[str, Array]:
        """Rows (R, P) as one view per block."""
        R = rows.shape[0]
        return {block.name: rows[:, block.start : block.stop].reshape(R, *block.shape) for block in self.blocks}

    def statistic_views(self, rows: Array) -> dict[str, Array]:
        """Rows (R, Q) of running averages as one view (R, 1, width) each."""
        views, start = {}, 0
        for name, width in self.statistics:
            views[name] = rows[:, start : start + width].reshape(rows.shape[0], 1, width)
            start += width
        return views

    def initial_row(self, initialization: str, scale: float | tuple[float, ...], random: np.random.Generator) -> Any:
        """A first row of θ (P,), float64: weights by `initialization`, biases 0, γ 1, β 0."""
        row = np.zeros(self.parameters)
        for slot in self.slots:
            if slot.name.startswith("W"):
                weights = initial_weights(initialization, *slot.shape, random=random, scale=scale)
                row[slot.start : slot.stop] = weights.ravel()
            elif slot.name.startswith("gamma"):
                row[slot.start : slot.stop] = 1.0
        return row

    def initial_statistics(self) -> Any:
        """A first row of running averages (Q,): means 0, variances 1."""
        return np.concatenate(
            [np.full(width, float(name.startswith("variance"))) for name, width in self.statistics] or [np.zeros(0)]
        )

    def fixed_tensors(self, rows: Any, random: np.random.Generator) -> dict[str, Any]:
        """What the feature map draws once from a replica's scaled training rows."""
        return fixed_tensors(self.feature_map, rows, random)


class NetworkGraph:
    """The graph of one batch shape: leaves to bind, costs, outputs and, for training, gradients.

    Leaves: `x` (R, B, d+1), its last column ones; `y` (R, B, C); `weight` (R, B, 1), which sums to 1 over the
    batch, unless the batch is `even`: every row then weighs 1/B. Blocks of θ (`A1`, …); where they apply `mask1` …
    (R, B, n), already divided by keep_prob, `mean1` …, `centres`, and `l2`, `l1` = λ/(2m) (R, 1, 1). R = None leaves
    the replica axis open: each leaf may then have as many replicas as it differs in, or 1.
    """

    def __init__(self, net: Architecture, R: int | None, B: int, *, training: bool, even: bool = False) -> None:
        self.net = net
        self._R, self._B, self._training = R, B, training
        self.leaves: dict[str, Node] = {}
        self.x = self._leaf("x", R, B, net.inputs + 1)
        self.y = self._leaf("y", R, B, net.outputs)
        self.weight = constant(1 / B, net.dtype) if even else self._leaf("weight", R, B, 1)
        self.blocks = {block.name: self._leaf(block.name, R, *block.shape) for block in net.blocks}
        self.batch_statistics: dict[str, Node] = {}  # μ and σ² of the batch, (R, 1, n)
        self.layers: list[tuple[Node, Node]] = []  # z and a of each hidden layer
        self.z = self._forward()
        loss = loss_named(net.loss)
        if net.functions is not None:
            loss = net.functions.loss(loss)
        with name_scope("loss"):
            of_rows = constant(1, net.dtype) if even else self._leaf("present", R, B, 1) if not loss.mean else None
            self.cost = loss.of_batch(self.z, self.y, self.weight if loss.mean or of_rows is None else of_rows)
            self.row_losses = loss.of_row(self.z, self.y)  # (R, B, 1)
        self.penalty = self._penalty()
        self.gradient = self._gradient() if training else None

    def _leaf(self, name: str, *shape: int | None) -> Node:
        node = self.leaves[name] = placeholder(shape, self.net.dtype, name=name)
        return node

    def _forward(self) -> Node:
        """z of the last layer; each hidden layer is affine, (batch normalization), activation, (dropout)."""
        net, R, B = self.net, self._R, self._B
        plain = self.x[:, :, :-1]
        fixed = {}
        if net.feature_map is not None and net.feature_map.name == "rbf":
            fixed["centres"] = self._leaf("centres", R, net.inputs, net.widths[0])
        a = mapped(net.feature_map, plain, fixed)
        own = net.functions.activation if net.functions is not None else None
        activation = own or activation_named(net.activation)
        for layer, width in enumerate(net.hidden, start=1):
            with name_scope(f"layer{layer}"):
                z = self._linear(a, layer)
                if net.batch_norm:
                    z = self._normalized(z, layer, width)
                a = activation(z)
                self.layers.append((z, a))
                if self._training and net.dropout and net.dropout[layer - 1]:
                    a = a * self._leaf(f"mask{layer}", R, B, width)
        with name_scope(f"layer{len(net.hidden) + 1}"):
            return self._linear(a, len(net.hidden) + 1)

    def _linear(self, a: Node, layer: int) -> Node:
        """a·W + b. The rows of the data hold a column of ones already."""
        if f"W{layer}" in self.blocks:
            return matmul(a, self.blocks[f"W{layer}"])
        if layer == 1 and self.net.feature_map is None:
            return matmul(self.x, self.blocks["A1"])
        return affine(a, self.blocks[f"A{layer}"])

    def _normalized(self, z: Node, layer: int, width: int) -> Node:
        """z̃ = γ(z−μ)/√(σ²+ε) + β, μ and σ² of the batch in training, running averages otherwise."""
        if self._training:
            mean = self._batch_mean(z)
            centred = z - mean
            variance = self._batch_mean(square(centred))
            self.batch_statistics |= {f"mean{layer}": mean, f"variance{layer}": variance}
        else:
            centred = z - self._leaf(f"mean{layer}", self._R, 1, width)
            variance = self._leaf(f"variance{layer}", self._R, 1, width)
        scale = self.blocks[f"gamma{layer}"] * inv(sqrt(variance + BATCH_NORM_EPSILON))
        return centred * scale + self.blocks[f"beta{layer}"]

    def _batch_mean(self, x: Node) -> Node:
        if self.weight.rank == 0:
            return self.weight * reduce_sum(x, 1, keepdims=True)
        return reduce_sum(self.weight * x, 1, keepdims=True)

    def _penalty(self) -> Node | None:
        """λ2/(2m)·Σ‖W‖²_F + λ1/(2m)·Σ‖W‖₁ over the layers, biases left out: (R, 1, 1)."""
        sizes = {"l2": square, "l1": absolute}
        total: Node | None = None
        with name_scope("penalty"):
            for name in (name for name in sizes if getattr(self.net, name)):
                factor = self._leaf(name, self._R, 1, 1)
                for block, node in self.blocks.items():
                    if block[0] in "AW":
                        W = node[:, :-1, :] if block[0] == "A" else node
                        term = factor * reduce_sum(sizes[name](W), (1, 2), keepdims=True)
                        total = term if total is None else total + term
        return total

    def _gradient(self) -> Node:
        """∂(cost + penalty)/∂θ as rows (R, P)."""
        objective = self.cost if self.penalty is None else self.cost + self.penalty
        return pack(gradients(objective, list(self.blocks.values())))

    def bindings(self, arrays: Mapping[str, Array]) -> dict[Node, Array]:
        """Each leaf with the array of its name."""
        return {node: arrays[name] for name, node in self.leaves.items()}
