"""Reductions and matrix products."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from dlrun.backend import Array, Backend, Call
from dlrun.graph.arithmetic import cast, equal
from dlrun.graph.node import Node, Op, Shape, apply, name_scope, register
from dlrun.graph.shapes import broadcast, matmul_shape, normalized_axes, numeric, reduced
from dlrun.graph.shaping import squeeze

Attributes = Mapping[str, Any]


def _bind_sum(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    axes = normalized_axes(attributes["axes"], inputs[0].ndim)
    return [backend.bind_sum(inputs[0], axes, out)]


def _bind_reduction(name: str) -> Any:
    def bind(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
        axes = normalized_axes(attributes["axes"], inputs[0].ndim)
        return [backend.bind_reduction(name, inputs[0], axes, out)]

    return bind


def _bind_max(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    axes = normalized_axes(attributes["axes"], inputs[0].ndim)
    return [backend.bind_max(inputs[0], axes, out)]


def _expand(g: Node, like: Node) -> Node:
    return apply("broadcast_like", g, like)


def _extreme_gradient(node: Node, g: Node) -> tuple[Node]:
    """To the extreme elements; elements that tie share it."""
    x = node.inputs[0]
    mask = cast(equal(x, node), g.dtype)
    count = apply("sum", mask, axes=node.attributes["axes"])
    return (mask * (g / count),)


def _sum_dtype(attributes: Attributes, dtype: Any) -> Any:
    """Truth values are counted; small integers are summed in int64, as NumPy does."""
    return dtype if dtype.kind == "f" else np.dtype(np.int64)


register(Op("sum", reduced, _sum_dtype, _bind_sum, lambda node, g: (_expand(g, node.inputs[0]),)))
register(
    Op(
        "prod",
        reduced,
        _sum_dtype,
        _bind_reduction("prod"),
        lambda node, g: (apply("prod_of_others", node.inputs[0], axes=node.attributes["axes"]) * g,),
    )
)
register(Op("max", reduced, numeric, _bind_max, _extreme_gradient))
register(Op("min", reduced, numeric, _bind_reduction("min"), _extreme_gradient))


def _prod_of_others(backend: Backend, out: Array, x: Array, axes: tuple[int, ...]) -> None:
    """out[i] ← Π_{j≠i} x[j] along the reduced axes, also where some x[j] is 0."""
    xp = backend.xp
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    order = (*kept, *axes)
    moved = x.transpose(order)
    flat = moved.reshape(*(x.shape[axis] for axis in kept), -1)
    ones = xp.ones_like(flat[..., :1])
    before = xp.cumprod(xp.concatenate([ones, flat[..., :-1]], axis=-1), axis=-1)
    after = xp.cumprod(xp.concatenate([ones, flat[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    back = [order.index(axis) for axis in range(x.ndim)]
    xp.copyto(out, (before * after).reshape(moved.shape).transpose(back))


register(
    Op(
        "prod_of_others",
        lambda attributes, shape: shape,
        numeric,
        lambda backend, out, inputs, attributes: [
            partial(
                _prod_of_others,
                backend,
                out,
                inputs[0],
                normalized_axes(attributes["axes"], inputs[0].ndim),
            )
        ],
    )
)

# -- fitting a gradient to the shape that it belongs to ----------------------------------------


def _sum_like_shape(attributes: Attributes, shape: Shape, like: Shape) -> Shape:
    broadcast(shape, like)
    return like


def _bind_sum_like(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    """Sums over the axes along which the second input was broadcast."""
    x, like = inputs
    extra = x.ndim - like.ndim
    target = (1,) * extra + tuple(like.shape)
    axes = tuple(i for i, (a, b) in enumerate(zip(x.shape, target, strict=True)) if b == 1 and a != 1)
    if not axes:
        return [partial(backend.xp.copyto, out.reshape(x.shape), x)]
    return [backend.bind_sum(x, axes, out.reshape(target))]


register(
    Op(
        "sum_like",
        _sum_like_shape,
        lambda attributes, dtype, like: dtype,
        _bind_sum_like,
        lambda node, g: (_expand(g, node.inputs[0]), None),
    )
)

# -- matrix products ---------------------------------------------------------------------------


def _bind_matmul(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    a, b = inputs
    return backend.bind_matmul(
        a.swapaxes(-1, -2) if attributes.get("transpose_a") else a,
        b.swapaxes(-1, -2) if attributes.get("transpose_b") else b,
        out,
    )


def _matmul_gradient(node: Node, g: Node) -> tuple[Node, Node]:
    """C = AB: dA = g·Bᵀ, dB = Aᵀ·g, and the like where A or B enters transposed."""
    a, b = node.inputs
    ta, tb = bool(node.attributes.get("transpose_a")), bool(node.attributes.get("transpose_b"))
    da = matmul(b, g, transpose_a=tb, transpose_b=True) if ta else matmul(g, b, transpose_b=not tb)
    db = matmul(g, a, transpose_a=True, transpose_b=ta) if tb else matmul(a, g, transpose_a=not ta)
    return da, db


register(Op("matmul", matmul_shape, numeric, _bind_matmul, _matmul_gradient))


def _append_ones_shape(attributes: Attributes, shape: Shape) -> Shape:
    return (*shape[:-1], None if shape[-1] is None else shape[-1] + 1)


def _bind_append_ones(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    """The plan gives `out` memory of its own, so the ones are written once; x is usually computed in place."""
    out[..., -1:] = 1
    place = out[..., :-1]
    if backend.pointer(place) == backend.pointer(inputs[0]) and place.strides == inputs[0].strides:
        return []
    return [partial(backend.xp.copyto, place, inputs[0])]


def _append_ones_gradient(node: Node, g: Node) -> tuple[Node]:
    """g without its last column. The product g = d·Aᵀ without its last column is d·Wᵀ, A without its last row."""
    if g.op == "matmul" and g.attributes.get("transpose_b") and not g.attributes.get("transpose_a"):
        d, A = g.inputs
        return (matmul(d, A[..., :-1, :], transpose_b=True),)
    return (g[..., :-1],)


register(Op("append_ones", _append_ones_shape, numeric, _bind_append_ones, _append_ones_gradient))


# -- the functions that users call -------------------------------------------------------------


def _reduce(name: str, x: Any, axis: Any, keepdims: bool) -> Node:
    node = apply(name, x, axes=axis)
    return node if keepdims else squeeze(node, normalized_axes(axis, node.rank))


def reduce_sum(x: Any, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Node:
    """Σ x over the given axes, over all of them where none is given"""
    return _reduce("sum", x, axis, keepdims)


def reduce_prod(x: Any, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Node:
    """Π x over the given axes"""
    return _reduce("prod", x, axis, keepdims)


def reduce_max(x: Any, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Node:
    """The largest element over the given axes"""
    return _reduce("max", x, axis, keepdims)


def reduce_min(x: Any, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Node:
    """The smallest element over the given axes"""
    return _reduce("min", x, axis, keepdims)


def reduce_mean(x: Any, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Node:
    """The mean over the given axes"""
    with name_scope("mean"):
        total = apply("sum", x, axes=axis)
        mean = total / apply("count", total.inputs[0], axes=axis)
    return mean if keepdims else squeeze(mean, normalized_axes(axis, mean.rank))


def _bind_count(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    """The number of elements that a reduction takes together; a plan knows it and seldom asks."""
    return [partial(out.fill, counted(attributes, inputs[0].shape))]


def counted(attributes: Attributes, shape: tuple[int, ...]) -> int:
    """The product of the reduced extents."""
    return math.prod(shape[axis] for axis in normalized_axes(attributes["axes"], len(shape)))


register(
    Op(
        "count",
        lambda attributes, shape: (),
        lambda attributes, dtype: dtype if dtype.kind == "f" else np.dtype(np.float64),
        _bind_count,
        lambda node, g: (None,),
    )
)


def affine(x: Any, A: Any) -> Node:
    """x·W + b for A = [W; b] (…, n_in + 1, n_out): one product with a column of ones beside x.

    The bias costs no pass of its own over the activations, nor does its gradient.
    """
    return matmul(apply("append_ones", x), A)


def matmul(a: Any, b: Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Node:
    """The matrix product over the last two axes, with either operand transposed if asked for."""
    if not (transpose_a or transpose_b):
        return apply("matmul", a, b)
    return apply("matmul", a, b, transpose_a=transpose_a, transpose_b=transpose_b)


__all__ = ["affine", "matmul", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum"]
