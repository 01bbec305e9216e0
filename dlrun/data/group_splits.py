"""Sharing out whole groups of rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dlrun.data.table import IntArray
from dlrun.errors import DataError


def assign_groups(
    groups: npt.NDArray[np.generic], codes: IntArray, shares: Sequence[float], random: np.random.Generator
) -> IntArray:
    """The part of each row, (n,), equal within a group.

    Groups come in random order. Each goes where it lowers Σ (rows wanted − rows had)² over strata and
    parts the most, that is to the part with the largest Σ_s missing[part, s]·rows[group, s]; no part
    ends more than a group's size above its share. A part that got none takes the group of the fullest
    part whose size is nearest to what it wants. Raises DataError if there are fewer groups than parts.
    """
    group_of = np.unique(groups, return_inverse=True)[1]
    count, strata = int(group_of.max()) + 1, int(codes.max()) + 1
    wanting = [part for part, share in enumerate(shares) if share > 0]
    if count < len(wanting):
        raise DataError(
            f"{count} groups (data.group) cannot be kept whole in {len(wanting)} parts; set a share of data.split to 0."
        )
    table = np.bincount(group_of * strata + codes, minlength=count * strata).reshape(count, strata)
    missing = np.multiply.outer(np.array([shares[part] for part in wanting]), table.sum(axis=0))
    part_of_group = np.empty(count, dtype=np.int64)
    for group in random.permutation(count):
        best = int(np.argmax(missing @ table[group]))
        part_of_group[group] = best
        missing[best] -= table[group]
    _fill_empty_parts(part_of_group, table.sum(axis=1), np.array([shares[part] for part in wanting]))
    return np.array(wanting, dtype=np.int64)[part_of_group[group_of]]


def _fill_empty_parts(part_of_group: IntArray, sizes: IntArray, shares: npt.NDArray[np.float64]) -> None:
    """Give each part without a group one of the part that has the most groups."""
    for part, share in enumerate(shares):
        held = np.bincount(part_of_group, minlength=len(shares))
        if held[part]:
            continue
        donors = np.flatnonzero(part_of_group == np.argmax(held))
        nearest = donors[np.argmin(np.abs(sizes[donors] - share * sizes.sum()))]
        part_of_group[nearest] = part
