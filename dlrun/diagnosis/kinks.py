"""Where a cost has no derivative: operations that compute one thing on one side and another on the other.

A component of θ is next to a kink if such an operation takes another branch somewhere within ±ε of it: a ReLU whose
input changes its sign, a weight at 0 under an L1 penalty, a residual at 0 or at Huber's bend, another largest element.
The difference quotient then mixes the slopes of two pieces, and says nothing about the derivative of either.
"""

from __future__ import annotations

from collections.abc import Callable

from dlrun.graph.arithmetic import equal, floor, sign
from dlrun.graph.node import Node

# Operation → the branch that it takes, as numbers that change where the branch does.
BRANCHES: dict[str, Callable[[Node], Node]] = {
    "step": lambda node: node,
    "abs": lambda node: sign(node.inputs[0]),
    "sign": lambda node: node,
    "maximum": lambda node: sign(node.inputs[0] - node.inputs[1]),
    "minimum": lambda node: sign(node.inputs[0] - node.inputs[1]),
    "max": lambda node: equal(node.inputs[0], node),
    "min": lambda node: equal(node.inputs[0], node),
    "less": lambda node: node,
    "less_equal": lambda node: node,
    "greater": lambda node: node,
    "greater_equal": lambda node: node,
    "equal": lambda node: node,
    "not_equal": lambda node: node,
    "round": lambda node: node,
    "floor": lambda node: node,
    "mod": lambda node: floor(node.inputs[0] / node.inputs[1]),
}


def branches(target: Node, changed: Node) -> list[Node]:
    """The branches, as nodes, of everything between `changed` and `target` that has any.

    What lies under a `stop_gradient` is left out: it is declared not to matter to the derivative.
    """
    seen: list[Node] = []
    reached: set[Node] = {changed}
    for node in _differentiated(target):
        if any(x in reached for x in node.inputs):
            reached.add(node)
            if node.op in BRANCHES:
                seen.append(BRANCHES[node.op](node))
    return seen


def _differentiated(target: Node) -> list[Node]:
    """Every node that the target depends on in a way that derivatives follow, inputs first."""
    order: list[Node] = []
    done: set[Node] = set()
    stack = [(target, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            if node.op != "stop_gradient":
                stack += [(x, False) for x in node.inputs if x not in done]
    return order
