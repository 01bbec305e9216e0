"""The training step as one writes it by hand in NumPy: `out=` everywhere, one row of θ, nothing general about it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.cases import BETA1, BETA2, EPSILON, LEARNING_RATE, StepCase

VERSIONS = {"numpy": np.__version__}


def prepare(case: StepCase, threads: int) -> Callable[[int], None]:
    """A call that makes n steps on one batch."""
    B, classes = case.batch, case.widths[-1]
    x, codes = case.batches()
    y = np.eye(classes, dtype=np.float32)[codes]
    P = case.parameters
    theta, g, v, s, scratch = (np.zeros(P, np.float32) for _ in range(5))
    W, b, dW, db, start = [], [], [], [], 0
    for weights, bias in case.weights():
        for whole, Ws, bs in ((theta, W, b), (g, dW, db)):
            Ws.append(whole[start : start + weights.size].reshape(weights.shape))
            bs.append(whole[start + weights.size : start + weights.size + bias.size])
        W[-1][:] = weights
        start += weights.size + bias.size
    layers = len(W)
    a = [x] + [np.empty((B, width), np.float32) for width in case.widths[1:]]
    d = [np.empty((B, width), np.float32) for width in case.widths[1:]]
    mask = [np.empty((B, width), bool) for width in case.widths[1:]]
    column = np.empty((B, 1), np.float32)
    matmul, add, multiply, greater, exp = np.matmul, np.add, np.multiply, np.greater, np.exp
    subtract, divide, maximum, sqrt = np.subtract, np.divide, np.maximum, np.sqrt
    reduce, largest = np.add.reduce, np.maximum.reduce
    t = 0

    def step() -> None:
        nonlocal t
        t += 1
        for i in range(layers):
            matmul(a[i], W[i], a[i + 1])
            add(a[i + 1], b[i], a[i + 1])
            if i < layers - 1:
                maximum(a[i + 1], 0, out=a[i + 1])
        z, delta = a[-1], d[-1]
        largest(z, axis=1, out=column, keepdims=True)
        subtract(z, column, z)
        exp(z, delta)
        reduce(delta, axis=1, out=column, keepdims=True)
        divide(delta, column, delta)
        subtract(delta, y, delta)
        multiply(delta, np.float32(1 / B), delta)
        for i in range(layers - 1, -1, -1):
            matmul(a[i].T, d[i], dW[i])
            reduce(d[i], axis=0, out=db[i])
            if i:
                matmul(d[i], W[i].T, d[i - 1])
                greater(a[i], 0, mask[i - 1])
                multiply(d[i - 1], mask[i - 1], d[i - 1])
        multiply(v, np.float32(BETA1), v)
        multiply(g, np.float32(1 - BETA1), scratch)
        add(v, scratch, v)
        multiply(s, np.float32(BETA2), s)
        multiply(g, g, g)
        multiply(g, np.float32(1 - BETA2), g)
        add(s, g, s)
        multiply(s, np.float32(1 / (1 - BETA2**t)), scratch)
        sqrt(scratch, scratch)
        add(scratch, np.float32(EPSILON), scratch)
        divide(v, scratch, scratch)
        multiply(scratch, np.float32(LEARNING_RATE / (1 - BETA1**t)), scratch)
        subtract(theta, scratch, theta)

    def run(steps: int) -> None:
        for _ in range(steps):
            step()

    return run
