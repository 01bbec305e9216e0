"""Derivatives: one reverse sweep that adds nodes to the same graph.

For L and the nodes x between L and the parameters, ∂L/∂x = Σ over the users y of x of (∂y/∂x)ᵀ ∂L/∂y.
The sweep goes through the nodes in the reverse of a topological order, so each ∂L/∂y is complete
when it is used. It is iterative: a graph may be a hundred thousand nodes deep.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from dlrun.errors import GraphError
from dlrun.graph.node import OPS, Node, apply, constant, name_scope, show_shape


def topological_order(targets: Sequence[Node]) -> list[Node]:
    """Every node that the targets need, inputs before users."""
    order: list[Node] = []
    done: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(targets)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
            continue
        if node in done:
            continue
        done.add(node)
        stack.append((node, True))
        stack.extend((x, False) for x in reversed(node.inputs) if x not in done)
    return order


def gradients(cost: Node, sources: Sequence[Node]) -> list[Node]:
    """∂(Σ cost)/∂source for each source, as nodes of the source's shape.

    A cost of shape (R,) gives every replica the gradient of its own cost, since no operation mixes
    replicas. A source that the cost does not depend on has a gradient of zeros. Raises `GraphError`
    where a path goes through an operation without a derivative.
    """
    if cost.dtype.kind != "f":
        raise GraphError(f"{cost.name} is {cost.dtype}; only a float tensor has derivatives")
    order = topological_order([cost])
    wanted = set(sources)
    needed: set[Node] = set()
    for node in order:
        if node in wanted or any(x in needed for x in node.inputs):
            needed.add(node)
    with name_scope("gradients"):
        found: dict[Node, list[Node]] = {cost: [apply("broadcast_like", constant(1, cost.dtype), cost)]}
        for node in reversed(order):
            if node not in needed or node not in found or not node.inputs:
                continue
            if node in wanted and not any(x in needed for x in node.inputs):
                continue
            for x, g in zip(node.inputs, _input_gradients(node, _total(node, found)), strict=True):
                if g is None or x not in needed or x.dtype.kind != "f":
                    continue
                found.setdefault(x, []).append(_fit(g, x))
        return [_total(x, found) if x in found else apply("broadcast_like", constant(0, x.dtype), x) for x in sources]


def _total(x: Node, found: dict[Node, list[Node]]) -> Node:
    """The sum of what came to x from its users, worked out once."""
    parts = _assembled(x, found[x])
    total = parts[0]
    for part in parts[1:]:
        total = apply("add", total, part)
    found[x] = [total]
    return total


def _assembled(x: Node, parts: list[Node]) -> list[Node]:
    """Parts that belong to places of x which do not overlap are put side by side, not added: the steps of a sequence
    would else be as many passes over all of it."""
    placed = [part for part in parts if part.op == "place" and part.inputs[1] is x]
    keys = tuple(part.attributes["key"] for part in placed)
    if len(placed) < 2 or not _apart(x, keys):
        return parts
    whole = apply("assemble", *(part.inputs[0] for part in placed), x, keys=keys)
    first = parts.index(placed[0])
    rest = [part for part in parts if part not in placed]
    return [*rest[:first], whole, *rest[first:]]


def _apart(x: Node, keys: tuple[tuple[object, ...], ...]) -> bool:
    """Whether no element of x is in two of these places: they differ along one and the same axis."""
    if len({len(key) for key in keys}) != 1:
        return False
    for axis in range(len(keys[0])):
        extent = x.shape[axis] if axis < x.rank else None
        ranges = sorted(_range(key[axis], extent) or (0, 2**62) for key in keys)
        if all(a[1] <= b[0] for a, b in itertools.pairwise(ranges)):
            return True
    return False


def _range(part: object, extent: int | None) -> tuple[int, int] | None:
    """First and past the last index that an integer or a slice takes; None where that is not plain."""
    if extent is None or part is None or part is Ellipsis:
        return None
    if isinstance(part, slice):
        start, stop, step = part.indices(extent)
        return (start, stop) if step == 1 else None
    at = int(part) % extent  # type: ignore[call-overload]
    return (at, at + 1)


def _input_gradients(node: Node, g: Node) -> tuple[Node | None, ...]:
    rule = OPS[node.op].gradient
    if rule is None:
        raise GraphError(f"{node.name}: the operation {node.op!r} has no derivative")
    return rule(node, g)


def _fit(g: Node, x: Node) -> Node:
    """Un-broadcasting, in one place: g in the shape of x, and in its dtype."""
    if g.shape != x.shape or None in g.shape:
        g = apply("sum_like", g, x)
    return g if g.dtype == x.dtype else apply("cast", g, to=x.dtype)


def check_scalar(cost: Node) -> None:
    """`minimize` wants one number."""
    if cost.shape not in ((), (1,), (1, 1)) and int(np.prod([e or 0 for e in cost.shape])) != 1:
        raise GraphError(f"the cost {cost.name} has shape {show_shape(cost.shape)}; it must be one number")
