"""What training yields and reporting writes: frozen values, no arrays of a device, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """How one replica does on one part of the rows: mean (or summed) cost, and error.

    error is the share of wrong answers (classification) or the root mean squared error in the target's units.
    """

    rows: int
    cost: float
    error: float


@dataclass(frozen=True)
class StepRecords:
    """The steps that one replica made in one epoch, S of them, where they are recorded.

    step           (S,) their numbers, from 1
    learning_rate  (S,)
    cost           (S,) of each batch before its update, without penalty
    theta          (S, P) the parameters that this cost was taken at, of networks small enough; else None
    """

    step: npt.NDArray[np.int64]
    learning_rate: FloatArray
    cost: FloatArray
    theta: FloatArray | None = None


@dataclass(frozen=True)
class EpochRecord:
    """One replica after one epoch; `figures` by part (train, dev), of parts that have rows.

    step        updates made so far
    batch_cost  mean over the epoch's batches, each cost taken before its update, without penalty
    steps       each of the epoch's steps, where they are recorded
    Where the cost of a batch was not finite, step, learning rate and batch_cost end with that batch, and the
    figures are NaN.
    """

    replica: int
    epoch: int
    step: int
    learning_rate: float
    batch_cost: float
    figures: Mapping[str, Figures]
    steps: StepRecords | None = None


@dataclass(frozen=True)
class ReplicaResult:
    """How the training of one replica ended, and its weights as host arrays.

    status    "done", "stopped" (early), "settled" (the cost no longer changes), "pruned" or "diverged"
    epoch     the epoch whose weights these are; `epochs` were run
    step      updates made; for a divergence, the one at which it was seen
    theta     (P,), statistics (Q,): running averages of batch normalization; NaN after a divergence
    reason    for a divergence: what was seen, at which epoch and step; for a pruned one: why
    """

    replica: int
    status: str
    epoch: int
    epochs: int
    step: int
    theta: npt.NDArray[np.generic]
    statistics: npt.NDArray[np.generic]
    reason: str = ""
    tensors: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


def counted(number: int, noun: str) -> str:
    """1 row, 2 rows."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def four_digits(value: float) -> str:
    """A figure as people are told it: four significant digits, and an exponent only for the very large and small."""
    return f"{float(f'{value:.4g}'):.6g}"
