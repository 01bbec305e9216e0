"""Operations that move values without computing: views wherever an array library allows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from dlrun.backend import Array, Backend, Call
from dlrun.graph.node import Node, Op, Shape, apply, register, show_shape
from dlrun.graph.shapes import broadcast, normalized_axes, promoted, same

Attributes = Mapping[str, Any]


def _reshape_shape(attributes: Attributes, shape: Shape) -> Shape:
    target: Shape = attributes["shape"]
    if None in shape:
        return tuple(None if extent == -1 else extent for extent in target)
    size = math.prod(extent for extent in shape if extent is not None)
    rest = math.prod(extent for extent in target if extent not in (-1, None))
    if target.count(-1) > 1:
        raise ValueError(f"{show_shape(target)} leaves more than one extent open")
    if -1 in target and rest and size % rest == 0:
        return tuple(size // rest if extent == -1 else extent for extent in target)
    if size != rest:
        raise ValueError(f"{size} elements do not fill {show_shape(target)}")
    return target


def _view_as(backend: Backend, x: Array, shape: Any) -> Array | None:
    """A reshape without a copy, or None where the strides do not allow one."""
    result = x.reshape(shape)
    return result if backend.pointer(result) == backend.pointer(x) else None


def _bind_reshape(
    backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes
) -> list[Call]:
    return [partial(backend.xp.copyto, out.reshape(inputs[0].shape), inputs[0])]


register(
    Op(
        "reshape",
        _reshape_shape,
        promoted,
        _bind_reshape,
        gradient=lambda node, g: (reshape_like(g, node.inputs[0]),),
        view=lambda backend, inputs, attributes: _view_as(backend, inputs[0], attributes["shape"]),
    )
)
register(
    Op(
        "reshape_like",
        lambda attributes, shape, like: like,
        lambda attributes, dtype, like: dtype,
        _bind_reshape,
        gradient=lambda node, g: (reshape_like(g, node.inputs[0]), None),
        view=lambda backend, inputs, attributes: _view_as(backend, inputs[0], inputs[1].shape),
    )
)


def _transpose_shape(attributes: Attributes, shape: Shape) -> Shape:
    axes = attributes["axes"]
    if sorted(axis % len(shape) if shape else axis for axis in axes) != list(range(len(shape))):
        raise ValueError(f"axes {axes} are not an order of {len(shape)} axes")
    return tuple(shape[axis] for axis in axes)


register(
    Op(
        "transpose",
        _transpose_shape,
        promoted,
        gradient=lambda node, g: (
            transpose(g, tuple(int(i) for i in np.argsort([a % g.rank for a in node.attributes["axes"]]))),
        ),
        view=lambda backend, inputs, attributes: inputs[0].transpose(attributes["axes"]),
    )
)


def _broadcast_like_shape(attributes: Attributes, shape: Shape, like: Shape) -> Shape:
    broadcast(shape, like)
    return like


register(
    Op(
        "broadcast_like",
        _broadcast_like_shape,
        lambda attributes, dtype, like: dtype,
        gradient=lambda node, g: (apply("sum_like", g, node.inputs[0]), None),
        view=lambda backend, inputs, attributes: backend.xp.broadcast_to(inputs[0], inputs[1].shape),
    )
)


# -- indexing ----------------------------------------------------------------------------------


def _index_shape(attributes: Attributes, shape: Shape) -> Shape:
    """NumPy's own rule, asked of an array without memory; unknown extents stay unknown."""
    key = attributes["key"]
    for part in key:
        if not (part is None or part is Ellipsis or isinstance(part, (int, slice, np.integer))):
            raise ValueError(f"index {part!r} is not an integer, a slice, None or ...")
    probe = np.broadcast_to(np.float32(0), tuple(1 << 40 if extent is None else extent for extent in shape))
    try:
        found = probe[key].shape
    except IndexError as error:
        raise ValueError(str(error)) from None
    return tuple(None if extent > 1 << 30 else extent for extent in found)


def _indexed(x: Array, key: tuple[Any, ...]) -> Array:
    return x[key if Ellipsis in key else (*key, Ellipsis)]


register(
    Op(
        "index",
        _index_shape,
        promoted,
        gradient=lambda node, g: (apply("place", g, node.inputs[0], key=node.attributes["key"]),),
        view=lambda backend, inputs, attributes: _indexed(inputs[0], attributes["key"]),
    )
)
register(
    Op(
        "place",
        lambda attributes, shape, like: like,
        lambda attributes, dtype, like: dtype,
        lambda backend, out, inputs, attributes: [
            partial(out.fill, 0),
            partial(backend.xp.copyto, _indexed(out, attributes["key"]), inputs[0]),
        ],
        gradient=lambda node, g: (apply("index", g, key=node.attributes["key"]), None),
    )
)

# -- concatenation -----------------------------------------------------------------------------


def _concatenate_shape(attributes: Attributes, *shapes: Shape) -> Shape:
    axis = normalized_axes(attributes["axis"], len(shapes[0]))[0]
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        raise ValueError("the tensors differ in rank")
    others = [(*shape[:axis], 1, *shape[axis + 1 :]) for shape in shapes]
    if any(a != b for shape in others for a, b in zip(shape, others[0], strict=True) if None not in (a, b)):
        raise ValueError(f"the tensors differ in an axis other than {axis}")
    extents = [shape[axis] for shape in shapes]
    total = None if None in extents else sum(extent for extent in extents if extent is not None)
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _pieces(node: Node) -> list[tuple[Any, ...]]:
    """The key of each input's place along the axis."""
    axis = node.attributes["axis"] % node.rank
    keys, start = [], 0
    for x in node.inputs:
        extent = x.shape[axis]
        if extent is None:
            raise ValueError(f"{node.name}: the gradient of a concatenation needs known extents")
        keys.append((*(slice(None),) * axis, slice(start, start + extent)))
        start += extent
    return keys


def _bind_concatenate(
    backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes
) -> list[Call]:
    axis = attributes["axis"] % out.ndim
    calls, start = [], 0
    for x in inputs:
        key = (*(slice(None),) * axis, slice(start, start + x.shape[axis]))
        calls.append(partial(backend.xp.copyto, out[key], x))
        start += x.shape[axis]
    return calls


register(
    Op(
        "concatenate",
        _concatenate_shape,
        promoted,
        _bind_concatenate,
        gradient=lambda node, g: tuple(apply("index", g, key=key) for key in _pieces(node)),
    )
)


def _pack_shape(attributes: Attributes, *shapes: Shape) -> Shape:
    """(R, …) tensors side by side as one row per replica: (R, P)."""
    sizes = [math.prod(extent or 0 for extent in shape[1:]) for shape in shapes]
    return (shapes[0][0], sum(sizes))


def pack_views(out: Array, shapes: list[tuple[int, ...]]) -> list[Array]:
    """The place of each packed tensor in the rows of `out` (R, P), as a view of the tensor's shape."""
    views, start = [], 0
    for shape in shapes:
        size = math.prod(shape[1:])
        views.append(out[:, start : start + size].reshape(shape))
        start += size
    return views


def _bind_pack(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    """Copies only what was not computed in place: the plan hands the inputs their place in `out`."""
    views = pack_views(out, [x.shape for x in inputs])
    return [
        partial(backend.xp.copyto, view, x)
        for view, x in zip(views, inputs, strict=True)
        if not (backend.pointer(view) == backend.pointer(x) and view.strides == x.strides)
    ]


register(Op("pack", _pack_shape, promoted, _bind_pack))

register(
    Op(
        "stop_gradient",
        same,
        promoted,
        gradient=lambda node, g: (None,),
        view=lambda backend, inputs, attributes: inputs[0],
    )
)


# -- the functions that users call -------------------------------------------------------------


def reshape(x: Any, shape: tuple[int, ...]) -> Node:
    """The same elements in another shape; one extent may be −1, to be worked out."""
    return apply("reshape", x, shape=tuple(shape))


def reshape_like(x: Any, like: Node) -> Node:
    """The elements of x in the shape of `like`."""
    return apply("reshape_like", x, like)


def transpose(x: Any, axes: tuple[int, ...] | None = None) -> Node:
    """The axes in another order; the last two exchanged where no order is given."""
    rank = x.rank if isinstance(x, Node) else np.ndim(x)
    if axes is None:
        axes = (*range(rank - 2), rank - 1, rank - 2) if rank > 1 else tuple(range(rank))
    return apply("transpose", x, axes=tuple(axes))


def concatenate(tensors: list[Any], axis: int = 0) -> Node:
    """Tensors one after another along an axis."""
    return apply("concatenate", *tensors, axis=axis)


def pack(tensors: list[Node]) -> Node:
    """(R, …) tensors as one row per replica, (R, P)."""
    return apply("pack", *tensors)


def stop_gradient(x: Any) -> Node:
    """x, as a constant to derivatives."""
    return apply("stop_gradient", x)
