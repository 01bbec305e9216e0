"""The exponentially weighted average of a series (D11)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dlrun.errors import ConfigError

FloatArray = npt.NDArray[np.float64]


def exponential_average(values: FloatArray, beta: float, *, bias_correction: bool = True) -> FloatArray:
    """The average after each of the values θ (n,), in the same units, (n,):

        v ← β·v + (1 − β)·θ,  v₀ = 0;     with bias correction v/(1 − βᵗ), t = 1, 2, …

    It weighs about the last 1/(1 − β) values. Without the correction it begins near 0, where v₀ is.
    A missing value (NaN) is passed over: neither v nor t changes, so the average of the values before it
    stands there, and NaN where there were none. Raises ConfigError for a β outside 0 ≤ β < 1.
    """
    check_beta(beta)
    found = np.empty(len(values))
    v, t = 0.0, 0
    for i, value in enumerate(values.tolist()):
        if value == value:  # not NaN
            v = beta * v + (1 - beta) * value
            t += 1
        found[i] = np.nan if t == 0 else v / (1 - beta**t) if bias_correction else v
    return found


def check_beta(beta: float) -> None:
    """ConfigError for what is no weight of the past."""
    if not 0 <= beta < 1:
        raise ConfigError(f"--beta {beta:g}: should be at least 0 and less than 1, such as 0.9")


def averaged_over(beta: float) -> float:
    """About how many values the average weighs: 1/(1 − β)."""
    return 1 / (1 - beta)
