"""Train, dev and test parts (C1): disjoint, covering, stratified, groups kept whole, reproducible."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dlrun.data.dataset import Dataset
from dlrun.data.group_splits import assign_groups
from dlrun.data.table import FloatArray, IntArray
from dlrun.errors import DataError
from dlrun.records import counted
from dlrun.rng import generator

PARTS = ("train", "dev", "test")

MAX_BINS = 10
_ROWS_PER_BIN = 5


class Shares(Protocol):
    """The shares of the rows, which sum to 1, as `[data.split]` gives them."""

    @property
    def train(self) -> float: ...
    @property
    def dev(self) -> float: ...
    @property
    def test(self) -> float: ...
    @property
    def stratify(self) -> bool: ...


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the three parts, int64, sorted."""

    train: IntArray
    dev: IntArray
    test: IntArray

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the three parts."""
        digest = hashlib.sha256()
        for part in (self.train, self.dev, self.test):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()


def split_rows(
    n: int,
    shares: Shares,
    *,
    seed: int,
    strata: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
) -> Split:
    """Split rows 0 … n−1, a pure function of the arguments.

    The sizes are n·share rounded by largest remainder (a tie goes to the earlier part). With `strata`
    (n,) and `shares.stratify`, the rows of each stratum are shared out in the same way: every stratum
    has n_s·share rounded down or up in each part, and the sizes of the parts stay exact. Where that
    takes exchanges, the largest strata make them: a stratum of a single row stays in the training part
    if they suffice.

    With `groups` (n,) equal groups stay in one part; sizes and strata are then met as nearly as whole
    groups allow. Raises DataError where a part with a share above 0 would get no row.
    """
    wanted = [shares.train, shares.dev, shares.test]
    random = generator(seed, 0, "split")
    codes = _codes(strata, n) if shares.stratify else np.zeros(n, dtype=np.int64)
    part_of: npt.NDArray[np.signedinteger[Any]]
    if groups is not None:
        part_of = assign_groups(np.asarray(groups), codes, wanted, random)
    else:
        part_of = _assign_rows(codes, wanted, random)
    parts = [np.flatnonzero(part_of == part).astype(np.int64) for part in range(len(PARTS))]
    for name, share, rows in zip(PARTS, wanted, parts, strict=True):
        if share > 0 and not rows.size:
            raise DataError(
                f"{counted(n, 'row')} split {'/'.join(f'{100 * value:g}' for value in wanted)} % leave the {name} part "
                f"empty; give more rows, or no such part: --set 'data.split={{{_shares_of_the_filled(wanted, parts)}}}'"
            )
    return Split(*parts)


def _shares_of_the_filled(wanted: Sequence[float], parts: Sequence[IntArray]) -> str:
    """The shares of the parts that have rows, as a TOML table holds them: in hundredths that sum to 1."""
    filled = {name: share for name, share, rows in zip(PARTS, wanted, parts, strict=True) if rows.size}
    shares = {name: round(share / sum(filled.values()), 2) for name, share in filled.items()}
    first = next(iter(shares))
    shares[first] = round(1 - sum(share for name, share in shares.items() if name != first), 2)
    return ", ".join(f"{name}={share:g}" for name, share in shares.items())


def strata_of(dataset: Dataset) -> IntArray:
    """The strata of a data set's rows, (n,): its classes, or bins of equal count of a regression's target.

    There are up to 10 bins, of at least 5 rows; equal targets share a bin.
    """
    if dataset.task == "classification":
        return dataset.target.astype(np.int64, copy=False)
    bins = max(1, min(MAX_BINS, len(dataset) // _ROWS_PER_BIN))
    inner = np.quantile(dataset.target, np.arange(1, bins) / bins)
    return np.searchsorted(inner, dataset.target, side="right").astype(np.int64)


def largest_remainder(n: int, shares: Sequence[float]) -> IntArray:
    """n·share rounded so that the sum is n, (parts,): down, and the rest to the largest fractions."""
    exact = [round(n * share, 9) for share in shares]  # 0.29·100 is 28.999999999999996
    sizes = np.array([math.floor(value) for value in exact], dtype=np.int64)
    order = sorted(range(len(exact)), key=lambda part: (sizes[part] - exact[part], part))
    sizes[order[: n - int(sizes.sum())]] += 1
    return sizes


def _codes(strata: npt.ArrayLike | None, n: int) -> IntArray:
    if strata is None:
        return np.zeros(n, dtype=np.int64)
    values = np.asarray(strata)
    if values.dtype.kind == "i" and n and values.min() >= 0 and values.max() < n:  # codes already, perhaps with gaps
        used = np.bincount(values) > 0
        return values.astype(np.int64, copy=False) if used.all() else (np.cumsum(used) - 1)[values]
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _assign_rows(
    codes: IntArray, shares: Sequence[float], random: np.random.Generator
) -> npt.NDArray[np.signedinteger[Any]]:
    """The part of each row, (n,): the rows of a stratum in random order, cut by its counts."""
    n = len(codes)
    order = random.permutation(n)
    sizes = np.bincount(codes)
    if len(sizes) > 1:
        order = order[np.argsort(codes[order].astype(np.min_scalar_type(len(sizes))), kind="stable")]
    counts = stratified_counts(sizes, shares)
    pattern = np.tile(np.arange(len(shares), dtype=np.int8), len(counts))
    part_of = np.empty(n, dtype=np.int8)
    part_of[order] = np.repeat(pattern, counts.ravel())
    return part_of


def stratified_counts(sizes: IntArray, shares: Sequence[float]) -> IntArray:
    """Rows of each stratum in each part, (S, parts): rows sum to `sizes`, columns to the largest remainder.

    Every entry is size·share rounded down or up (controlled rounding). With three parts such a table
    always exists, since the column sums ask for no more in one part, or in two, than rounding all
    entries allows; the chains of single exchanges below find it.
    """
    exact = np.multiply.outer(sizes, np.array(shares)).astype(np.float64).round(9)  # (S, parts)
    counts = np.stack([largest_remainder(int(size), shares) for size in sizes])
    target = largest_remainder(int(sizes.sum()), shares)
    while (surplus := counts.sum(axis=0) - target).any():
        chain = _chain(counts, exact, surplus)
        if chain is None:
            break
        for stratum, giver, taker in chain:
            counts[stratum, giver] -= 1
            counts[stratum, taker] += 1
    return counts


def _chain(counts: IntArray, exact: FloatArray, surplus: IntArray) -> list[tuple[int, int, int]] | None:
    """Exchanges (stratum, giver, taker) that lead one row from a part with too many to one with too few."""
    parts = range(len(surplus))
    reached: dict[int, list[tuple[int, int, int]]] = {part: [] for part in parts if surplus[part] > 0}
    frontier = list(reached)
    while frontier:
        giver = frontier.pop(0)
        for taker in parts:
            if taker in reached:
                continue
            # A stratum that was rounded up at the giver and down at the taker; the largest first, so that
            # single rows stay in the training part.
            able = np.flatnonzero((counts[:, giver] > exact[:, giver]) & (counts[:, taker] < exact[:, taker]))
            if able.size:
                stratum = int(able[np.argmax(counts[able].sum(axis=1))])
                reached[taker] = [*reached[giver], (stratum, giver, taker)]
                if surplus[taker] < 0:
                    return reached[taker]
                frontier.append(taker)
    return None
