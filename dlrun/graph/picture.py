"""The graph as text: a line per node, indented by name scope.

print(picture(f))

a          placeholder        (100,)  float32
prod       prod(a)            (1,)    float32
mean/
  sum      sum(a)             (1,)    float32
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlrun.graph.gradients import topological_order
from dlrun.graph.node import Node, show_shape

_INDENT = "  "


def picture(nodes: Node | Sequence[Node]) -> str:
    """Every node that the given ones need: name, operation with its inputs, static shape and dtype.

    Inputs stand before what uses them, save that a name scope is shown in one piece, where it begins. Of
    nodes with one name, the second is called `name_1`, the next `name_2`.
    """
    order = topological_order([nodes] if isinstance(nodes, Node) else list(nodes))
    names = unique_names(order)
    lines: list[tuple[str, str, str, str]] = []
    _scope_lines("", order, names, lines)
    widths = [max(len(line[column]) for line in lines) for column in range(3)] if lines else []
    padded = ("  ".join([*map(str.ljust, line[:3], widths), line[3]]).rstrip() for line in lines)
    return "\n".join(padded)


def unique_names(order: Sequence[Node]) -> dict[Node, str]:
    """A name of its own for each node, in the order given."""
    taken: set[str] = set()
    names: dict[Node, str] = {}
    numbers: dict[str, int] = {}  # the last number given to each name
    for node in order:
        name = node.name
        while name in taken:
            numbers[node.name] = numbers.get(node.name, 0) + 1
            name = f"{node.name}_{numbers[node.name]}"
        taken.add(name)
        names[node] = name
    return names


def _scope_lines(
    scope: str, order: Sequence[Node], names: dict[Node, str], lines: list[tuple[str, str, str, str]]
) -> None:
    """The nodes of a scope in their order; a scope inside it where its first node stands."""
    depth = scope.count("/")
    opened: set[str] = set()
    for node in order:
        if node.scope == scope:
            label = _INDENT * depth + names[node].removeprefix(scope)
            lines.append((label, _formula(node, names, scope), show_shape(node.shape), str(node.dtype)))
            continue
        inner = scope + node.scope.removeprefix(scope).partition("/")[0] + "/"
        if inner not in opened:
            opened.add(inner)
            lines.append((_INDENT * depth + inner.removeprefix(scope), "", "", ""))
            _scope_lines(inner, [x for x in order if x.scope.startswith(inner)], names, lines)


def _formula(node: Node, names: dict[Node, str], scope: str) -> str:
    """The operation and its inputs, named from the scope that the node is in."""
    if node.op == "constant":
        return f"constant {_value(node)}"
    if not node.inputs:
        return node.op
    inputs = ", ".join(names[x].removeprefix(scope) for x in node.inputs)
    options = "".join(f", {key}={_option(value)}" for key, value in node.attributes.items() if value is not None)
    return f"{node.op}({inputs}{options})"


def _value(node: Node) -> str:
    return str(node.value.item()) if node.rank == 0 else "…"


def _option(value: Any) -> str:
    """An attribute as the user wrote it: keys of an index in brackets, a dtype by its name."""
    if isinstance(value, tuple) and any(isinstance(part, slice) or part is Ellipsis for part in value):
        return "[" + ", ".join(map(_key_part, value)) + "]"
    return str(value)


def _key_part(part: Any) -> str:
    if part is Ellipsis:
        return "..."
    if not isinstance(part, slice):
        return str(part)
    ends = [part.start, part.stop] if part.step is None else [part.start, part.stop, part.step]
    return ":".join("" if end is None else str(end) for end in ends)
