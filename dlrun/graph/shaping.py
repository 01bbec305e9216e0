"""Operations that move values without computing: views wherever an array library allows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from dlrun.backend import Array, Backend, Call
from dlrun.errors import GraphError
from dlrun.graph.node import Node, Op, Shape, apply, constant, register, show_shape
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
    if size != rest or -1 in target:
        raise ValueError(f"{size} elements do not fill {show_shape(target)}")
    return target


def _view_as(backend: Backend, x: Array, shape: Any) -> Array | None:
    """A reshape without a copy, or None where the strides do not allow one."""
    result = x.reshape(shape)
    return result if backend.pointer(result) == backend.pointer(x) else None


def _bind_reshape(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    x, copy = inputs[0], backend.xp.copyto
    place = _view_as(backend, out, x.shape)
    if place is not None:
        return [partial(copy, place, x)]
    plain = backend.empty(x.shape, x.dtype)  # neither x nor a target with gaps has its elements in a row
    return [partial(copy, plain, x), partial(copy, out, plain.reshape(out.shape))]


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


def _squeezed(attributes: Attributes, shape: Shape) -> Shape:
    axes = normalized_axes(attributes["axes"], len(shape))
    if any(shape[axis] not in (1, None) for axis in axes):
        raise ValueError(f"axes {axes} are not all of extent 1")
    return tuple(extent for axis, extent in enumerate(shape) if axis not in axes)


register(
    Op(
        "squeeze",
        _squeezed,
        promoted,
        gradient=lambda node, g: (reshape_like(g, node.inputs[0]),),
        view=lambda backend, inputs, attributes: inputs[0].reshape(_squeezed(attributes, inputs[0].shape)),
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
    """NumPy's basic indexing; a slice of an axis of unknown extent has an unknown extent."""
    key = attributes["key"]
    for part in key:
        whole = isinstance(part, (int, np.integer)) and not isinstance(part, bool)
        if not (part is None or part is Ellipsis or whole or isinstance(part, slice)):
            raise ValueError(f"index {part!r} is not an integer, a slice, None or ...")
    used = sum(part is not None and part is not Ellipsis for part in key)
    if used > len(shape):
        raise ValueError(f"{used} indices for a tensor of rank {len(shape)}")
    ellipses = [i for i, part in enumerate(key) if part is Ellipsis]
    if len(ellipses) > 1:
        raise ValueError("an index can have one ellipsis only")
    rest = (slice(None),) * (len(shape) - used)
    at = ellipses[0] if ellipses else len(key)
    found: list[int | None] = []
    axes = iter(enumerate(shape))
    for part in (*key[:at], *rest, *key[at + 1 :]):
        if part is None:
            found.append(1)
            continue
        axis, extent = next(axes)
        if isinstance(part, slice):
            found.append(_slice_extent(part, extent))
        elif extent is not None and not -extent <= part < extent:
            raise ValueError(f"index {part} is outside axis {axis} of extent {extent}")
    return tuple(found)


def _slice_extent(part: slice, extent: int | None) -> int | None:
    if part.step == 0:
        raise ValueError("a slice's step cannot be 0")
    if extent is None:
        return None
    try:
        return len(range(*part.indices(extent)))
    except TypeError:
        raise ValueError(f"the slice {part} holds more than integers") from None


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


def _bind_assemble(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    """Every part in its place, and 0 where there is none."""
    parts = zip(inputs[:-1], attributes["keys"], strict=True)
    return [partial(out.fill, 0), *(partial(backend.xp.copyto, _indexed(out, key), part) for part, key in parts)]


register(
    Op(
        "assemble",
        lambda attributes, *shapes: shapes[-1],
        lambda attributes, *dtypes: dtypes[0],
        _bind_assemble,
        gradient=lambda node, g: (*(apply("index", g, key=key) for key in node.attributes["keys"]), None),
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
            raise GraphError(
                f"{node.name}: the derivative of concatenate needs a known extent along axis {axis}, "
                f"and {x.name} is {show_shape(x.shape)}"
            )
        keys.append((*(slice(None),) * axis, slice(start, start + extent)))
        start += extent
    return keys


def _bind_concatenate(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    axis = attributes["axis"] % out.ndim
    calls: list[Call] = []
    start = 0
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


def _bind_shape(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    """Known once the plan is made, but `out` may be memory that other results pass through."""
    extents = backend.to_device(np.array(inputs[0].shape, np.int64))
    return [partial(backend.xp.copyto, out, extents)]


register(
    Op(
        "shape",
        lambda attributes, shape: (len(shape),),
        lambda attributes, dtype: np.dtype(np.int64),
        _bind_shape,
        gradient=lambda node, g: (None,),
    )
)


# -- the functions that users call -------------------------------------------------------------


def reshape(x: Any, shape: tuple[int, ...]) -> Node:
    """The same elements in another shape; one extent may be −1, to be worked out."""
    return apply("reshape", x, shape=tuple(shape))


def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Node:
    """x without the given axes, which are of extent 1; without all such axes where none is given."""
    node = x if isinstance(x, Node) else constant(x)
    axes = axis if axis is not None else tuple(i for i, extent in enumerate(node.shape) if extent == 1)
    return apply("squeeze", node, axes=axes)


def shape(x: Any) -> Node:
    """The extents that x has when the graph is run, as an int64 tensor (rank,); `x.shape` is the static shape."""
    return apply("shape", x)


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
    if not tensors:
        raise GraphError("concatenate needs at least one tensor")
    return apply("concatenate", *tensors, axis=axis)


def pack(tensors: list[Node]) -> Node:
    """(R, …) tensors as one row per replica, (R, P)."""
    return apply("pack", *tensors)


def stop_gradient(x: Any) -> Node:
    """x, as a constant to derivatives."""
    return apply("stop_gradient", x)
