"""How much each key of a search mattered: the share of the differences between trials that its value explains.

Trials are ranked from best to worst (those that diverged last, all alike), and parted by the key's value into bins of
equal count, or by choice. With r the ranks, n trials and k bins,

    η² = Σ_bins n_bin·(mean r of the bin − mean r)² / Σ (r − mean r)²

is the share of the variance of ranks between bins; (n − 1)·η² is the statistic of Kruskal and Wallis 1952. A key
without any effect has η² = (k − 1)/(n − 1) on average over all orders of the trials, which is therefore taken off:

    importance = max(0, (η² − b)/(1 − b)) with b = (k − 1)/(n − 1)

(ε² of Kelley 1935.) p is the share of random orders of the trials that give an η² at least as large. Only the effect
of each key by itself is seen, averaged over the others; keys that matter only together are missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from dlrun.rng import generator
from dlrun.tuning.space import Dimension, Space
from dlrun.tuning.trials import Trial

FloatArray = npt.NDArray[np.float64]
ORDERS = 999
MOST_BINS = 8
FEWEST_TRIALS = 6


@dataclass(frozen=True)
class Importance:
    """importance and p as above; `trend` is Spearman's correlation of value and rank (negative: larger is better)."""

    key: str
    importance: float
    p: float
    trend: float | None
    bins: int


def importances(space: Space, trials: Sequence[Trial], *, seed: int) -> list[Importance]:
    """One for each key, the most important first; none for fewer than 6 trials or ranks that are all alike."""
    counted = [trial for trial in trials if trial.status != "failed"]
    if len(counted) < FEWEST_TRIALS:
        return []
    ranks = average_ranks([trial.order()[:-1] for trial in counted])
    if not np.ptp(ranks):
        return []
    found = [_importance(each, counted, ranks, seed) for each in space.dimensions]
    return sorted(found, key=lambda each: (-each.importance, each.p))


def average_ranks(keys: Sequence[tuple[float, ...]]) -> FloatArray:
    """Ranks from 1, equal keys sharing the mean of theirs."""
    order = sorted(range(len(keys)), key=lambda place: keys[place])
    ranks = np.empty(len(keys))
    start = 0
    while start < len(order):
        stop = start
        while stop < len(order) and keys[order[stop]] == keys[order[start]]:
            stop += 1
        ranks[order[start:stop]] = (start + 1 + stop) / 2
        start = stop
    return ranks


def bins_of(dimension: Dimension, units: FloatArray) -> npt.NDArray[np.int64]:
    """The bin of each trial, coded from 0: about √n bins, 8 at most, of equal count; equal values share one."""
    if not dimension.ordered:
        return np.unique(units, return_inverse=True)[1].astype(np.int64)
    wanted = max(2, min(MOST_BINS, int(sqrt(len(units)))))
    ranks = average_ranks([(u,) for u in units])
    codes = np.ceil(ranks * wanted / len(units)).astype(np.int64)
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def between_share(ranks: FloatArray, bins: npt.NDArray[np.int64]) -> FloatArray:
    """η² of each order of the ranks (…, n)."""
    counts = np.bincount(bins)
    member = np.eye(len(counts))[bins]  # (n, k)
    means = ranks @ member / counts
    centre = ranks.mean(axis=-1, keepdims=True)
    between = (counts * (means - centre) ** 2).sum(axis=-1)
    return np.asarray(between / ((ranks - centre) ** 2).sum(axis=-1))


def _importance(dimension: Dimension, trials: Sequence[Trial], ranks: FloatArray, seed: int) -> Importance:
    units = np.array([dimension.unit(trial.values[dimension.key]) for trial in trials])
    bins = bins_of(dimension, units)
    n, k = len(trials), int(bins.max()) + 1
    trend = _spearman(units, ranks) if dimension.ordered else None
    if k in (1, n):  # one bin, or nothing shares one: nothing is explained
        return Importance(dimension.key, 0.0, 1.0, trend, k)
    share = float(between_share(ranks, bins))
    by_chance = (k - 1) / (n - 1)
    random = generator(seed, 0, f"tune importance {dimension.key}")
    orders = random.permuted(np.broadcast_to(ranks, (ORDERS, n)), axis=1)
    as_large = int((between_share(orders, bins) >= share - 1e-12).sum())
    return Importance(
        dimension.key,
        max(0.0, (share - by_chance) / (1 - by_chance)),
        (1 + as_large) / (1 + ORDERS),
        trend,
        k,
    )


def _spearman(units: FloatArray, ranks: FloatArray) -> float | None:
    own = average_ranks([(u,) for u in units])
    if not np.ptp(own):
        return None
    return float(np.corrcoef(own, ranks)[0, 1])
