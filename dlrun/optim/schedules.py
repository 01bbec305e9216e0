"""Learning-rate schedules: α for epoch n and step t, both counted from 1, from α0 = optimizer.learning_rate.

    constant            α0
    inverse_time        α0/(1 + rate·n)
    exponential         baseⁿ·α0
    inverse_sqrt        scale·α0/√n
    inverse_sqrt_step   scale·α0/√t
    inverse_sqrt_rows   α0/(m·√t), m the number of training rows
    staircase           α0·factor^⌊(n−1)/every⌋
    manual              the value given for the latest epoch that has one; before the first, α0
    cosine              α0·(f + (1−f)·(1 + cos(π·min(n−1, N)/N))/2), N epochs, f the final fraction

Before any of them, `warmup_steps` = W raises the rate linearly: α·min(1, t/W).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
# (decay, α0 (R,), n, t (S, R), m) → α, of any shape that broadcasts to (S, R)
Schedule = Callable[[Any, FloatArray, int, FloatArray, int], Any]


def _constant(decay: Any, rate: FloatArray, n: int, t: FloatArray, rows: int) -> Any:
    return rate


def _inverse_time(decay: Any, rate: FloatArray, n: int, t: FloatArray, rows: int) -> Any:
    return rate / (1 + decay.rate * n)


def _exponential(decay: Any, rate: FloatArray, n: int, t: FloatArray, rows: int) -> Any:
    return rate * decay.base**n


def _inverse_sqrt(decay: Any, rate: FloatArray, n: int, t: FloatArray, rows: int) -> Any:
    return decay.scale * rate / np.sqrt(n)


def _inverse_sqrt_step(decay: Any, rate: FloatArray, n: int, t: FloatArray, rows: int) -> Any:
    return decay.scale * rate / np.sqrt(t)


def _inverse_sqrt_rows(decay: Any, rate: FloatArray, n: int, t: FloatArray, rows: int) -> Any:
    return rate / ((decay.rows or rows) * np.sqrt(t))


def _staircase(decay: Any, rate: FloatArray, n: int, t: FloatArray, rows: int) -> Any:
    return rate * decay.factor ** ((n - 1) // decay.every)


def _manual(decay: Any, rate: FloatArray, n: int, t: FloatArray, rows: int) -> Any:
    begun = [epoch for epoch in decay.values if epoch <= n]
    return decay.values[max(begun)] if begun else rate


def _cosine(decay: Any, rate: FloatArray, n: int, t: FloatArray, rows: int) -> Any:
    share = min(n - 1, decay.epochs) / decay.epochs
    factor = decay.final_fraction + (1 - decay.final_fraction) * (1 + np.cos(np.pi * share)) / 2
    return rate * factor


SCHEDULES: dict[str, Schedule] = {
    "constant": _constant,
    "inverse_time": _inverse_time,
    "exponential": _exponential,
    "inverse_sqrt": _inverse_sqrt,
    "inverse_sqrt_step": _inverse_sqrt_step,
    "inverse_sqrt_rows": _inverse_sqrt_rows,
    "staircase": _staircase,
    "manual": _manual,
    "cosine": _cosine,
}


def learning_rates(
    decay: Any,
    rate: FloatArray,
    *,
    epoch: int,
    steps: FloatArray,
    rows: int = 1,
    warmup_steps: int = 0,
) -> FloatArray:
    """α (S, R) for the steps t (S, R) of epoch n, from α0 (R,).

    `decay` has the attributes of `[optimizer.decay]`: `name` and that schedule's keys (for cosine,
    `epochs` must be a number). `rows` is m of `inverse_sqrt_rows`.
    """
    rates = SCHEDULES[decay.name](decay, rate, epoch, steps, rows)
    if warmup_steps:
        rates = rates * np.minimum(1.0, steps / warmup_steps)
    return np.array(np.broadcast_to(rates, steps.shape), np.float64)
