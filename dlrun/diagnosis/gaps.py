"""Gaps between error rates, with intervals that say whether the rows suffice to tell."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from dlrun.resampling.intervals import Interval, wilson
from dlrun.rng import generator

FloatArray = npt.NDArray[np.float64]
CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Measured:
    """How a model errs on one part: the error, on how many rows, and the squared residuals in a regression (n,).

    rows is None where the error is simply given (a human's, or in an example).
    """

    error: float
    rows: int | None = None
    squares: FloatArray | None = None


@dataclass(frozen=True)
class Gap:
    """One error minus another. The interval is None where no number of rows was given.

    large    whether the gap is above the tolerance
    certain  whether the interval lies on one side of the tolerance; None without an interval
    """

    name: str
    value: float
    interval: Interval | None
    tolerance: float

    @property
    def large(self) -> bool:
        return self.value > self.tolerance

    @property
    def certain(self) -> bool | None:
        if self.interval is None or self.interval.low is None or self.interval.high is None:
            return None
        return self.interval.low > self.tolerance or self.interval.high <= self.tolerance


def gap(name: str, before: Measured, after: Measured, *, tolerance: float, scale: float = 1.0) -> Gap:
    """after − before, for errors of different rows. In a regression both are divided by `scale`.

    The rounding of shares must not make a gap of exactly the tolerance look large: 1e-12 is allowed for.
    """
    value = (after.error - before.error) / scale
    return Gap(name, value, _interval(before, after, scale), tolerance + 1e-12)


def _interval(before: Measured, after: Measured, scale: float) -> Interval | None:
    if before.rows is None and after.rows is None:
        return None
    if before.squares is not None or after.squares is not None:
        return _bootstrapped(before, after, scale)
    return newcombe(before, after)


def newcombe(before: Measured, after: Measured, confidence: float = CONFIDENCE) -> Interval:
    """Newcombe's hybrid score interval (1998, method 10) for p2 − p1 of independent rows, from Wilson's intervals.

        p2 − p1 − √((p2−l2)² + (u1−p1)²)  to  p2 − p1 + √((u2−p2)² + (p1−l1)²)

    An error without rows is a given number, with an interval of no width.
    """
    p1, p2 = before.error, after.error
    (l1, u1), (l2, u2) = (_wilson(each, confidence) for each in (before, after))
    low = p2 - p1 - sqrt((p2 - l2) ** 2 + (u1 - p1) ** 2)
    high = p2 - p1 + sqrt((u2 - p2) ** 2 + (p1 - l1) ** 2)
    return Interval(low, high)


def _wilson(each: Measured, confidence: float) -> tuple[float, float]:
    if each.rows is None:
        return each.error, each.error
    found = wilson(each.error, each.rows, confidence)
    return float(found.low or 0.0), float(1.0 if found.high is None else found.high)


def _bootstrapped(before: Measured, after: Measured, scale: float) -> Interval:
    """Percentiles of the difference of root mean squares over resampled rows."""
    draws = [_root_means(each, part) / scale for part, each in enumerate((before, after))]
    low, high = np.quantile(draws[1] - draws[0], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def _root_means(each: Measured, part: int) -> FloatArray:
    if each.squares is None or not len(each.squares):
        return np.full(RESAMPLES, each.error)
    n = len(each.squares)
    random = generator(0, part, "diagnosis resamples")
    # the sums of squares over n draws, through counts: blocks keep (resamples, n) out of memory
    found = np.empty(RESAMPLES)
    step = max(1, (1 << 22) // n)
    for start in range(0, RESAMPLES, step):
        counts = random.multinomial(n, np.full(n, 1 / n), size=min(step, RESAMPLES - start))
        found[start : start + len(counts)] = np.sqrt(counts @ each.squares / n)
    return found
