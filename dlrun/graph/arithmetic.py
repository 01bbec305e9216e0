"""Element-wise operations: each with its shape rule, its kernel and its derivative.

Gradient rules may return a gradient of the broadcast shape; `dlrun.graph.gradients` sums it back to
the input's shape, once and for all operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dlrun.backend import Array, Backend, Call
from dlrun.graph.node import Node, Op, apply, checked_dtype, register
from dlrun.graph.shapes import broadcast_inputs, floating, numeric, promoted, same, truth

_KEYWORD_OUT = ("maximum", "minimum")  # NumPy deprecates a third positional argument of these
Rule = Callable[[Node, Node], tuple[Node | None, ...]]


def ufunc(name: str) -> Callable[[Backend, Array, tuple[Array, ...], Mapping[str, Any]], list[Call]]:
    """A kernel that is one universal function of NumPy and CuPy."""

    def bind(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Mapping[str, Any]) -> list[Call]:
        if len(inputs) == 2 and name not in _KEYWORD_OUT:
            return [partial(getattr(backend.xp, name), *inputs, out)]  # a fifth of a microsecond faster
        return [partial(getattr(backend.xp, name), *inputs, out=out)]

    return bind


def elementwise(
    name: str,
    kernel: Any,
    gradient: Rule | None,
    *,
    dtype: Any = numeric,
    unary: bool = False,
    in_place: bool = True,
) -> Op:
    bind = ufunc(kernel) if isinstance(kernel, str) else kernel
    shape = same if unary else broadcast_inputs
    floats = dtype is floating
    return register(Op(name, shape, dtype, bind, gradient, in_place=in_place, elementwise=True, floats=floats))


def _no_gradient(node: Node, g: Node) -> tuple[None, ...]:
    """Piecewise constant: the derivative is zero wherever it exists."""
    return (None,) * len(node.inputs)


# -- two operands ------------------------------------------------------------------------------

elementwise("add", "add", lambda node, g: (g, g))
elementwise("subtract", "subtract", lambda node, g: (g, -g))
elementwise("multiply", "multiply", lambda node, g: (g * node.inputs[1], g * node.inputs[0]))
elementwise(
    "divide",
    "true_divide",
    lambda node, g: (g / node.inputs[1], -g * node / node.inputs[1]),
    dtype=floating,
)
# a mod b = a − b·⌊a/b⌋, so ∂/∂b = −⌊a/b⌋ = −(a − a mod b)/b
elementwise(
    "mod",
    "remainder",
    lambda node, g: (g, g * (node - node.inputs[0]) / node.inputs[1]),
    in_place=False,
)


def _power_gradient(node: Node, g: Node) -> tuple[Node | None, Node | None]:
    """d(aᵇ) = b·aᵇ⁻¹ da + aᵇ·ln a db; the second only where b varies, since ln a needs a > 0."""
    base, exponent = node.inputs
    if exponent.op != "constant":
        return g * exponent * base ** (exponent - 1), g * node * log(base)
    if exponent.rank > 0:
        return g * exponent * base ** (exponent - 1), None
    p = exponent.value.item()
    if p in (0, 1):
        return (g if p else None), None
    return g * (p * base ** (p - 1)), None


elementwise("power", "power", _power_gradient)


def _pick_larger(node: Node, g: Node) -> tuple[Node, Node]:
    """The gradient goes to the larger operand, half to each where they tie."""
    a, b = node.inputs
    tie = 0.5 * cast(equal(a, b), g.dtype)
    return g * (cast(a > b, g.dtype) + tie), g * (cast(b > a, g.dtype) + tie)


def _pick_smaller(node: Node, g: Node) -> tuple[Node, Node]:
    to_a, to_b = _pick_larger(node, g)
    return to_b, to_a


elementwise("maximum", "maximum", _pick_larger)
elementwise("minimum", "minimum", _pick_smaller)

for _name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"):
    elementwise(_name, _name, _no_gradient, dtype=truth, in_place=False)

# -- one operand -------------------------------------------------------------------------------

elementwise("negative", "negative", lambda node, g: (-g,), unary=True)
elementwise("abs", "absolute", lambda node, g: (g * sign(node.inputs[0]),), unary=True)
elementwise("sign", "sign", _no_gradient, unary=True)
elementwise("round", "rint", _no_gradient, unary=True, dtype=floating)
elementwise("floor", "floor", _no_gradient, unary=True, dtype=floating)
elementwise("reciprocal", "reciprocal", lambda node, g: (-g * square(node),), unary=True, dtype=floating)
elementwise("square", "square", lambda node, g: (g * (2 * node.inputs[0]),), unary=True)
elementwise("sqrt", "sqrt", lambda node, g: (g * 0.5 / node,), unary=True, dtype=floating)
elementwise("exp", "exp", lambda node, g: (g * node,), unary=True, dtype=floating)
elementwise("log", "log", lambda node, g: (g / node.inputs[0],), unary=True, dtype=floating)
elementwise("log1p", "log1p", lambda node, g: (g / (1 + node.inputs[0]),), unary=True, dtype=floating)
elementwise("sin", "sin", lambda node, g: (g * cos(node.inputs[0]),), unary=True, dtype=floating)
elementwise("cos", "cos", lambda node, g: (-g * sin(node.inputs[0]),), unary=True, dtype=floating)
elementwise("tanh", "tanh", lambda node, g: (g * (1 - square(node)),), unary=True, dtype=floating)


def _bind_step(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Mapping[str, Any]) -> list[Call]:
    """Compare, then widen: faster than a comparison that casts as it goes."""
    above = backend.empty(out.shape, bool)
    zero = backend.scalar(0, inputs[0].dtype)
    return [partial(backend.xp.greater, inputs[0], zero, above), partial(backend.xp.copyto, out, above)]


def _bind_sigmoid(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Mapping[str, Any]) -> list[Call]:
    """1/(1+e^−x): exact to rounding also where e^−x overflows to infinity."""
    xp = backend.xp
    return [
        partial(xp.negative, inputs[0], out=out),
        partial(xp.exp, out, out=out),
        partial(xp.add, out, backend.scalar(1, out.dtype), out),
        partial(xp.reciprocal, out, out=out),
    ]


def _bind_softplus(
    backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Mapping[str, Any]
) -> list[Call]:
    """ln(1+e^x) without overflow."""
    return [partial(backend.xp.logaddexp, inputs[0], backend.scalar(0, out.dtype), out)]


def _bind_cast(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Mapping[str, Any]) -> list[Call]:
    return [partial(backend.xp.copyto, out, inputs[0], casting="unsafe")]


elementwise("step", _bind_step, _no_gradient, unary=True, dtype=floating, in_place=False)
elementwise("sigmoid", _bind_sigmoid, lambda node, g: (g * (node * (1 - node)),), unary=True, dtype=floating)
elementwise("softplus", _bind_softplus, lambda node, g: (g * sigmoid(node.inputs[0]),), unary=True, dtype=floating)
elementwise(
    "cast",
    _bind_cast,
    lambda node, g: (cast(g, node.inputs[0].dtype) if node.inputs[0].dtype.kind == "f" else None,),
    unary=True,
    dtype=lambda attributes, dtype: attributes["to"],
    in_place=False,
)


def _bind_where(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Mapping[str, Any]) -> list[Call]:
    condition, a, b = inputs
    copy = backend.xp.copyto
    return [partial(copy, out, b), partial(copy, out, a, where=condition)]


def _where_gradient(node: Node, g: Node) -> tuple[None, Node, Node]:
    condition = cast(node.inputs[0], g.dtype)
    return None, g * condition, g * (1 - condition)


def _where_dtype(attributes: Mapping[str, Any], condition: Any, a: Any, b: Any) -> Any:
    if condition.kind != "b":
        raise ValueError(f"the condition is {condition}, not bool")
    return promoted(attributes, a, b)


elementwise("where", _bind_where, _where_gradient, dtype=_where_dtype, in_place=False)


# -- the functions that users call -------------------------------------------------------------


def add(a: Any, b: Any) -> Node:
    """a + b"""
    return apply("add", a, b)


def subtract(a: Any, b: Any) -> Node:
    """a − b"""
    return apply("subtract", a, b)


def multiply(a: Any, b: Any) -> Node:
    """a·b, element by element"""
    return apply("multiply", a, b)


def divide(a: Any, b: Any) -> Node:
    """a/b"""
    return apply("divide", a, b)


def mod(a: Any, b: Any) -> Node:
    """The remainder of a/b, with the sign of b, as Python's %."""
    return apply("mod", a, b)


def power(a: Any, b: Any) -> Node:
    """aᵇ"""
    return a**b if isinstance(a, Node) else apply("power", a, b)


def maximum(a: Any, b: Any) -> Node:
    """The larger of a and b, element by element"""
    return apply("maximum", a, b)


def minimum(a: Any, b: Any) -> Node:
    """The smaller of a and b, element by element"""
    return apply("minimum", a, b)


def equal(a: Any, b: Any) -> Node:
    """a = b, element by element, as truth values"""
    return apply("equal", a, b)


def not_equal(a: Any, b: Any) -> Node:
    """a ≠ b, element by element, as truth values"""
    return apply("not_equal", a, b)


def where(condition: Any, a: Any, b: Any) -> Node:
    """a where the condition holds, else b"""
    return apply("where", condition, a, b)


def negative(x: Any) -> Node:
    """−x"""
    return apply("negative", x)


def absolute(x: Any) -> Node:
    """|x|; its derivative at 0 is taken as 0"""
    return apply("abs", x)


def sign(x: Any) -> Node:
    """−1, 0 or 1"""
    return apply("sign", x)


def inv(x: Any) -> Node:
    """1/x"""
    return apply("reciprocal", x)


def square(x: Any) -> Node:
    """x²"""
    return apply("square", x)


def rounded(x: Any) -> Node:
    """The nearest integer, halves to the even one"""
    return apply("round", x)


def floor(x: Any) -> Node:
    """The largest integer not above x"""
    return apply("floor", x)


def sqrt(x: Any) -> Node:
    """√x"""
    return apply("sqrt", x)


def exp(x: Any) -> Node:
    """eˣ"""
    return apply("exp", x)


def log(x: Any) -> Node:
    """The natural logarithm"""
    return apply("log", x)


def log1p(x: Any) -> Node:
    """ln(1 + x), exact for small x"""
    return apply("log1p", x)


def sin(x: Any) -> Node:
    """The sine of x radians"""
    return apply("sin", x)


def cos(x: Any) -> Node:
    """The cosine of x radians"""
    return apply("cos", x)


def tanh(x: Any) -> Node:
    """The hyperbolic tangent"""
    return apply("tanh", x)


def sigmoid(x: Any) -> Node:
    """1/(1 + e⁻ˣ)"""
    return apply("sigmoid", x)


def softplus(x: Any) -> Node:
    """ln(1 + eˣ), stable for large |x|"""
    return apply("softplus", x)


def step(x: Any) -> Node:
    """1 where x > 0, else 0, in x's type; its derivative is taken as 0"""
    return apply("step", x)


def relu(x: Node) -> Node:
    """max(0, x), as x·step(x): the mask made once serves the forward and the backward sweep"""
    return x * step(x)


def leaky_relu(x: Node, slope: float = 0.01) -> Node:
    """x where x > 0, else slope·x"""
    return x * (slope + (1 - slope) * step(x))


def cast(x: Any, dtype: Any) -> Node:
    """The same values in another type, as C casts them"""
    return apply("cast", x, to=checked_dtype(dtype))
