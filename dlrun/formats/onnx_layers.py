"""The layers of a network as ONNX operations, a method a kind.

A row's shape is (d,), (H, W, C) or (T, d), as in `nn.layers`, behind an axis N of rows; pictures are turned to the
(N, C, H, W) of ONNX for a convolution or a pool and back. Recurrent layers are written out step by step, from the same
equations, since the runtimes' own have other orders of gates and no float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.graph.windows import places
from dlrun.nn.layers.batch_norm import EPSILON
from dlrun.nn.network import Architecture, Placed

LEAK = 0.01
INNER, OUTER = [0, 3, 1, 2], [0, 2, 3, 1]  # (N, H, W, C) to (N, C, H, W), and back


class LayerNodes:
    """Writes the layers of a network into a graph (`formats.onnx._Graph`)."""

    def __init__(self, graph: Any, net: Architecture, values: Mapping[str, npt.NDArray[Any]]) -> None:
        self._graph, self._net, self._values = graph, net, values
        self._dtype = np.dtype(net.dtype)
        self._mask: list[str] = []  # (N, 1) of each step
        self._final = ""  # the last state of the recurrent layer just written

    def build(self, a: str) -> str:
        """z (N, C) of the network's rows a (N, d)."""
        net = self._net
        if net.input_shape is not None and len(net.input_shape) > 1:
            a = self._op("Reshape", a, self._whole([-1, *net.input_shape]))
            if net.masked:
                d = net.input_shape[1] - 1
                marks = self._cut(a, 2, d, d + 1)
                self._mask = [self._step(marks, t) for t in range(net.input_shape[0])]
                a = self._cut(a, 2, 0, d)
        for each in net.placed:
            final, self._final = self._final, ""
            if each.layer.kind == "last" and final:
                a = final
            elif each.layer.kind != "dropout":
                a = getattr(self, f"_{each.layer.kind}")(a, each)
        return a

    # -- small things --------------------------------------------------------------------------

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return str(self._graph.op(kind, *inputs, **attributes))

    def _number(self, value: Any) -> str:
        return str(self._graph.constant(value, self._dtype))

    def _whole(self, values: list[int]) -> str:
        return str(self._graph.constant(values, np.int64))

    def _value(self, stem: str, each: Placed) -> str:
        return self._number(self._values[f"{stem}{each.number}"])

    def _cut(self, a: str, axis: int, start: int, stop: int) -> str:
        return self._op("Slice", a, self._whole([start]), self._whole([stop]), self._whole([axis]))

    def _step(self, a: str, t: int) -> str:
        return self._op("Squeeze", self._cut(a, 1, t, t + 1), self._whole([1]))

    def _activated(self, name: str, z: str) -> str:
        if name == "identity":
            return z
        if name == "leaky_relu":  # in place of LeakyRelu, which runtimes have in float32 alone
            return self._op("Max", z, self._op("Mul", z, self._number(LEAK)))
        return self._op({"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}[name], z)

    def _scaled(self, centred: str, variance: str, each: Placed) -> str:
        """γ·centred/√(σ² + ε) + β."""
        root = self._op("Sqrt", self._op("Add", variance, self._number(EPSILON)))
        product = self._op("Mul", self._op("Div", centred, root), self._value("gamma", each))
        return self._op("Add", product, self._value("beta", each))

    # -- kinds ---------------------------------------------------------------------------------

    def _dense(self, a: str, each: Placed) -> str:
        layer: Any = each.layer
        a = self._op("MatMul", a, self._value("W", each))
        if f"b{each.number}" in self._values and layer.bias:
            a = self._op("Add", a, self._value("b", each))
        return self._activated(layer.activation, a)

    def _activation(self, a: str, each: Placed) -> str:
        layer: Any = each.layer
        return self._activated(layer.activation, a)

    def _batch_norm(self, a: str, each: Placed) -> str:
        return self._scaled(self._op("Sub", a, self._value("mean", each)), self._value("variance", each), each)

    def _layer_norm(self, a: str, each: Placed) -> str:
        axis = self._whole([-1])
        centred = self._op("Sub", a, self._op("ReduceMean", a, axis, keepdims=1))
        variance = self._op("ReduceMean", self._op("Mul", centred, centred), axis, keepdims=1)
        return self._scaled(centred, variance, each)

    def _conv2d(self, a: str, each: Placed) -> str:
        """One product of the windows, as the network itself computes it: runtimes convolve in float32 alone."""
        layer: Any = each.layer
        k, s = layer.kernel, layer.stride
        pads, counts = [], []
        for size in each.shape[:2]:
            count = places(size, k, s, layer.padding)
            total = max((count - 1) * s + k - size, 0) if layer.padding == "same" else 0
            pads.append((total // 2, total - total // 2))
            counts.append(count)
        (top, bottom), (left, right) = pads
        if any((top, bottom, left, right)):
            a = self._op("Pad", a, self._whole([0, top, left, 0, 0, bottom, right, 0]), self._number(0.0))
        parts = []
        for i in range(k):
            for j in range(k):
                starts, ends = [i, j], [i + s * (counts[0] - 1) + 1, j + s * (counts[1] - 1) + 1]
                parts.append(
                    self._op(
                        "Slice", a, self._whole(starts), self._whole(ends), self._whole([1, 2]), self._whole([s, s])
                    )
                )
        windows = self._op("Concat", *parts, axis=3) if len(parts) > 1 else parts[0]
        W = self._values[f"W{each.number}"]
        z = self._op("MatMul", windows, self._number(W.reshape(-1, W.shape[-1])))
        if layer.bias:
            z = self._op("Add", z, self._value("b", each))
        return self._activated(layer.activation, z)

    def _pool(self, kind: str, a: str, each: Placed) -> str:
        layer: Any = each.layer
        size, stride = layer.size, layer.stride or layer.size
        turned = self._op("Transpose", a, perm=INNER)
        pooled = self._op(kind, turned, kernel_shape=[size, size], strides=[stride, stride])
        return self._op("Transpose", pooled, perm=OUTER)

    def _max_pool(self, a: str, each: Placed) -> str:
        return self._pool("MaxPool", a, each)

    def _average_pool(self, a: str, each: Placed) -> str:
        single = self._dtype == np.float64  # runtimes take means of pictures in float32 alone
        pooled = self._pool("AveragePool", self._graph.cast(a, np.float32) if single else a, each)
        return str(self._graph.cast(pooled, self._dtype)) if single else pooled

    def _global_average_pool(self, a: str, each: Placed) -> str:
        return self._op("ReduceMean", a, self._whole([1, 2]), keepdims=0)

    def _flatten(self, a: str, each: Placed) -> str:
        return self._op("Reshape", a, self._whole([-1, math.prod(each.shape)]))

    def _embedding(self, a: str, each: Placed) -> str:
        tokens = self._op("Squeeze", self._graph.cast(a, np.int64), self._whole([2]))
        return self._op("Gather", self._value("W", each), tokens, axis=0)

    def _last(self, a: str, each: Placed) -> str:
        T = each.shape[0]
        if not self._mask:
            return self._step(a, T - 1)
        total = self._op("Mul", self._mask[-1], self._step(a, T - 1))
        for t in range(T - 1):
            ends = self._op("Sub", self._mask[t], self._mask[t + 1])
            total = self._op("Add", total, self._op("Mul", ends, self._step(a, t)))
        return total

    def _mean_over_time(self, a: str, each: Placed) -> str:
        if not self._mask:
            return self._op("ReduceMean", a, self._whole([1]), keepdims=0)
        steps = range(each.shape[0])
        total = self._op("Sum", *(self._op("Mul", self._mask[t], self._step(a, t)) for t in steps))
        return self._op("Div", total, self._op("Max", self._op("Sum", *self._mask), self._number(1.0)))

    # -- recurrence ----------------------------------------------------------------------------

    def _recurrent(self, a: str, each: Placed, states: int, step: Any) -> str:
        """All states h (N, T, units); `step` gives the new state from W·x_t + b and the old one."""
        layer: Any = each.layer
        z = self._op("Add", self._op("MatMul", a, self._value("W", each)), self._value("b", each))
        zero = self._op("Mul", self._cut(self._step(z, 0), 1, 0, layer.units), self._number(0.0))
        state, outputs = [zero] * states, []
        for t in range(each.shape[0]):
            new = step(self._step(z, t), state)
            if self._mask:
                new = [
                    self._op("Add", old, self._op("Mul", self._mask[t], self._op("Sub", mine, old)))
                    for mine, old in zip(new, state, strict=True)
                ]
            state = new
            outputs.append(self._op("Unsqueeze", state[0], self._whole([1])))
        self._final = state[0]
        return self._op("Concat", *outputs, axis=1)

    def _gates(self, z: str, count: int, units: int) -> list[str]:
        return [self._cut(z, 1, k * units, (k + 1) * units) for k in range(count)]

    def _rnn(self, a: str, each: Placed) -> str:
        layer: Any = each.layer
        U = self._value("U", each)

        def step(x: str, state: list[str]) -> list[str]:
            return [self._activated(layer.activation, self._op("Add", x, self._op("MatMul", state[0], U)))]

        return self._recurrent(a, each, 1, step)

    def _lstm(self, a: str, each: Placed) -> str:
        layer: Any = each.layer
        U = self._value("U", each)

        def step(x: str, state: list[str]) -> list[str]:
            z = self._op("Add", x, self._op("MatMul", state[0], U))
            i, f, g, o = self._gates(z, 4, layer.units)
            kept = self._op("Mul", self._op("Sigmoid", f), state[1])
            c = self._op("Add", kept, self._op("Mul", self._op("Sigmoid", i), self._op("Tanh", g)))
            return [self._op("Mul", self._op("Sigmoid", o), self._op("Tanh", c)), c]

        return self._recurrent(a, each, 2, step)

    def _gru(self, a: str, each: Placed) -> str:
        layer: Any = each.layer
        U, c = self._value("U", each), self._value("c", each)

        def step(x: str, state: list[str]) -> list[str]:
            h = state[0]
            x_r, x_z, x_n = self._gates(x, 3, layer.units)
            h_r, h_z, h_n = self._gates(self._op("MatMul", h, U), 3, layer.units)
            r, z = (self._op("Sigmoid", self._op("Add", *pair)) for pair in ((x_r, h_r), (x_z, h_z)))
            n = self._op("Tanh", self._op("Add", x_n, self._op("Mul", r, self._op("Add", h_n, c))))
            return [self._op("Add", n, self._op("Mul", z, self._op("Sub", h, n)))]

        return self._recurrent(a, each, 1, step)
