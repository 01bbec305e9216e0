"""What one column of a parameter reaches, and no more: a graph cut down to it.

The ±ε copies of a gradient check differ in one number each. A number in column j of W_l changes column j of
z_l = a·W_l and of whatever is made of it column by column (batch normalization over the rows, the activation, its
mask), until a product or a sum mixes the columns:

    z_{l+1} = Σ_i a_i ⊗ W_{l+1}[i] = a_j ⊗ W_{l+1}[j] + rest_j

Up to there the copies need one column, (R, B, 1) in place of (R, B, n), and what the others add up to, `rest_j`, is
computed once for all of them. No rule of differentiation is used: this is the forward pass with a sum split in two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dlrun.graph.gradients import topological_order
from dlrun.graph.node import OPS, Node, apply, placeholder
from dlrun.graph.shapes import normalized_axes

REDUCTIONS = ("sum", "max", "min", "prod")


@dataclass(frozen=True)
class Boundary:
    """Where the columns are mixed: the changed column times a row vector, plus `rest`, is the whole.

    output, entered   the node that holds the whole and the one whose column enters, both of the graph as it was
    matrix            a product's second operand, of which `row` is row j; where it is None, `row` is the unit
                      vector e_j, or None as well: the columns are added up
    """

    output: Node
    entered: Node
    rest: Node
    row: Node | None = None
    matrix: Node | None = None


@dataclass(frozen=True)
class Route:
    """How a changed column of a parameter becomes a cost.

    seed, place   the parameter (1, m, n), and the leaf for one column of it in every copy, (R, m, 1)
    target        the cost, over that leaf
    slices        nodes of which column j alone is needed, with the leaf for it
    width         elements that one copy has in the largest array on the way
    """

    seed: Node
    place: Node
    target: Node
    slices: tuple[tuple[Node, Node], ...]
    boundaries: tuple[Boundary, ...]
    width: int

    @property
    def needed(self) -> list[Node]:
        """Nodes whose values at θ itself the route starts from."""
        found = [self.seed, *(node for node, _ in self.slices)]
        for each in self.boundaries:
            found += [each.output, each.entered, *([each.matrix] if each.matrix is not None else [])]
        return list(dict.fromkeys(found))


def route(target: Node, seed: Node) -> Route | None:
    """The route from a column of `seed` to `target`; None where the target does not depend on it."""
    order = topological_order([target])
    return _Narrowing(target, seed).walked(order) if seed in order else None


@dataclass
class _Narrowing:
    """One walk from the seed to the target; `made` holds what each node of the old graph has become."""

    target: Node
    seed: Node
    made: dict[Node, Node] = field(default_factory=dict)
    columns: set[Node] = field(default_factory=set)  # nodes that change in column j alone
    slices: dict[Node, Node] = field(default_factory=dict)
    whole: dict[Node, Node] = field(default_factory=dict)  # such nodes with all their columns
    boundaries: list[Boundary] = field(default_factory=list)

    def walked(self, order: list[Node]) -> Route:
        place = placeholder((*self.seed.shape[:-1], 1), self.seed.dtype, name=self.seed.name)
        self.made[self.seed] = place
        self.columns.add(self.seed)
        for node in order:
            if node is not self.seed and any(x in self.made for x in node.inputs):
                self._step(node)
        target = self._whole(self.target)
        slices, boundaries = tuple(self.slices.items()), tuple(self.boundaries)
        return Route(self.seed, place, target, slices, boundaries, _width(target, place))

    def _step(self, node: Node) -> None:
        """What the node becomes."""
        changed = [x for x in node.inputs if x in self.columns]
        if not changed or any(x in self.made and x not in self.columns for x in node.inputs):
            self._mix(node)
        elif node.op == "append_ones":
            self.columns.add(node)
            self.made[node] = self.made[node.inputs[0]]  # the ones are among the columns that do not change
        elif node.op == "matmul" and not node.attributes and node.rank == 3:
            self._product(node)
        elif node.op == "sum" and _takes_columns(node):
            rest = placeholder((None, *node.shape[1:]), node.dtype, name="rest")
            self.boundaries.append(Boundary(node, node.inputs[0], rest))
            self.made[node] = apply("sum", self.made[node.inputs[0]], **node.attributes) + rest
        elif OPS[node.op].elementwise or node.op == "stop_gradient" or _keeps_columns(node):
            self.columns.add(node)
            self.made[node] = apply(node.op, *(self._column(x) for x in node.inputs), **node.attributes)
        else:
            self._mix(node)

    def _mix(self, node: Node) -> None:
        """The node as it was, over all columns of its inputs."""
        self.made[node] = apply(node.op, *(self._whole(x) for x in node.inputs), **node.attributes)

    def _whole(self, x: Node) -> Node:
        """All columns of x: the changed one times e_j, plus the others."""
        if x not in self.columns:
            return self.made.get(x, x)
        if x not in self.whole:
            self.whole[x] = self._split(Boundary(x, x, *self._rest_and_row(x, x.shape[-1])))
        return self.whole[x]

    def _product(self, node: Node) -> None:
        a, matrix = node.inputs
        if a not in self.made:  # a·W[:, j] is column j of a·W
            self.columns.add(node)
            self.made[node] = apply("matmul", a, self.made[matrix])
        elif matrix in self.made:
            self._mix(node)
        else:
            self.made[node] = self._split(Boundary(node, a, *self._rest_and_row(node, node.shape[-1]), matrix))

    def _rest_and_row(self, node: Node, extent: int | None) -> tuple[Node, Node]:
        rest = placeholder((None, *node.shape[1:]), node.dtype, name="rest")
        return rest, placeholder((None, *(1,) * (node.rank - 2), extent), node.dtype, name="row")

    def _split(self, boundary: Boundary) -> Node:
        self.boundaries.append(boundary)
        return self.made[boundary.entered] * boundary.row + boundary.rest

    def _column(self, x: Node) -> Node:
        """An operand beside the changed column: as it is if it is the same for all columns, else its column j."""
        if x in self.made:
            return self.made[x]
        if not x.shape or x.shape[-1] == 1:
            return x
        if x not in self.slices:
            self.slices[x] = placeholder((*x.shape[:-1], 1), x.dtype, name=x.name)
        return self.slices[x]


def _takes_columns(node: Node) -> bool:
    rank = node.inputs[0].rank
    return rank - 1 in normalized_axes(node.attributes["axes"], rank)


def _keeps_columns(node: Node) -> bool:
    """A reduction over rows, or an index that leaves the last axis whole."""
    if node.op in REDUCTIONS:
        return not _takes_columns(node)
    if node.op != "index":
        return False
    key = node.attributes["key"]
    if any(part is None or part is Ellipsis or not isinstance(part, slice) for part in key):
        return False
    return len(key) < node.inputs[0].rank or key[-1] == slice(None)


def _width(target: Node, place: Node) -> int:
    """Elements of one copy in the largest array that depends on the leaf."""
    reached, largest = {place}, math.prod(extent or 1 for extent in place.shape[1:])
    for node in topological_order([target]):
        if any(x in reached for x in node.inputs):
            reached.add(node)
            largest = max(largest, math.prod(extent or 1 for extent in node.shape[1:]))
    return largest
