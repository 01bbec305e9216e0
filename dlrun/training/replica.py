"""One replica's own part of an experiment: its rows, its seed and its hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def no_rows() -> Rows:
    """A part without rows."""
    return np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Replica:
    """A model to train. Everything that is random about it follows from `seed` and `draws`.

    number             its name among the replicas that are trained together
    draws              what keys its random streams; left out, its number. Trials of a search share it, so that they
                       differ by their hyperparameters alone
    train, dev, test   row numbers of the data; training rows may repeat (bootstrap)
    sample             the training rows measured after each epoch; left out, all of them
    decay              the `[optimizer.decay]` table
    keep_prob          per hidden layer
    """

    number: int
    seed: int
    train: Rows
    dev: Rows = field(default_factory=no_rows)
    test: Rows = field(default_factory=no_rows)
    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decay: Any = None
    warmup_steps: int = 0
    l1: float = 0.0
    l2: float = 0.0
    keep_prob: tuple[float, ...] = ()
    initialization: str = "he"
    scale: float | tuple[float, ...] = 0.01
    epochs: int = 20
    draws: int | None = None
    sample: Rows | None = None

    @property
    def stream(self) -> int:
        """The number that keys its random streams."""
        return self.number if self.draws is None else self.draws

    def measured(self, part: str) -> Rows:
        """The rows of a part that are measured after each epoch."""
        if part == "train" and self.sample is not None:
            return self.sample
        rows: Rows = getattr(self, part)
        return rows
