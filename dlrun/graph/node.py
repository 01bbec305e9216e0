"""Nodes of the computation graph, and what an operation is.

A graph is built by writing expressions and run later: a node knows its operation, its inputs, its
static shape (`None` for an extent that is not known until a value is fed) and its dtype. Shapes
and types are checked here, when the expression is written.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlrun.backend import Array, Backend, Call
from dlrun.errors import GraphError

Shape = tuple[int | None, ...]
Concrete = tuple[int, ...]
DTypes = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")

_scope: ContextVar[str] = ContextVar("name_scope", default="")
_serial = itertools.count()


@dataclass(frozen=True)
class Op:
    """An operation kept whole: its shape rule, its kernel and its derivative.

    shape     (attributes, *input shapes) → output shape; raises `ValueError` on shapes that do not fit
    dtype     (attributes, *input dtypes) → output dtype; raises `ValueError` on types it does not accept
    bind      (backend, out, inputs, attributes) → calls that fill `out` each time they are made
    gradient  (node, g) → ∂L/∂input for each input, given g = ∂L/∂node, as new nodes; None for a constant
    view      (input arrays, attributes) → the output as a view of the first input, in place of `bind`
    in_place  the output may overwrite an input of the same shape and type
    floats    the kernel computes with floats alone: integer inputs are cast to the output's type first
    """

    name: str
    shape: Callable[..., Shape]
    dtype: Callable[..., Any]
    bind: Callable[[Backend, Array, tuple[Array, ...], Mapping[str, Any]], list[Call]] | None = None
    gradient: Callable[[Node, Node], tuple[Node | None, ...]] | None = None
    view: Callable[[Backend, tuple[Array, ...], Mapping[str, Any]], Array] | None = None
    in_place: bool = False
    elementwise: bool = False
    floats: bool = False


OPS: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Enter an operation into the table that tests, gradients and plans go by."""
    if op.name in OPS:
        raise GraphError(f"operation {op.name!r} is defined twice")
    OPS[op.name] = op
    return op


class Node:
    """A tensor in the graph: the result of an operation, or a leaf (placeholder, variable, constant)."""

    __slots__ = ("_path", "attributes", "dtype", "inputs", "name", "op", "serial", "shape", "value")
    __array_ufunc__ = None  # NumPy arrays on the left of an operator defer to Node's own

    def __init__(
        self,
        op: str,
        inputs: tuple[Node, ...],
        shape: Shape,
        dtype: Any,
        *,
        attributes: Mapping[str, Any] | None = None,
        name: str | None = None,
        value: Any = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.attributes = dict(attributes or {})
        self.serial = next(_serial)
        self._path = _scope.get()
        self.name = f"{self._path}{name or op}"
        self.value = value

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def scope(self) -> str:
        """The name scope in which the node was made, with its final slash; empty outside of all."""
        return self._path

    def named(self, name: str) -> Node:
        """This node, under a name of its own within its scope."""
        self.name = f"{self._path}{name}"
        return self

    def __repr__(self) -> str:
        return f"<{self.name}: {self.op} {show_shape(self.shape)} {self.dtype}>"

    def __bool__(self) -> bool:
        raise GraphError(f"{self.name} has no value yet, so it cannot decide an if or a while; run it first")

    def __iter__(self) -> Iterator[Node]:
        if not self.shape or self.shape[0] is None:
            raise GraphError(f"{self.name} of shape {show_shape(self.shape)} cannot be iterated over")
        return (self[i] for i in range(self.shape[0]))

    def __neg__(self) -> Node:
        return apply("negative", self)

    def __pos__(self) -> Node:
        return self

    def __abs__(self) -> Node:
        return apply("abs", self)

    def __round__(self, digits: int | None = None) -> Node:
        if digits:
            raise GraphError(f"{self.name}: a tensor is rounded to integers; {digits} digits are not offered")
        return apply("round", self)

    def __add__(self, other: Any) -> Node:
        return apply("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return apply("add", other, self)

    def __sub__(self, other: Any) -> Node:
        return apply("subtract", self, other)

    def __rsub__(self, other: Any) -> Node:
        return apply("subtract", other, self)

    def __mul__(self, other: Any) -> Node:
        return apply("multiply", self, other)

    def __rmul__(self, other: Any) -> Node:
        return apply("multiply", other, self)

    def __truediv__(self, other: Any) -> Node:
        return apply("divide", self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return apply("divide", other, self)

    def __mod__(self, other: Any) -> Node:
        return apply("mod", self, other)

    def __rmod__(self, other: Any) -> Node:
        return apply("mod", other, self)

    def __pow__(self, other: Any) -> Node:
        if isinstance(other, (int, float)) and other in _KERNELS_OF_POWERS and self.dtype.kind != "b":
            return apply(_KERNELS_OF_POWERS[other], self)
        return apply("power", self, other)

    def __rpow__(self, other: Any) -> Node:
        return apply("power", other, self)

    def __matmul__(self, other: Any) -> Node:
        return apply("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Node:
        return apply("matmul", other, self)

    def __lt__(self, other: Any) -> Node:
        return apply("less", self, other)

    def __le__(self, other: Any) -> Node:
        return apply("less_equal", self, other)

    def __gt__(self, other: Any) -> Node:
        return apply("greater", self, other)

    def __ge__(self, other: Any) -> Node:
        return apply("greater_equal", self, other)

    def __getitem__(self, key: Any) -> Node:
        return apply("index", self, key=key if isinstance(key, tuple) else (key,))


# `power` is slow; the exponents that formulas are full of have their own kernels.
_KERNELS_OF_POWERS = {2: "square", 0.5: "sqrt", -1: "reciprocal"}


def show_shape(shape: Shape) -> str:
    """A shape for a message: (2, ?, 3)."""
    inner = ", ".join("?" if extent is None else str(extent) for extent in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


@contextlib.contextmanager
def name_scope(name: str) -> Iterator[None]:
    """Nodes made inside carry `name/` before their names; scopes nest."""
    token = _scope.set(f"{_scope.get()}{name}/")
    try:
        yield
    finally:
        _scope.reset(token)


def placeholder(shape: Shape | None = (), dtype: Any = "float32", *, name: str = "placeholder") -> Node:
    """A leaf whose value is fed at run time; `None` stands for an extent known only then."""
    extents = (shape,) if isinstance(shape, int) else tuple(shape or ())
    if not all(e is None or (isinstance(e, (int, np.integer)) and e >= 0) for e in extents):
        raise GraphError(f"placeholder {name!r}: shape {shape!r} holds more than numbers ≥ 0 and None")
    static = tuple(None if e is None else int(e) for e in extents)
    return Node("placeholder", (), static, checked_dtype(dtype), name=name)


def variable(value: Any, dtype: Any = None, *, name: str = "variable") -> Node:
    """A leaf that keeps its value between runs; `value` is its initial one."""
    array = _host_array(value, dtype, f"variable {name!r}")
    if dtype is None and array.dtype.kind in "iu" and not isinstance(value, (np.ndarray, np.generic)):
        array = array.astype(np.float32)  # a parameter written as 0 is meant as 0.0
    return Node("variable", (), array.shape, array.dtype, name=name, value=array)


def constant(value: Any, dtype: Any = None, *, name: str = "constant") -> Node:
    """A leaf with a fixed value."""
    array = _host_array(value, dtype, f"constant {name!r}")
    array.setflags(write=False)
    return Node("constant", (), array.shape, array.dtype, name=name, value=array)


def _host_array(value: Any, dtype: Any, what: str) -> np.ndarray[Any, Any]:
    """A copy of the value as an array; floats written in Python are float32 unless a dtype is given."""
    if isinstance(value, Node):
        raise GraphError(f"{what} needs a value and was given the tensor {value.name}")
    try:
        array = np.array(value, dtype=checked_dtype(dtype) if dtype is not None else None)
    except (TypeError, ValueError, OverflowError) as error:
        raise GraphError(f"{what}: {error}") from None
    if dtype is None and array.dtype == np.float64 and not isinstance(value, (np.ndarray, np.generic)):
        array = array.astype(np.float32)
    if array.dtype.name not in DTypes:
        raise GraphError(f"{what}: dtype {array.dtype} is not one of {', '.join(DTypes)}")
    return array


def checked_dtype(dtype: Any) -> np.dtype[Any]:
    """The dtype by name, type or instance; raises `GraphError` on one that tensors do not have."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise GraphError(f"dtype {dtype!r} is not one of {', '.join(DTypes)}") from None
    if found.name not in DTypes:
        raise GraphError(f"dtype {found} is not one of {', '.join(DTypes)}")
    return found


def _as_node(value: Any, like: np.dtype[Any] | None) -> Node:
    """A number beside a tensor takes the tensor's dtype, as in NumPy 2; a float beside integers is float64."""
    if isinstance(value, Node):
        return value
    if like is None or isinstance(value, (np.ndarray, np.generic)):
        return constant(value)
    kind = np.asarray(value).dtype.kind
    if kind == "b":
        return constant(value)
    if like.kind == "f" or (like.kind in "iu" and kind in "iu"):
        return constant(value, like)
    return constant(value, np.float64 if kind == "f" and like.kind in "iu" else None)


def _type_of_numbers(inputs: tuple[Any, ...]) -> np.dtype[Any] | None:
    """What plain numbers among the inputs are to be: the type of the tensors beside them, floats first."""
    found = [x.dtype for x in inputs if isinstance(x, Node)]
    return next((t for kinds in ("f", "iu") for t in found if t.kind in kinds), found[0] if found else None)


def apply(name: str, *inputs: Any, **attributes: Any) -> Node:
    """The node for operation `name` on `inputs`; `GraphError` names the operation and the shapes."""
    op = OPS[name]
    like = _type_of_numbers(inputs)
    nodes = tuple(_as_node(x, like) for x in inputs)
    try:
        shape = op.shape(attributes, *(x.shape for x in nodes))
        dtype = np.dtype(op.dtype(attributes, *(x.dtype for x in nodes)))
    except ValueError as error:
        shapes = " and ".join(show_shape(x.shape) for x in nodes)
        types = ", ".join(str(x.dtype) for x in nodes)
        raise GraphError(f"{_scope.get()}{name} of {shapes} ({types}): {error}") from None
    if op.floats:
        nodes = tuple(x if x.dtype.kind == "f" else apply("cast", x, to=dtype) for x in nodes)
    return Node(name, nodes, shape, dtype, attributes=attributes)
