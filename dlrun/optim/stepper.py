"""An optimizer bound to the arrays of a stack: θ, its gradient and its state, a row per replica."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend, Call
from dlrun.graph.elementwise import ElementwiseProgram
from dlrun.graph.node import Node, placeholder
from dlrun.optim.optimizers import FloatArray, Hyperparameters, Optimizer


class Stepper:
    """θ ← θ + update(g), in place, for all replicas at once.

    theta, gradient  (R, P)
    state            the optimizer's slots, (R, P) each, zeros at first; checkpoints save them
    clip_value       every component of g is first held within ±clip_value
    clip_norm        then a g_r longer than this is shortened to it: g ← g·min(1, clip_norm/‖g_r‖)
    """

    def __init__(
        self,
        backend: Backend,
        optimizer: Optimizer,
        theta: Array,
        gradient: Array,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        state: Mapping[str, Array] | None = None,
    ) -> None:
        self._backend = backend
        self._optimizer = optimizer
        R, _ = theta.shape
        self.state: dict[str, Array] = dict(
            state or {slot: backend.zeros(theta.shape, theta.dtype) for slot in optimizer.slots}
        )
        names = self._coefficient_names()
        self._values = backend.zeros((len(names), R, 1), theta.dtype)
        self._calls = self._clipping(gradient, clip_norm, clip_value)
        self._program = self._bind(theta, gradient, names)

    def _coefficient_names(self) -> list[str]:
        one = np.ones((1, 1))
        return list(self._optimizer.coefficients(one, one, Hyperparameters.of(1, beta1=0.5, beta2=0.5)))

    def _bind(self, theta: Array, gradient: Array, names: list[str]) -> ElementwiseProgram:
        dtype = theta.dtype
        leaves: dict[str, Node] = {
            name: placeholder((None, None), dtype, name=name)
            for name in ("theta", "g", *self.state, *(f"c_{name}" for name in names))
        }
        bindings = {leaves["theta"]: theta, leaves["g"]: gradient}
        bindings |= {leaves[slot]: array for slot, array in self.state.items()}
        bindings |= {leaves[f"c_{name}"]: self._values[i] for i, name in enumerate(names)}
        slots = {slot: leaves[slot] for slot in self.state}
        updated, changed = self._optimizer.update(
            leaves["theta"], leaves["g"], slots, {name: leaves[f"c_{name}"] for name in names}
        )
        assignments = [(changed[slot], self.state[slot]) for slot in self.state]
        return ElementwiseProgram(self._backend, [*assignments, (updated, theta)], bindings)

    def _clipping(self, g: Array, clip_norm: float | None, clip_value: float | None) -> list[Call]:
        xp, calls = self._backend.xp, list[Call]()
        if clip_value is not None:
            calls.append(partial(xp.clip, g, -clip_value, clip_value, out=g))
        if clip_norm is not None:
            factor = self._backend.empty((g.shape[0], 1, 1), g.dtype)
            calls += [
                *self._backend.bind_matmul(g[:, None, :], g[:, :, None], factor),
                partial(xp.sqrt, factor, out=factor),
                partial(xp.true_divide, clip_norm, factor, out=factor),  # ‖g‖ = 0 gives inf, then 1
                partial(xp.minimum, factor, 1, out=factor),
                partial(xp.multiply, g, factor[:, :, 0], out=g),
            ]
        return calls

    def coefficients(self, t: FloatArray, rates: FloatArray, h: Hyperparameters) -> Array:
        """The coefficients of the steps t (S, R) at the learning rates (S, R), ready for `step`: (S, K, R, 1)."""
        found: dict[str, npt.NDArray[Any]] = self._optimizer.coefficients(t, rates, h)
        stacked = np.stack([np.broadcast_to(value, t.shape) for value in found.values()], axis=1)
        return self._backend.to_device(stacked[..., None], self._values.dtype)

    def step(self, coefficients: Array, threads: Executor | None = None) -> None:
        """One update with the coefficients (K, R, 1) of this step."""
        self._backend.xp.copyto(self._values, coefficients)
        for call in self._calls:
            call()
        self._program.run(threads)
