"""z[y, x, f] = Σ w[i, j, c, f]·a[s·y + i, s·x + j, c] + b[f] over a window of k × k places, then an activation.

Source: LeCun and others 1998; the sum is a correlation, as everywhere. It is computed as one matrix product of the
windows of all rows, (B·H'·W', k·k·C) by (k·k·C, F).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.node import Node
from dlrun.graph.reductions import affine, matmul
from dlrun.graph.shaping import reshape
from dlrun.graph.windows import patches, place_count, places
from dlrun.nn.layers.layer import Draw, FloatArray, Layer, Shape, Site, need_rank


@dataclass(frozen=True, kw_only=True)
class Conv2d(Layer):
    """Convolution of pictures: `filters` of `kernel` × `kernel`."""

    kind: ClassVar[str] = "conv2d"
    filters: int
    kernel: int = 3
    stride: int = 1
    padding: str = "same"
    activation: str = "relu"
    bias: bool = True

    def output_shape(self, shape: Shape) -> Shape:
        need_rank(shape, 3)
        return (*(places(size, self.kernel, self.stride, self.padding) for size in shape[:2]), self.filters)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        W: dict[str, Shape] = {"W": (self.kernel, self.kernel, shape[-1], self.filters)}
        return W | ({"b": (1, self.filters)} if self.bias else {})

    def first(self, shape: Shape, draw: Draw) -> dict[str, FloatArray]:
        window = self.kernel**2
        return {"W": draw.weights(window * shape[-1], window * self.filters, self.filters)}

    def products(self, shape: Shape) -> list[tuple[int, int, int]]:
        count = place_count((shape[0], shape[1]), self.kernel, self.stride, self.padding)
        return [(count, self.kernel**2 * shape[-1], self.filters)]

    def build(self, a: Node, site: Site) -> Node:
        windows = patches(a, self.kernel, stride=self.stride, padding=self.padding)
        z = affine(windows, site.block("A")) if site.has("A") else matmul(windows, site.block("W"))
        z = site.graph.activated(self.activation, z)
        return reshape(z, (z.shape[0] or -1, site.graph.B, *self.output_shape(site.shape)))
