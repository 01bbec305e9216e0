"""What a plan has to compute, and what it need not: known shapes, shared expressions, known numbers.

Expressions that are equal become one; a tensor whose elements are all one known number (the 1 that a derivative
begins with, spread over a batch) is worked out here; x·1 and x + 0 are x; and what nothing reads is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlrun.backend import Array
from dlrun.errors import GraphError
from dlrun.graph.gradients import topological_order
from dlrun.graph.node import OPS, Concrete, Node, show_shape
from dlrun.graph.reductions import counted

# Operations whose last input lends its shape, and nothing else.
SHAPE_ONLY = frozenset(
    {
        "assemble",
        "average_pool_gradient",
        "broadcast_like",
        "count",
        "lookup_gradient",
        "patches_adjoint",
        "place",
        "reshape_like",
        "shape",
        "sum_like",
    }
)
_FOLDED = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "divide": "true_divide",
    "negative": "negative",
}


@dataclass(frozen=True)
class Extents:
    """The shape of a tensor that is not computed itself."""

    shape: Concrete

    @property
    def ndim(self) -> int:
        return len(self.shape)


@dataclass
class Simplified:
    """steps: the nodes to compute, in order; canonical: the node that stands for each node of the graph.

    shapes   the extents of each node
    uniform  the value of each node whose elements are all one known number
    """

    bindings: Mapping[Node, Array]
    steps: list[Node] = field(default_factory=list)
    canonical: dict[Node, Node] = field(default_factory=dict)
    shapes: dict[Node, Concrete] = field(default_factory=dict)
    uniform: dict[Node, Any] = field(default_factory=dict)
    _seen: dict[Any, Node] = field(default_factory=dict)

    def enter(self, node: Node) -> None:
        """Take in a node whose inputs were taken in before."""
        inputs = tuple(self.canonical[x] for x in node.inputs)
        shape = self.shapes[node] = self._infer(node, inputs)
        if not node.inputs:
            if node.op == "constant" and node.value.ndim == 0:
                self.uniform[node] = node.value.item()
        elif not self._fold(node, inputs):
            same = self._same(node, inputs, shape)
            if same is not None:
                self.canonical[node] = same
                return
        twin = self._seen.setdefault(self._key(node, inputs, shape), node)
        self.canonical[node] = twin
        if twin is node and node.inputs and node not in self.uniform:
            self.steps.append(node)

    def _key(self, node: Node, inputs: tuple[Node, ...], shape: Concrete) -> Any:
        """Nodes of one key have one value."""
        if node in self.uniform:  # by its bytes: −0 is not 0
            return ("number", np.asarray(self.uniform[node], node.dtype).tobytes(), node.dtype, shape)
        if not node.inputs:
            return node
        attributes = tuple(map(repr, sorted(node.attributes.items())))
        return (node.op, inputs, attributes, node.dtype, shape)

    def _infer(self, node: Node, inputs: tuple[Node, ...]) -> Concrete:
        if not node.inputs:
            array = node.value if node.op == "constant" else self.bindings.get(node)
            if array is None:
                raise GraphError(f"{node.name} ({node.op}) has no value: feed it")
            _check_leaf(node, array)
            return tuple(array.shape)
        try:
            shape = OPS[node.op].shape(node.attributes, *(self.shapes[x] for x in inputs))
        except ValueError as error:
            shapes = " and ".join(show_shape(self.shapes[x]) for x in inputs)
            raise GraphError(f"{node.name}: {node.op} of {shapes}: {error}") from None
        return tuple(int(extent or 0) for extent in shape)

    def _fold(self, node: Node, inputs: tuple[Node, ...]) -> bool:
        """Whether every element of the node is one known number: arithmetic on such tensors is done here."""
        if node.dtype.kind != "f":
            return False
        if node.op == "count":
            self.uniform[node] = float(counted(node.attributes, self.shapes[inputs[0]]))
        elif OPS[node.op].view is not None and inputs[0] in self.uniform:  # the same number, in other places
            self.uniform[node] = self.uniform[inputs[0]]
        elif node.op in _FOLDED and all(x in self.uniform for x in inputs):
            values = [x.dtype.type(self.uniform[x]) for x in inputs]
            with np.errstate(all="ignore"):
                self.uniform[node] = getattr(np, _FOLDED[node.op])(*values).item()
        return node in self.uniform

    def _same(self, node: Node, inputs: tuple[Node, ...], shape: Concrete) -> Node | None:
        """The input that the node equals: x·1, x + 0, and a sum to the shape that x has already."""
        if node.op == "sum_like" and self.shapes[inputs[0]] == shape:
            return inputs[0]
        neutral = {"multiply": 1, "add": 0}.get(node.op)
        if neutral is not None:
            for a, b in (inputs, inputs[::-1]):
                fits = self.shapes[a] == shape and a.dtype == node.dtype
                if fits and b in self.uniform and self.uniform[b] == neutral:
                    return a
        return None

    def drop_unread(self, fetches: Sequence[Node]) -> None:
        """Keep the steps that the fetched nodes are made from."""
        read = {self.canonical[node] for node in fetches}
        for node in reversed(self.steps):
            if node in read:
                inputs = node.inputs[:-1] if node.op in SHAPE_ONLY else node.inputs
                read |= {self.canonical[x] for x in inputs}
        self.steps = [node for node in self.steps if node in read]


def simplify(fetches: Sequence[Node], bindings: Mapping[Node, Array]) -> Simplified:
    """What must be computed for the fetched nodes, given the arrays of the leaves.

    Raises `GraphError` for a leaf without an array or with one that does not fit, and for shapes that turn out
    not to fit each other.
    """
    found = Simplified(bindings)
    for node in topological_order(fetches):
        found.enter(node)
    found.drop_unread(fetches)
    return found


def _check_leaf(node: Node, array: Array) -> None:
    fits = len(array.shape) == node.rank and all(
        expected in (None, extent) for expected, extent in zip(node.shape, array.shape, strict=True)
    )
    if not fits or array.dtype != node.dtype:
        raise GraphError(
            f"{node.name} expects {show_shape(node.shape)} {node.dtype} "
            f"and was given {show_shape(tuple(array.shape))} {array.dtype}"
        )
