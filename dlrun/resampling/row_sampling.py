"""How much an error varies because just these rows were drawn to be tested.

Folds do not tell: stratified folds have the same share of each class, so that those of a weak model agree by
construction, and a row that many folds' models get wrong is wrong in every repeat. The variance is therefore taken
over the units that were drawn: rows, or the groups of rows that belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlrun.resampling.intervals import FloatArray

IntArray = npt.NDArray[np.int64]
NORMAL_SPREAD = 2.0  # variance of e² over its squared mean, for normal e
NORMAL_ROWS = 20  # how many rows that spread counts as


@dataclass(frozen=True)
class RowSampling:
    """The mean loss of all tests, its sampling variance, and how many different units were tested.

    variance is NaN where one unit alone was tested and its loss is no share.
    """

    mean: float
    variance: float
    units: int


def row_sampling(
    losses: Sequence[FloatArray],
    rows: Sequence[IntArray] | None = None,
    *,
    groups: IntArray | None = None,
    repeats: int = 1,
    shares: bool,
) -> RowSampling:
    """From the losses of each test part and the numbers of its rows; `groups` (n,) is the group of every row.

    With S_u the sum of the losses of unit u, m_u how often it was tested, M = Σ m_u and p = Σ S_u / M:

        V = Σ_u (S_u − m_u·p)² / M²,   times U/(U − 1) for U groups, and for losses that are no shares

    but no less than that of U different rows tested once, p(1 − p)/U or s²/U. Without `rows` there are as many as one
    of the repeats tests. For squared errors V/p² is also held to the 2/U of normal errors, which counts as 20 rows:
    few rows seldom hold the large errors that make up the variance of their squares.
    """
    pooled = np.concatenate(losses)
    total, mean = len(pooled), float(pooled.mean())
    if rows is None:
        different = max(1, round(total / repeats))
        units, variance = different, 0.0
    else:
        tested = np.concatenate(rows)
        different = len(np.unique(tested))
        _, unit = np.unique(tested if groups is None else groups[tested], return_inverse=True)
        times = np.bincount(unit)
        units = len(times)
        variance = float(np.square(np.bincount(unit, weights=pooled) - times * mean).sum()) / total**2
        if groups is not None or not shares:
            variance = variance * units / (units - 1) if units > 1 else float("nan")
    if shares:
        return RowSampling(mean, max(variance, mean * (1 - mean) / different), units)
    if units < 2 or mean <= 0:
        return RowSampling(mean, float("nan") if units < 2 else 0.0, units)
    spread = max(variance, float(pooled.var(ddof=1)) / different) * units / mean**2
    held = (units * spread + NORMAL_ROWS * NORMAL_SPREAD) / (units + NORMAL_ROWS)
    return RowSampling(mean, max(spread, held) / units * mean**2, units)
