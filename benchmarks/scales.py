"""Histograms of real draws on each scale, as text for docs/tune.md: `python -m benchmarks.scales`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.config import Range
from dlrun.tuning.samplers.random import uniform_units
from dlrun.tuning.space import Dimension, Space

DRAWS, BINS, WIDTH = 4000, 8, 40
CASES = (
    ("optimizer.learning_rate", {"log_uniform": [1e-4, 1.0]}, "alpha"),
    ("optimizer.beta1", {"one_minus_log": [0.9, 0.999]}, "beta"),
)


def draws(key: str, given: dict[str, Any]) -> npt.NDArray[np.float64]:
    """What trials 0 … DRAWS − 1 of a random search with seed 0 take."""
    space = Space((Dimension(key, Range.model_validate(given)),))
    return np.array([space.values(uniform_units(space, 0, trial))[key] for trial in range(DRAWS)])


def bars(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], labels: list[str]) -> list[str]:
    """A line per bin: its bounds, a bar, its count."""
    counts = np.histogram(values, edges)[0]
    longest = max(int(counts.max()), 1)
    return [
        f"    {text:>19}  {'#' * round(WIDTH * count / longest):<{WIDTH}}  {count}"
        for text, count in zip(labels, counts.tolist(), strict=True)
    ]


def main() -> None:
    """Print the histograms."""
    for key, given, letter in CASES:
        ((kind, (low, high)),) = given.items()
        values = draws(key, given)
        if letter == "alpha":
            place, name = np.log10(values), "r = log10(alpha)"
            edges = np.linspace(np.log10(low), np.log10(high), BINS + 1)
        else:
            place, name = np.log10(1 - values), "r = log10(1 - beta)"
            edges = np.linspace(np.log10(1 - high), np.log10(1 - low), BINS + 1)
        print(f"{key} = {{{kind} = [{low}, {high}]}}: {DRAWS} draws by {name}")
        print("\n".join(bars(place, edges, [f"{a:.2f} to {b:.2f}" for a, b in pairwise(edges)])))
        print(f"and the same draws by {letter} itself")
        edges = np.linspace(low, high, BINS + 1)
        print("\n".join(bars(values, edges, [f"{a:.4f} to {b:.4f}" for a, b in pairwise(edges)])))


if __name__ == "__main__":
    main()
