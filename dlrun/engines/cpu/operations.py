"""Element-wise operations of the graph as instructions, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlrun.engines.cpu.functions import Functions
from dlrun.engines.cpu.text import SCALARS, Code, UncoveredError, vector
from dlrun.graph.node import Node

Unary = Callable[[Functions, str], str]
Binary = Callable[[Functions, str, str], str]

UNARY: dict[str, Unary] = {
    "negative": Functions.negative,
    "abs": Functions.absolute,
    "sign": Functions.sign,
    "round": lambda f, x: f.code.intrinsic("rint", f.kind, x),
    "floor": lambda f, x: f.code.intrinsic("floor", f.kind, x),
    "reciprocal": lambda f, x: f.divide(f.number(1), x),
    "square": lambda f, x: f.multiply(x, x),
    "sqrt": lambda f, x: f.code.intrinsic("sqrt", f.kind, x),
    "exp": Functions.exp,
    "log": Functions.log,
    "log1p": Functions.log1p,
    "sin": lambda f, x: f.code.intrinsic("sin", f.kind, x),
    "cos": lambda f, x: f.code.intrinsic("cos", f.kind, x),
    "tanh": Functions.tanh,
    "sigmoid": Functions.sigmoid,
    "softplus": Functions.softplus,
    "step": lambda f, x: f.select(f.compare("ogt", x, f.number(0)), f.number(1), f.number(0)),
}
BINARY: dict[str, Binary] = {
    "add": Functions.add,
    "subtract": Functions.subtract,
    "multiply": Functions.multiply,
    "divide": Functions.divide,
    "mod": Functions.remainder,
    "power": lambda f, a, b: f.code.intrinsic("pow", f.kind, a, b),
    "maximum": Functions.larger,
    "minimum": Functions.smaller,
}
COMPARISONS = {
    "less": "olt",
    "less_equal": "ole",
    "greater": "ogt",
    "greater_equal": "oge",
    "equal": "oeq",
    "not_equal": "une",
}


def covered(node: Node) -> bool:
    """Whether the operation is one of those here, on types that are known here."""
    kinds = {x.dtype.name for x in (node, *node.inputs)}
    if not kinds <= {"float32", "float64", "bool"}:
        return False
    return node.op in UNARY or node.op in BINARY or node.op in COMPARISONS or node.op in ("cast", "where")


def scalar_of(node: Node) -> str:
    """The type of the node's elements as values."""
    return SCALARS[node.dtype.name]


def compute(code: Code, node: Node, values: list[str], width: int) -> str:
    """The value of a node from those of its inputs, `width` elements at a time."""
    if node.op == "cast":
        return _cast(code, node.inputs[0].dtype.name, node.dtype.name, values[0], width)
    if node.op == "where":
        kind = vector(scalar_of(node), width)
        a, b = (
            _cast(code, x.dtype.name, node.dtype.name, v, width)
            for x, v in zip(node.inputs[1:], values[1:], strict=True)
        )
        return code.op(f"select {vector('i1', width)} {values[0]}, {kind} {a}, {kind} {b}")
    if any(x.dtype.kind != "f" for x in node.inputs):
        raise UncoveredError(f"{node.op} of truth values")
    common = max((x.dtype for x in node.inputs), key=lambda dtype: dtype.itemsize)
    given = [_cast(code, x.dtype.name, common.name, v, width) for x, v in zip(node.inputs, values, strict=True)]
    f = Functions(code, SCALARS[common.name], width)
    if node.op in COMPARISONS:
        return f.compare(COMPARISONS[node.op], *given)
    function: Any = UNARY.get(node.op) or BINARY.get(node.op)
    if function is None or common != node.dtype:
        raise UncoveredError(f"the operation {node.op} of {common}")
    return str(function(f, *given))


def _cast(code: Code, source: str, target: str, value: str, width: int) -> str:
    if source == target:
        return value
    a, b = (vector(SCALARS[name], width) for name in (source, target))
    if source == "bool":
        return code.op(f"uitofp {a} {value} to {b}")
    if target == "bool":
        return code.op(f"fcmp une {a} {value}, zeroinitializer" if width > 1 else f"fcmp une {a} {value}, 0.0")
    return code.op(f"{'fpext' if target == 'float64' else 'fptrunc'} {a} {value} to {b}")
