"""JAX: all divisions as one `vmap` of a scan over all batches, compiled once; short batches padded by weight 0."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.fold_cases import LEARNING_RATE, FoldCase

VERSIONS = {"jax": jax.__version__}


def logits(weights: Any, x: Any) -> Any:
    """The network's outputs."""
    for W, b in weights[:-1]:
        x = jax.nn.relu(x @ W + b)
    W, b = weights[-1]
    return x @ W + b


def cost(weights: Any, x: Any, codes: Any, present: Any) -> Any:
    """The mean cross-entropy of the rows that are present."""
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits(weights, x)), codes[:, None], axis=1)[:, 0]
    return -jnp.sum(present * log_p) / jnp.maximum(jnp.sum(present), 1)


def fit(weights: Any, x: Any, codes: Any, mean: Any, scale: Any, index: Any, present: Any) -> Any:
    """The weights after the batches `index` (S, B)."""
    tree_map = jax.tree_util.tree_map
    zeros = tree_map(jnp.zeros_like, weights)

    def step(state: Any, batch: Any) -> Any:
        weights, v, s, t = state
        rows, there = batch
        g = jax.grad(cost)(weights, (x[rows] - mean) * scale, codes[rows], there)
        t = t + 1
        v = tree_map(lambda v, g: 0.9 * v + 0.1 * g, v, g)
        s = tree_map(lambda s, g: 0.999 * s + 0.001 * g * g, s, g)
        rate, correction = LEARNING_RATE / (1 - 0.9**t), 1 / (1 - 0.999**t)
        weights = tree_map(lambda w, v, s: w - rate * v / (jnp.sqrt(s * correction) + 1e-8), weights, v, s)
        return (weights, v, s, t), None

    return jax.lax.scan(step, (weights, zeros, zeros, jnp.float32(0)), (index, present))[0][0]


@jax.jit
def answer_all(weights: Any, x: Any, codes: Any, mean: Any, scale: Any, index: Any, present: Any) -> Any:
    """What the models of all divisions (leading axis) answer for all rows: (R, n) class codes."""
    trained = jax.vmap(partial(_fit_one, x, codes))(weights, mean, scale, index, present)
    return jax.vmap(lambda w, m, k: logits(w, (x - m) * k).argmax(1))(trained, mean, scale)


def _fit_one(x: Any, codes: Any, weights: Any, mean: Any, scale: Any, index: Any, present: Any) -> Any:
    return fit(weights, x, codes, mean, scale, index, present)


def prepare(case: FoldCase, jobs: int) -> Any:
    """A call that trains all divisions and returns the mean error of their test parts."""
    x, codes, classes = case.rows()
    divisions = case.divisions()
    random, R, B = np.random.default_rng(0), len(divisions), case.batch
    steps = -(-max(len(train) for train, _ in divisions) // B)
    widths = (x.shape[1], *case.hidden, classes)
    shared_x, shared_codes = jnp.asarray(x, jnp.float32), jnp.asarray(codes)

    def run() -> float:
        weights = [
            (
                (random.standard_normal((R, a, b)) * np.sqrt(2 / a)).astype(np.float32),
                np.zeros((R, b), np.float32),
            )
            for a, b in pairwise(widths)
        ]
        index = np.zeros((R, case.epochs, steps * B), np.int32)
        present = np.zeros((R, case.epochs, steps * B), np.float32)
        mean, scale = np.empty((2, R, x.shape[1]), np.float32)
        for r, (train, _) in enumerate(divisions):
            spread = x[train].std(0)
            mean[r], scale[r] = x[train].mean(0), 1 / np.where(spread > 0, spread, 1)
            for epoch in range(case.epochs):
                index[r, epoch, : len(train)] = random.permutation(train)
            present[r, :, : len(train)] = 1
        shape = (R, case.epochs * steps, B)
        answers = np.asarray(
            answer_all(weights, shared_x, shared_codes, mean, scale, index.reshape(shape), present.reshape(shape))
        )
        return float(np.mean([(answers[r, test] != codes[test]).mean() for r, (_, test) in enumerate(divisions)]))

    return run
