"""Dealing rows, or whole groups of rows, into folds and test parts.

Everything here is about balance; which rows a split holds afterwards is `splitters`' work. Strata are
integer codes per row (a class, or a quantile bin of a regression target), groups integer codes of rows
that belong together (a patient, a photograph) and must never be cut.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

GROUP_DRAWS = 64  # random candidates among which a stratified holdout of groups takes the most balanced


def codes_of(labels: IntArray | None, n: int) -> IntArray:
    """Labels as codes 0 … c−1, shape (n,); no labels are one label for all."""
    if labels is None:
        return np.zeros(n, dtype=np.int64)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def majority_stratum(unit: IntArray, stratum: IntArray) -> IntArray:
    """The stratum of most rows of each unit (codes per row), (units,); the lower code on a tie."""
    table = np.zeros((int(unit.max()) + 1, int(stratum.max()) + 1), dtype=np.int64)
    np.add.at(table, (unit, stratum), 1)
    most: IntArray = table.argmax(axis=1)
    return most


def round_half_up(x: float) -> int:
    return int(np.floor(x + 0.5))


def deal_rows(strata: IntArray, folds: int, rng: np.random.Generator) -> IntArray:
    """The fold of each row, (n,): fold sizes differ by 1 at most, and so do each stratum's counts.

    The rows are shuffled, sorted by stratum (the shuffle stays within it) and dealt round the folds
    like cards. A stratum is a run of neighbours, so every fold gets ⌊m/k⌋ or ⌈m/k⌉ of its m rows.
    """
    shuffled = rng.permutation(len(strata))
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    fold = np.empty(len(strata), dtype=np.int64)
    fold[order] = np.arange(len(strata)) % folds
    return fold


def group_table(groups: IntArray, strata: IntArray) -> npt.NDArray[np.float64]:
    """Rows of each group by stratum, and in all in the last column: (G, C + 1)."""
    table = np.zeros((int(groups.max()) + 1, int(strata.max()) + 2))
    np.add.at(table, (groups, strata), 1.0)
    table[:, -1] = table[:, :-1].sum(axis=1)
    return table


def deal_groups(groups: IntArray, strata: IntArray, folds: int, rng: np.random.Generator) -> IntArray:
    """The fold of each row, (n,), with no group in two folds.

    Greedy: large groups first, each to the fold where it raises Σ_f Σ_c (n_fc / n_c)² least, c over
    the strata and the total. Groups are ordered by the power of two below their size and shuffled
    within it, so that repeats differ although large still comes before small. With one stratum each
    group goes to the smallest fold, so the sizes of the folds differ by the largest group at most.
    """
    table = group_table(groups, strata)
    size = table[:, -1]
    shuffled = rng.permutation(len(size))
    order = shuffled[np.argsort(-np.floor(np.log2(size[shuffled])), kind="stable")]
    weighted = table / table.sum(axis=0) ** 2
    held = np.zeros((folds, table.shape[1]))
    fold_of_group = np.empty(len(size), dtype=np.int64)
    for group in order:
        fold = int(np.argmin(held @ weighted[group]))
        held[fold] += table[group]
        fold_of_group[group] = fold
    return fold_of_group.take(groups)


def draw_rows(strata: IntArray, count: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A mask (n,) of `count` rows; each stratum's share is kept within one row (largest remainder)."""
    n = len(strata)
    totals = np.bincount(strata)
    quota = totals * (count / n)
    taken = np.floor(quota + 1e-9).astype(np.int64)  # 1e-9: a quota of 3 computed as 2.9999999999999996
    remainder = quota - taken
    tie_break = rng.permutation(len(totals))
    rest = count - int(taken.sum())
    taken[np.lexsort((tie_break, -np.round(remainder, 9)))[:rest]] += 1
    shuffled = rng.permutation(n)
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    place = np.arange(n) - np.repeat(np.cumsum(totals) - totals, totals)  # place of a row within its stratum
    mask = np.zeros(n, dtype=np.bool_)
    mask[order] = place < np.repeat(taken, totals)
    return mask


def draw_groups(groups: IntArray, strata: IntArray, count: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A mask (n,) of whole groups with about `count` rows, never none and never all of the groups.

    Groups in random order are taken until the number of rows is nearest to `count` (off by half of a
    group at most). With several strata that is done 64 times, and the draw whose strata keep their
    shares best (least Σ_c (n_c,test / n_c − count / n)²) is kept.
    """
    table = group_table(groups, strata)
    totals = table.sum(axis=0)
    share = count / totals[-1]
    best, best_cost = np.zeros(len(table), dtype=np.bool_), np.inf
    for _ in range(GROUP_DRAWS if table.shape[1] > 2 else 1):
        order = rng.permutation(len(table))
        held = np.cumsum(table[order], axis=0)
        last = int(np.argmin(np.abs(held[:-1, -1] - count)))  # without the last group: some rows must train
        cost = float(((held[last] / totals - share) ** 2).sum())
        if cost < best_cost:
            best_cost = cost
            best = np.zeros(len(table), dtype=np.bool_)
            best[order[: last + 1]] = True
    return best[groups]
