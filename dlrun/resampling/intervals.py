"""Confidence intervals of means, shares and roots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, log, sqrt

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
    return wilson_at(share, n, normal_quantile((1 + confidence) / 2))


def wilson_at(share: float, n: float, z: float) -> Interval:
    """Wilson's interval with the quantile z itself, which may be one of Student's t."""
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if share <= 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if share >= 1 else min(1.0, (centre + half) / scale)
    return Interval(low, high)


def effective_rows(share: float, standard_error: float, n: int) -> float:
    """p(1−p)/SE², the rows that a share p with this standard error amounts to; n where p is 0 or 1, or SE is 0."""
    variance = share * (1 - share)
    return variance / standard_error**2 if standard_error > 0 and variance > 0 else float(n)


def root_interval(mean_square: float, standard_error: float, degrees: float, confidence: float) -> Interval:
    """Interval of √m from the standard error of m, by the delta method on log m: √(m·e^(±t·SE/m)).

    On the scale of the logarithm the ends stay positive; to first order it is √m ± t·SE/(2√m).
    """
    if mean_square <= 0:
        return Interval(0.0, 0.0)
    return root_at(mean_square, standard_error, t_quantile((1 + confidence) / 2, degrees))


def root_at(mean_square: float, standard_error: float, t: float) -> Interval:
    """The same with the quantile t itself, for a mean square above 0."""
    half = t * standard_error / mean_square
    centre = log(mean_square)
    return Interval(exp((centre - half) / 2), exp(min((centre + half) / 2, 700.0)))


def confidence_over_a_gap(gap: float, confidence: float) -> float:
    """The two-sided confidence c′ whose quantile z makes Φ(z + gap) − Φ(−z) = confidence, gap ≥ 0 in standard errors.

    Imbens and Manski (2004): where the truth lies somewhere between two estimates, an interval that reaches z standard
    errors beyond both holds it with this confidence wherever it lies. Without a gap c′ is the confidence itself; with
    a wide one the truth can be missed on one side only, and c′ is 2·confidence − 1.
    """

    def held(z: float) -> float:
        return 1 - 0.5 * erfc((z + gap) / sqrt(2)) - 0.5 * erfc(z / sqrt(2))

    low, high = 0.0, normal_quantile((1 + confidence) / 2)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if held(middle) < confidence else (low, middle)
    return 1 - erfc(high / sqrt(2))


def percentile(values: Sequence[float] | FloatArray, confidence: float) -> Interval:
    """The (1−c)/2 and (1+c)/2 quantiles of the values that are numbers (linear interpolation)."""
    kept = np.asarray(values, dtype=np.float64)
    kept = kept[np.isfinite(kept)]
    if len(kept) < 2:
        return NO_INTERVAL
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
