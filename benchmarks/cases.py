"""The networks that one training step is timed on, and the data that every peer gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

LEARNING_RATE = 1e-3
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class StepCase:
    """A ReLU network with a softmax cross-entropy, float32, trained by Adam on batches of `batch` rows."""

    name: str
    widths: tuple[int, ...]
    batch: int

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum((a + 1) * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    @property
    def products(self) -> list[tuple[tuple[int, int, int], str]]:
        """(m, k, n) and the transposed operand of every matrix product in a step; layer 1 needs no dX."""
        B, found = self.batch, []
        layers = list(zip(self.widths, self.widths[1:], strict=False))
        found += [((B, a, b), "") for a, b in layers]
        for layer, (a, b) in reversed(list(enumerate(layers))):
            found.append(((a, B, b), "a"))
            if layer:
                found.append(((B, b, a), "b"))
        return found

    @property
    def flops(self) -> int:
        """Multiplications and additions of the matrix products."""
        return sum(2 * m * k * n for (m, k, n), _ in self.products)

    def batches(self, count: int = 1, seed: int = 0) -> tuple[Any, Any]:
        """Inputs (count·B, d) float32 and class codes (count·B,)."""
        random = np.random.default_rng(seed)
        rows = count * self.batch
        x = random.standard_normal((rows, self.widths[0])).astype(np.float32)
        return x, random.integers(0, self.widths[-1], rows)

    def weights(self, seed: int = 1) -> list[tuple[Any, Any]]:
        """He's initial W (n_in, n_out) and b = 0 (n_out,) of every layer, float32."""
        random = np.random.default_rng(seed)
        return [
            ((random.standard_normal((a, b)) * np.sqrt(2 / a)).astype(np.float32), np.zeros(b, np.float32))
            for a, b in zip(self.widths, self.widths[1:], strict=False)
        ]


STEP_CASES = (
    StepCase("2-8-2, batch 64", (2, 8, 2), 64),
    StepCase("64-128-64-10, batch 64", (64, 128, 64, 10), 64),
    StepCase("784-512-256-10, batch 128", (784, 512, 256, 10), 128),
    StepCase("784-2048-2048-10, batch 256", (784, 2048, 2048, 10), 256),
)
