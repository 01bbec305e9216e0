"""JAX: forward, backward and Adam compiled as one, many steps in one `lax.scan`. Compilation is not timed here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.cases import BETA1, BETA2, EPSILON, LEARNING_RATE, StepCase

VERSIONS = {"jax": jax.__version__}


def cost(weights: Any, x: Any, codes: Any) -> Any:
    """The mean cross-entropy."""
    a = x
    for W, b in weights[:-1]:
        a = jax.nn.relu(a @ W + b)
    W, b = weights[-1]
    log_p = jax.nn.log_softmax(a @ W + b)
    return -jnp.mean(jnp.take_along_axis(log_p, codes[:, None], axis=1))


def adam(state: Any, gradient: Any) -> Any:
    """One update of (weights, v, s, t)."""
    weights, v, s, t = state
    t = t + 1
    average = jax.tree_util.tree_map
    v = average(lambda v, g: BETA1 * v + (1 - BETA1) * g, v, gradient)
    s = average(lambda s, g: BETA2 * s + (1 - BETA2) * g * g, s, gradient)
    rate = LEARNING_RATE / (1 - BETA1**t)
    correction = 1 / (1 - BETA2**t)
    weights = average(lambda w, v, s: w - rate * v / (jnp.sqrt(s * correction) + EPSILON), weights, v, s)
    return weights, v, s, t


@partial(jax.jit, static_argnames="steps", donate_argnums=0)
def train(state: Any, x: Any, codes: Any, steps: int) -> Any:
    """`steps` steps on one batch."""

    def step(state: Any, _: None) -> tuple[Any, None]:
        return adam(state, jax.grad(cost)(state[0], x, codes)), None

    return jax.lax.scan(step, state, None, length=steps)[0]


def initial_state(weights: Any) -> Any:
    """Weights with Adam's v = s = 0, t = 0."""
    weights = jax.tree_util.tree_map(jnp.asarray, weights)
    zeros = jax.tree_util.tree_map(jnp.zeros_like, weights)
    return weights, zeros, jax.tree_util.tree_map(jnp.zeros_like, weights), jnp.zeros((), jnp.float32)


def steps_at_once(case: StepCase) -> int:
    """The length of the scan: long enough that calling it costs nothing beside it."""
    return int(min(max(1e9 / case.flops, 2), 1000))


def prepare(case: StepCase, threads: int) -> Callable[[int], None]:
    """A call that makes n steps on one batch, so many in one scan."""
    length = steps_at_once(case)
    state = initial_state(case.weights())
    x, codes = (jnp.asarray(each) for each in case.batches())

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps // length):
            state = train(state, x, codes, length)
        jax.block_until_ready(state)

    return run
