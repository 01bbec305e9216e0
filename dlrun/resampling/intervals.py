"""Confidence intervals of means, shares and roots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt

from dlrun.errors import ConfigError
from dlrun.resampling.distributions import normal_quantile, t_quantile

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval; both ends None where the data cannot give one."""

    low: float | None
    high: float | None


NO_INTERVAL = Interval(None, None)


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence: {confidence} is no probability; give a number between 0 and 1, as 0.95")


def t_interval(mean: float, standard_error: float, degrees: float, confidence: float) -> Interval:
    """mean ± t·SE."""
    half = t_quantile((1 + confidence) / 2, degrees) * standard_error
    return Interval(mean - half, mean + half)


def wilson(share: float, n: float, confidence: float) -> Interval:
    """Wilson's score interval (1927) of a share p of n rows; n may be an effective number of rows.

        (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)

    It stays within [0, 1] and has a width where p is 0 or 1, where p ± z·√(p(1−p)/n) has none.
    """
    z = normal_quantile((1 + confidence) / 2)
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if share <= 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if share >= 1 else min(1.0, (centre + half) / scale)
    return Interval(low, high)


def wilson_from_error(share: float, standard_error: float, n: int, confidence: float) -> Interval:
    """Wilson's interval for a share p with a known standard error, n_eff = p(1−p)/SE² rows in place of n.

    Where p is 0 or 1, or SE is 0, the number of rows n itself is taken.
    """
    variance = share * (1 - share)
    effective = variance / standard_error**2 if standard_error > 0 and variance > 0 else float(n)
    return wilson(share, effective, confidence)


def root_interval(mean_square: float, standard_error: float, degrees: float, confidence: float) -> Interval:
    """Interval of √m from the standard error of m, by the delta method on log m: √(m·e^(±t·SE/m)).

    On the scale of the logarithm the ends stay positive; to first order it is √m ± t·SE/(2√m).
    """
    if mean_square <= 0:
        return Interval(0.0, 0.0)
    half = t_quantile((1 + confidence) / 2, degrees) * standard_error / mean_square
    centre = log(mean_square)
    return Interval(exp((centre - half) / 2), exp(min((centre + half) / 2, 700.0)))


def percentile(values: Sequence[float] | FloatArray, confidence: float) -> Interval:
    """The (1−c)/2 and (1+c)/2 quantiles of the values that are numbers (linear interpolation)."""
    kept = np.asarray(values, dtype=np.float64)
    kept = kept[np.isfinite(kept)]
    if len(kept) < 2:
        return NO_INTERVAL
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
