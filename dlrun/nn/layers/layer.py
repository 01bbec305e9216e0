"""What a layer of a network is: one kind, one file.

A layer says, without an array: which parameters and running statistics it has, what it makes of a row's shape, how its
nodes are built, and with what its parameters begin. Shapes are those of one row: (d,) for a table, (H, W, C) for a
picture, (T, d) for a sequence; the nodes have the axes of replicas and rows before them, (R, B, …).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from dlrun.graph.node import Node

FloatArray = npt.NDArray[np.float64]
Shape = tuple[int, ...]
WORDS = {1: "a row of {} numbers", 2: "a sequence of {} steps of {} numbers", 3: "a picture of {} × {} × {}"}


@dataclass(frozen=True)
class Draw:
    """Where first weights come from: `weights(fan_in, fan_out, columns)` gives (fan_in, columns)."""

    weights: Callable[[int, int, int], FloatArray]
    random: np.random.Generator
    zeros: bool = False


class Graph(Protocol):
    """What a layer builds its nodes in: `nn.network.NetworkGraph`. Sizes R (None is open) and B, and the leaves."""

    net: Any
    R: int | None
    B: int
    training: bool
    x: Node
    weight: Node
    blocks: dict[str, Node]
    batch_statistics: dict[str, Node]
    step_mask: Node | None
    final_states: dict[Node, Node]

    def leaf(self, name: str, *shape: int | None) -> Node: ...
    def activated(self, name: str, z: Node) -> Node: ...
    def drops(self, number: int) -> bool: ...
    def is_input(self, a: Node) -> bool: ...


@dataclass(frozen=True)
class Site:
    """Where a layer stands in a graph: its number among those with parameters, and that among dropout layers."""

    graph: Graph
    number: int
    dropout: int
    shape: Shape  # of a row that comes in

    def block(self, stem: str) -> Node:
        """A parameter as the graph has it; "A" is W with b as its last row."""
        return self.graph.blocks[f"{stem}{self.number}"]

    def has(self, stem: str) -> bool:
        """Whether the graph has this block."""
        return f"{stem}{self.number}" in self.graph.blocks


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The parent of all kinds."""

    kind: ClassVar[str] = ""
    own_number: ClassVar[bool] = True  # whether its parameters are counted by themselves

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of a row that goes out. ValueError says which shapes the kind takes."""
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Stem and shape of each parameter, in their order in θ; vectors are (1, n)."""
        return {}

    def statistics(self, shape: Shape) -> dict[str, int]:
        """Stem and width of each running average."""
        return {}

    def first(self, shape: Shape, draw: Draw) -> dict[str, FloatArray]:
        """First values of the parameters that do not begin at 0, as matrices."""
        return {}

    def build(self, a: Node, site: Site) -> Node:
        """The layer's nodes on a (R, B, …)."""
        raise NotImplementedError

    def products(self, shape: Shape) -> list[tuple[int, int, int]]:
        """Matrix products of a row: (rows, inner extent, columns) of each."""
        return []


def shown(shape: Shape) -> str:
    """A row's shape in words."""
    return WORDS.get(len(shape), "rows of the shape {}").format(*(shape if len(shape) in WORDS else (shape,)))


def need_rank(shape: Shape, *ranks: int) -> None:
    """ValueError where a row has another rank than those that a kind takes."""
    if len(shape) not in ranks:
        wanted = " or ".join({1: "a flat row", 2: "a sequence", 3: "a picture"}[rank] for rank in ranks)
        raise ValueError(f"takes {wanted}")
