"""Networks as graphs over a stack of replicas, and the place of each parameter in the rows of θ.

Shapes: X (R, B, d), W_l (R, n_in, n_out), b_l (R, 1, n_out); all parameters of replica r are one row of θ (R, P), in
the order W1, b1 (or gamma1, beta1), W2, … Parameters are views of θ. What a layer is stands in `nn.layers`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dlrun.backend import Array
from dlrun.errors import ConfigError
from dlrun.graph.arithmetic import absolute, square
from dlrun.graph.gradients import gradients
from dlrun.graph.node import Node, constant, name_scope, placeholder
from dlrun.graph.reductions import reduce_sum
from dlrun.graph.shaping import pack, reshape
from dlrun.nn.activations import activation_named
from dlrun.nn.features import feature_count, fixed_tensors, mapped
from dlrun.nn.initializers import initial_weights
from dlrun.nn.layers import Dense, Draw, Layer, Shape, Site, short_form, shown
from dlrun.nn.layers.batch_norm import EPSILON as BATCH_NORM_EPSILON
from dlrun.nn.losses import loss_named
from dlrun.nn.user_functions import UserFunctions

MATRICES = ("W", "U")  # parameters that are no vectors; the penalties are theirs


@dataclass(frozen=True)
class Slot:
    """A parameter of one replica: its name, its shape without the replica axis, its place in θ."""

    name: str
    shape: tuple[int, ...]
    start: int
    vector: bool = False  # a row (1, n) in the graph, which a file holds as (n,)

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape)

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape that it has in a model file."""
        return self.shape[1:] if self.vector else self.shape


@dataclass(frozen=True)
class Placed:
    """A layer in its place: its number among those with parameters, that among dropout layers, and a row's shape."""

    layer: Layer
    number: int
    dropout: int
    shape: Shape
    output: Shape


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Everything that replicas of one stack have in common."""

    inputs: int
    outputs: int
    loss: str
    hidden: tuple[int, ...] = ()
    layers: tuple[Layer, ...] | None = None  # in place of hidden
    input_shape: tuple[int, ...] | None = None  # of a row: (H, W, C) or (T, d); left out, (inputs,)
    masked: bool = False  # the last number of a step says whether it is there
    truncate: int | None = None  # steps after which the derivative of a recurrent state is cut
    activation: str = "relu"
    bias: bool = True
    batch_norm: bool = False
    dropout: tuple[bool, ...] = ()  # per dropout layer: whether any replica has keep_prob < 1
    l2: bool = False
    l1: bool = False
    feature_map: Any = None
    functions: UserFunctions | None = None  # a user's own cost and activation
    dtype: str = "float32"

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        """All layers with their places; the last is the output layer. ConfigError where shapes do not fit."""
        short = self.layers is None
        layers = (
            short_form(self.hidden, activation=self.activation, bias=self.bias, batch_norm=self.batch_norm)
            if self.layers is None
            else self.layers
        )
        shape: Shape = (feature_count(self.feature_map, self.inputs),)
        if self.input_shape is not None:
            shape = (*self.input_shape[:-1], self.input_shape[-1] - self.masked)
        found: list[Placed] = []
        number = dropped = 0
        for place, layer in enumerate((*layers, Dense(units=self.outputs, activation="identity", bias=self.bias)), 1):
            last = place > len(layers)
            try:
                if last and len(shape) != 1:
                    raise ValueError("takes a flat row")
                output = layer.output_shape(shape)
            except ValueError as error:
                raise ConfigError(_misfit(place, layer, shape, str(error), last=last)) from None
            if layer.own_number and layer.parameters(shape):
                number += 1
            dropped += layer.kind == "dropout"
            found.append(Placed(layer, number, dropped, shape, output))
            shape = output
        assert not short or number == len(self.hidden) + 1
        return tuple(found)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Numbers of a row from the (mapped) inputs through the layers to the outputs."""
        first = feature_count(self.feature_map, self.inputs)
        if self.layers is None:
            return (first, *self.hidden, self.outputs)
        return (first, *(math.prod(each.output) for each in self.placed if each.layer.kind != "flatten"))

    @cached_property
    def products(self) -> tuple[tuple[int, int, int], ...]:
        """The matrix products of a row, (rows, inner extent, columns) each."""
        return tuple(product for each in self.placed for product in each.layer.products(each.shape))

    @cached_property
    def widest(self) -> int:
        """The most numbers that a row becomes anywhere, windows included."""
        return max(*self.widths, *(m * k for m, k, _ in self.products))

    @cached_property
    def masks(self) -> dict[int, int]:
        """Numbers of the dropout layers that drop anything, and how many units of a row each has."""
        return {
            each.dropout: math.prod(each.shape)
            for each in self.placed
            if each.layer.kind == "dropout" and each.dropout <= len(self.dropout) and self.dropout[each.dropout - 1]
        }

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The layout of a row of θ."""
        slots: list[Slot] = []
        for each in self.placed:
            for stem, shape in each.layer.parameters(each.shape).items():
                start = slots[-1].stop if slots else 0
                slots.append(Slot(f"{stem}{each.number}", shape, start, vector=stem not in MATRICES))
        return tuple(slots)

    @property
    def parameters(self) -> int:
        """P, the parameters of one replica."""
        return self.slots[-1].stop

    @cached_property
    def statistics(self) -> tuple[tuple[str, int], ...]:
        """Running averages of batch normalization: name and width, in the order of their row."""
        return tuple(
            (f"{stem}{each.number}", width)
            for each in self.placed
            for stem, width in each.layer.statistics(each.shape).items()
        )

    def views(self, rows: Array) -> dict[str, Array]:
        """Rows (R, P) of θ or of its gradient as one view (R, n_in, n_out) per parameter."""
        R = rows.shape[0]
        return {slot.name: rows[:, slot.start : slot.stop].reshape(R, *slot.shape) for slot in self.slots}

    @cached_property
    def blocks(self) -> tuple[Slot, ...]:
        """θ as the graph sees it: W_l and b_l, neighbours in θ, are one matrix A_l = [W_l; b_l]; all are matrices."""
        found: list[Slot] = []
        for slot in self.slots:
            shape = (math.prod(slot.shape[:-1]), slot.shape[-1])
            if slot.name[0] == "b" and slot.name[1:].isdecimal():
                W = found.pop()
                found.append(Slot(f"A{W.name[1:]}", (W.shape[0] + 1, W.shape[1]), W.start))
            else:
                found.append(Slot(slot.name, shape, slot.start))
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

        def weights(fan_in: int, fan_out: int, columns: int) -> Any:
            return initial_weights(initialization, fan_in, fan_out, random=random, scale=scale, columns=columns)

        draw, row, slots = Draw(weights, random, initialization == "zeros"), np.zeros(self.parameters), iter(self.slots)
        for each in self.placed:
            parameters = each.layer.parameters(each.shape)
            first = each.layer.first(each.shape, draw) if parameters else {}
            for stem in parameters:
                slot = next(slots)
                if stem in first:
                    row[slot.start : slot.stop] = first[stem].ravel()
        return row

    def initial_statistics(self) -> Any:
        """A first row of running averages (Q,): means 0, variances 1."""
        return np.concatenate(
            [np.full(width, float(name.startswith("variance"))) for name, width in self.statistics] or [np.zeros(0)]
        )

    def fixed_tensors(self, rows: Any, random: np.random.Generator) -> dict[str, Any]:
        """What the feature map draws once from a replica's scaled training rows."""
        return fixed_tensors(self.feature_map, rows, random)


def _misfit(place: int, layer: Layer, shape: Shape, reason: str, *, last: bool) -> str:
    """The sentence about a layer that does not take what comes in."""
    if last:
        way = {2: '"last" or "mean_over_time"', 3: '"flatten" or "global_average_pool"'}[len(shape)]
        return f"model.layers: the output layer {reason} and gets {shown(shape)}; should end with a layer of kind {way}"
    return f'model.layers: layer {place}, "{layer.kind}", {reason}, and gets {shown(shape)}'


class NetworkGraph:
    """The graph of one batch shape: leaves to bind, costs, outputs and, for training, gradients.

    Leaves: `x` (R, B, d+1), its last column ones; `y` (R, B, C); `weight` (R, B, 1), which sums to 1 over the
    batch, unless the batch is `even`: every row then weighs 1/B. Blocks of θ (`A1`, …); where they apply `mask1` …
    (R, B, n), already divided by keep_prob, `mean1` …, `centres`, and `l2`, `l1` = λ/(2m) (R, 1, 1). R = None leaves
    the replica axis open: each leaf may then have as many replicas as it differs in, or 1.
    """

    def __init__(self, net: Architecture, R: int | None, B: int, *, training: bool, even: bool = False) -> None:
        self.net = net
        self.R, self.B, self.training = R, B, training
        self.leaves: dict[str, Node] = {}
        self.x = self.leaf("x", R, B, net.inputs + 1)
        self.y = self.leaf("y", R, B, net.outputs)
        self.weight = constant(1 / B, net.dtype) if even else self.leaf("weight", R, B, 1)
        self.blocks = {block.name: self.leaf(block.name, R, *block.shape) for block in net.blocks}
        self.batch_statistics: dict[str, Node] = {}  # μ and σ² of the batch, (R, 1, n)
        self.activations: list[tuple[int, Node]] = []  # number and a of each layer with parameters but the last
        self.step_mask: Node | None = None  # (R, B, T, 1): 1 for a step of a sequence, 0 for padding
        self.final_states: dict[Node, Node] = {}  # of recurrent layers, by their output
        self._plain: Node | None = None
        self.z = self._forward()
        loss = loss_named(net.loss)
        if net.functions is not None:
            loss = net.functions.loss(loss)
        with name_scope("loss"):
            of_rows = constant(1, net.dtype) if even else self.leaf("present", R, B, 1) if not loss.mean else None
            self.cost = loss.of_batch(self.z, self.y, self.weight if loss.mean or of_rows is None else of_rows)
            self.row_losses = loss.of_row(self.z, self.y)  # (R, B, 1)
        self.penalty = self._penalty()
        self.gradient = self._gradient() if training else None

    # -- what layers are built with ------------------------------------------------------------

    def leaf(self, name: str, *shape: int | None) -> Node:
        """A new leaf, to be bound by its name."""
        node = self.leaves[name] = placeholder(shape, self.net.dtype, name=name)
        return node

    def activated(self, name: str, z: Node) -> Node:
        """g(z) for an activation by name; that of the model may be the user's own."""
        own = self.net.functions.activation if self.net.functions is not None else None
        if own is not None and name == self.net.activation:
            return own(z)
        return activation_named(name)(z)

    def drops(self, number: int) -> bool:
        """Whether this dropout layer drops anything here."""
        return self.training and number in self.net.masks

    def is_input(self, a: Node) -> bool:
        """Whether these are the rows as they came, which `x` holds beside a column of ones."""
        return a is self._plain

    def _forward(self) -> Node:
        """z of the last layer, through all layers."""
        a = self._entering()
        for each in self.net.placed:
            with name_scope(f"layer{each.number}"):
                a = each.layer.build(a, Site(self, each.number, each.dropout, each.shape))
                self._remember(each, a)
        return a

    def _entering(self) -> Node:
        """The rows in their shape: mapped, as pictures, or as sequences without their mask."""
        net, R = self.net, self.R
        plain = self.x[:, :, :-1]
        if net.feature_map is not None:
            fixed = {}
            if net.feature_map.name == "rbf":
                fixed["centres"] = self.leaf("centres", R, net.inputs, net.widths[0])
            return mapped(net.feature_map, plain, fixed)
        if net.input_shape is None or len(net.input_shape) == 1:
            self._plain = plain
            return plain
        a = reshape(plain, (-1 if R is None else R, self.B, *net.input_shape))
        if net.masked:
            self.step_mask = a[:, :, :, -1:]
            a = a[:, :, :, :-1]
        return a

    def _remember(self, each: Placed, a: Node) -> None:
        """What a layer with parameters gives, behind its activation and before dropout."""
        if each is self.net.placed[-1]:
            return
        if each.layer.parameters(each.shape) and each.layer.own_number:
            self.activations.append((each.number, a))
        elif each.layer.kind in ("activation", "batch_norm") and self.activations:
            self.activations[-1] = (self.activations[-1][0], a)

    def _penalty(self) -> Node | None:
        """λ2/(2m)·Σ‖W‖²_F + λ1/(2m)·Σ‖W‖₁ over the layers, biases left out: (R, 1, 1)."""
        sizes = {"l2": square, "l1": absolute}
        total: Node | None = None
        with name_scope("penalty"):
            for name in (name for name in sizes if getattr(self.net, name)):
                factor = self.leaf(name, self.R, 1, 1)
                for block, node in self.blocks.items():
                    if block[0] in "AWU":
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


__all__ = ["BATCH_NORM_EPSILON", "Architecture", "NetworkGraph", "Placed", "Slot"]
