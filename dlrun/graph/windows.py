"""Operations that look at a picture through a window: patches for convolution, and pooling.

Pictures are (R, B, H, W, C). A window of k × k places moves in strides of s; "same" pads with zeros so that ⌈H/s⌉ ×
⌈W/s⌉ places come out, as much behind as before or one more; "valid" does not pad: ⌊(H − k)/s⌋ + 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from dlrun.backend import Array, Backend, Call
from dlrun.graph.node import Node, Op, Shape, apply, register
from dlrun.graph.shapes import numeric

Attributes = Mapping[str, Any]


def places(size: int, kernel: int, stride: int, padding: str) -> int:
    """How many windows fit an axis. ValueError where none does."""
    if padding == "same":
        return -(-size // stride)
    if kernel > size:
        raise ValueError(f"a window of {kernel} does not fit into {size}")
    return (size - kernel) // stride + 1


def _pads(size: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """Zeros before and behind an axis."""
    if padding == "valid":
        return 0, 0
    total = max((places(size, kernel, stride, padding) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _known(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 5:
        raise ValueError("pictures are (replicas, rows, height, width, channels)")
    height, width, channels = shape[2:]
    if height is None or width is None or channels is None:
        raise ValueError("height, width and channels of a picture must be known")
    return height, width, channels


def _patches_shape(attributes: Attributes, shape: Shape) -> Shape:
    """(R, B, H, W, C) → (R, B·H'·W', k·k·C)."""
    height, width, channels = _known(shape)
    kernel, stride, padding = (attributes[name] for name in ("kernel", "stride", "padding"))
    count = places(height, kernel, stride, padding) * places(width, kernel, stride, padding)
    return (shape[0], None if shape[1] is None else shape[1] * count, kernel * kernel * channels)


class _Windows:
    """A picture with room for its padding, and the windows as a view (R, B, H', W', k, k, C)."""

    def __init__(self, backend: Backend, shape: tuple[int, ...], dtype: Any, attributes: Attributes) -> None:
        R, B, H, W, C = shape
        self.kernel, self.stride = attributes["kernel"], attributes["stride"]
        sizes = [(size, self.kernel, self.stride, attributes["padding"]) for size in (H, W)]
        (top, bottom), (left, right) = (_pads(*size) for size in sizes)
        self.places = (places(*sizes[0]), places(*sizes[1]))
        self.shape = (R, B, *self.places, self.kernel, self.kernel, C)
        self.padded: Array | None = None
        if top or bottom or left or right:
            self.padded = backend.zeros((R, B, H + top + bottom, W + left + right, C), dtype)
            self.inside = self.padded[:, :, top : top + H, left : left + W]

    def view(self, backend: Backend, x: Array) -> Array:
        """All windows of x, which is padded."""
        r, b, h, w, c = x.strides
        strides = (r, b, h * self.stride, w * self.stride, h, w, c)
        return backend.xp.lib.stride_tricks.as_strided(x, self.shape, strides)

    def at(self, x: Array, i: int, j: int) -> Array:
        """The place (i, j) of every window of x, (R, B, H', W', C)."""
        return _strided(x, i, j, self.stride, self.places)


def _strided(x: Array, i: int, j: int, stride: int, count: tuple[int, int]) -> Array:
    rows, columns = count
    return x[:, :, i : i + stride * (rows - 1) + 1 : stride, j : j + stride * (columns - 1) + 1 : stride]


def _bind_patches(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    x, copy = inputs[0], backend.xp.copyto
    windows = _Windows(backend, x.shape, x.dtype, attributes)
    target = out.reshape(windows.shape)  # axes are only divided, so that this is a view
    if windows.padded is None:
        return [partial(copy, target, windows.view(backend, x))]
    return [partial(copy, windows.inside, x), partial(copy, target, windows.view(backend, windows.padded))]


def _bind_patches_adjoint(
    backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes
) -> list[Call]:
    """Each patch is added back to the places that it was taken from."""
    windows = _Windows(backend, out.shape, out.dtype, attributes)
    g = inputs[0].reshape(windows.shape)
    whole = out if windows.padded is None else windows.padded
    calls: list[Call] = [partial(whole.fill, 0)]
    for i in range(windows.kernel):
        for j in range(windows.kernel):
            place = windows.at(whole, i, j)
            calls.append(partial(backend.xp.add, place, g[..., i, j, :], place))
    if windows.padded is not None:
        calls.append(partial(backend.xp.copyto, out, windows.inside))
    return calls


register(
    Op(
        "patches",
        _patches_shape,
        numeric,
        _bind_patches,
        gradient=lambda node, g: (apply("patches_adjoint", g, node.inputs[0], **node.attributes),),
    )
)
register(
    Op(
        "patches_adjoint",
        lambda attributes, shape, like: (shape[0], *like[1:]),
        lambda attributes, dtype, like: dtype,
        _bind_patches_adjoint,
        gradient=lambda node, g: (apply("patches", g, **node.attributes), None),
    )
)

# -- pooling -----------------------------------------------------------------------------------


def _pool_shape(attributes: Attributes, shape: Shape) -> Shape:
    height, width, channels = _known(shape)
    size, stride = attributes["size"], attributes["stride"]
    return (*shape[:2], places(height, size, stride, "valid"), places(width, size, stride, "valid"), channels)


def _offsets(size: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(size) for j in range(size)]


def _bind_max_pool(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    x, stride, count = inputs[0], attributes["stride"], (out.shape[2], out.shape[3])
    parts = [_strided(x, i, j, stride, count) for i, j in _offsets(attributes["size"])]
    return [
        partial(backend.xp.copyto, out, parts[0]),
        *(partial(backend.xp.maximum, out, part, out=out) for part in parts[1:]),
    ]


def _bind_max_pool_gradient(
    backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes
) -> list[Call]:
    """To the largest place of each window, and of those that tie to the first, row by row."""
    xp, (x, largest, g) = backend.xp, inputs
    stride, count = attributes["stride"], (largest.shape[2], largest.shape[3])
    hit, left = backend.empty(g.shape, bool), backend.empty(g.shape, bool)
    share = backend.empty(g.shape, out.dtype)
    calls: list[Call] = [partial(out.fill, 0), partial(left.fill, True)]
    for i, j in _offsets(attributes["size"]):
        place = _strided(out, i, j, stride, count)
        calls += [
            partial(xp.equal, _strided(x, i, j, stride, count), largest, hit),
            partial(xp.logical_and, hit, left, hit),
            partial(xp.greater, left, hit, left),
            partial(xp.multiply, g, hit, share),
            partial(xp.add, place, share, place),
        ]
    return calls


def _bind_average_pool(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    x, stride, count = inputs[0], attributes["stride"], (out.shape[2], out.shape[3])
    parts = [_strided(x, i, j, stride, count) for i, j in _offsets(attributes["size"])]
    share = backend.scalar(1 / len(parts), out.dtype)
    return [
        partial(backend.xp.copyto, out, parts[0]),
        *(partial(backend.xp.add, out, part, out) for part in parts[1:]),
        partial(backend.xp.multiply, out, share, out),
    ]


def _bind_average_pool_gradient(
    backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes
) -> list[Call]:
    xp, g = backend.xp, inputs[0]
    stride, offsets, count = attributes["stride"], _offsets(attributes["size"]), (g.shape[2], g.shape[3])
    share = backend.empty(g.shape, out.dtype)
    calls: list[Call] = [
        partial(out.fill, 0),
        partial(xp.multiply, g, backend.scalar(1 / len(offsets), out.dtype), share),
    ]
    for i, j in offsets:
        place = _strided(out, i, j, stride, count)
        calls.append(partial(xp.add, place, share, place))
    return calls


register(
    Op(
        "max_pool",
        _pool_shape,
        numeric,
        _bind_max_pool,
        gradient=lambda node, g: (apply("max_pool_gradient", node.inputs[0], node, g, **node.attributes),),
    )
)
register(
    Op(
        "max_pool_gradient",
        lambda attributes, shape, largest, g: (g[0] if shape[0] == 1 else shape[0], *shape[1:]),
        lambda attributes, dtype, largest, g: dtype,
        _bind_max_pool_gradient,
    )
)
register(
    Op(
        "average_pool",
        _pool_shape,
        numeric,
        _bind_average_pool,
        gradient=lambda node, g: (apply("average_pool_gradient", g, node.inputs[0], **node.attributes),),
    )
)
register(
    Op(
        "average_pool_gradient",
        lambda attributes, shape, like: (shape[0], *like[1:]),
        lambda attributes, dtype, like: dtype,
        _bind_average_pool_gradient,
        gradient=lambda node, g: (apply("average_pool", g, **node.attributes), None),
    )
)

# -- the functions that users call -------------------------------------------------------------


def patches(x: Node, kernel: int, *, stride: int = 1, padding: str = "same") -> Node:
    """The windows of pictures (R, B, H, W, C) as rows (R, B·H'·W', k·k·C), zeros beyond the edge."""
    return apply("patches", x, kernel=kernel, stride=stride, padding=padding)


def max_pool(x: Node, size: int, *, stride: int | None = None) -> Node:
    """The largest number of each window and channel; its derivative goes to the first of those that tie."""
    return apply("max_pool", x, size=size, stride=stride or size)


def average_pool(x: Node, size: int, *, stride: int | None = None) -> Node:
    """The mean of each window and channel."""
    return apply("average_pool", x, size=size, stride=stride or size)


def place_count(shape: tuple[int, int], kernel: int, stride: int, padding: str) -> int:
    """H'·W' of pictures of H × W."""
    return math.prod(places(size, kernel, stride, padding) for size in shape)
