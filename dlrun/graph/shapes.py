"""Shape and type rules that operations share. `None` is an extent not known until run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlrun.graph.node import Shape, show_shape

Attributes = Mapping[str, Any]


def broadcast(*shapes: Shape) -> Shape:
    """NumPy's broadcasting: from the last axis on, extents are equal or 1."""
    rank = max(len(shape) for shape in shapes)
    result: list[int | None] = []
    for axis in range(-rank, 0):
        extents = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        known = extents - {None}
        if len(known) > 1:
            listed = " and ".join(show_shape(shape) for shape in shapes)
            raise ValueError(f"{listed} do not broadcast: axis {axis} has extents {sorted(known)}")  # type: ignore[type-var]
        result.append(known.pop() if known else (None if extents else 1))
    return tuple(result)


def same(attributes: Attributes, shape: Shape) -> Shape:
    return shape


def broadcast_inputs(attributes: Attributes, *shapes: Shape) -> Shape:
    return broadcast(*shapes)


def normalized_axes(axes: Any, rank: int) -> tuple[int, ...]:
    """Axes as a sorted tuple of non-negative numbers; `None` is all of them."""
    if axes is None:
        return tuple(range(rank))
    listed = (axes,) if isinstance(axes, int) else tuple(axes)
    for axis in listed:
        if not -rank <= axis < rank:
            raise ValueError(f"axis {axis} is outside a tensor of rank {rank}")
    found = tuple(sorted(axis % rank for axis in listed))
    if len(set(found)) != len(found):
        raise ValueError(f"axes {listed} name one axis twice")
    return found


def reduced(attributes: Attributes, shape: Shape) -> Shape:
    """The reduced axes stay as extents of 1 (a reshape drops them where that is asked for)."""
    axes = normalized_axes(attributes["axes"], len(shape))
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))


def matmul_shape(attributes: Attributes, a: Shape, b: Shape) -> Shape:
    """(…, m, k)·(…, k, n) → (…, m, n), the leading axes broadcast; with transposes by attribute."""
    if len(a) < 2 or len(b) < 2:
        raise ValueError("both operands need at least two axes")
    m, k = (a[-1], a[-2]) if attributes.get("transpose_a") else (a[-2], a[-1])
    k2, n = (b[-1], b[-2]) if attributes.get("transpose_b") else (b[-2], b[-1])
    if k is not None and k2 is not None and k != k2:
        raise ValueError(f"the inner extents {k} and {k2} differ")
    return (*broadcast(a[:-2] or (1,), b[:-2] or (1,)), m, n) if len(a) + len(b) > 4 else (m, n)


def promoted(attributes: Attributes, *dtypes: Any) -> Any:
    return np.result_type(*dtypes)


def numeric(attributes: Attributes, *dtypes: Any) -> Any:
    """The common type of numbers."""
    if any(dtype.kind == "b" for dtype in dtypes):
        raise ValueError("truth values have no arithmetic; cast them first")
    return np.result_type(*dtypes)


def floating(attributes: Attributes, *dtypes: Any) -> Any:
    """The common float type; integers of up to 16 bits are computed in float32, longer ones in float64."""
    result = numeric(attributes, *dtypes)
    return result if result.kind == "f" else np.dtype(np.float64 if result.itemsize > 2 else np.float32)


def truth(attributes: Attributes, *dtypes: Any) -> Any:
    return np.dtype(bool)
