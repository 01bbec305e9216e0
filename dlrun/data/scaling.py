"""Filling and scaling of features, fitted on training rows alone and applied unchanged elsewhere (C2).

A category that no training row has gets scale 0, and so has a column without any value in the
training rows: what was never seen must not move a prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dlrun.data.table import BoolArray, FloatArray, IntArray

Normalize = Literal["standard", "minmax", "none"]
Missing = Literal["error", "mean", "drop"]

_BLOCK = 1 << 15  # numbers worked on at a time; they stay in the cache


@dataclass(frozen=True, eq=False)
class Scaling:
    """x → (fill where x is NaN, else x, − shift)·scale; arrays (d,), or (R, d) for R replicas."""

    fill: FloatArray
    shift: FloatArray
    scale: FloatArray

    def __getitem__(self, replica: int) -> Scaling:
        """The scaling of one replica of a stack."""
        return Scaling(self.fill[replica], self.shift[replica], self.scale[replica])

    def apply(self, features: FloatArray) -> FloatArray:
        """Scaled features: (m, d) → (m, d); for a stack (m, d) or (R, m, d) → (R, m, d)."""
        fill, shift, scale = self.fill, self.shift, self.scale
        if fill.ndim == 2:
            fill, shift, scale = fill[:, None], shift[:, None], scale[:, None]
        scaled = np.where(np.isnan(features), fill, features)
        scaled -= shift
        scaled *= scale
        return scaled


def fit_scaling(
    features: FloatArray,
    rows: npt.ArrayLike,
    *,
    normalize: Normalize,
    missing: Missing,
    categorical: BoolArray,
) -> Scaling:
    """The scaling (d,) fitted on `rows` of the raw features (n, d); rows may repeat (bootstrap).

    standard: shift = mean, scale = 1/σ with σ² = Σ(x−mean)²/n, and 1 where σ = 0; minmax: to [0, 1];
    none: 0 and 1. Columns of categories are not scaled. fill = the mean of the values that there are;
    only `missing="mean"` leaves NaN in the features. Two passes, so that a large mean costs no digits.
    """
    stacked = fit_scalings(features, [rows], normalize=normalize, missing=missing, categorical=categorical)
    return stacked[0]


def fit_scalings(
    features: FloatArray,
    rows_list: Sequence[npt.ArrayLike],
    *,
    normalize: Normalize,
    missing: Missing,
    categorical: BoolArray,
) -> Scaling:
    """The scalings of R replicas as one `Scaling` with arrays (R, d).

    Each replica is computed by itself, in an order of additions that its own rows decide: it gets
    bit for bit what `fit_scaling` gives it alone.
    """
    d = features.shape[1]
    gaps = missing == "mean" and bool(np.isnan(features).any())
    result = Scaling(*(np.empty((len(rows_list), d)) for _ in range(3)))
    for replica, given in enumerate(rows_list):
        rows = np.asarray(given, dtype=np.int64)
        blocks = _Blocks(features, rows, gaps=gaps)
        mean, count = blocks.mean()
        shift, scale = np.zeros(d), np.ones(d)
        if normalize == "standard":
            deviation = np.sqrt(blocks.variance(mean, count))
            shift[:] = mean
            np.divide(1.0, deviation, out=scale, where=deviation > 0)
        elif normalize == "minmax":
            shift[:], spread = blocks.range()
            np.divide(1.0, spread, out=scale, where=spread > 0)
        shift[categorical] = 0.0
        scale[categorical] = mean[categorical] > 0
        empty = count == 0
        shift[empty] = scale[empty] = 0.0
        result.fill[replica], result.shift[replica], result.scale[replica] = mean, shift, scale
    return result


class _Blocks:
    """The chosen rows of the features, gathered a block at a time into one buffer."""

    def __init__(self, features: FloatArray, rows: IntArray, *, gaps: bool) -> None:
        self.features = features
        self.rows = rows
        self.gaps = gaps
        self.height = max(1, _BLOCK // max(1, features.shape[1]))
        self.buffer = np.empty((min(self.height, len(rows)), features.shape[1]))
        self.pivot = self._first_values()

    def _first_values(self) -> FloatArray:
        """The first value of each column that is there, (d,); 0 in a column without one."""
        pivot: FloatArray = self.features[self.rows[0]].copy()
        for column in np.flatnonzero(np.isnan(pivot)):
            values = self.features[self.rows, column]
            known = ~np.isnan(values)
            pivot[column] = values[np.argmax(known)] if known.any() else 0.0
        return pivot

    def _differences(self, center: FloatArray, start: int) -> FloatArray:
        """Rows from `start` on minus the center, (b, d); 0 where a value is missing."""
        rows = self.rows[start : start + self.height]
        block = self.buffer[: len(rows)]
        np.take(self.features, rows, axis=0, out=block, mode="clip")
        block -= center
        if self.gaps:
            block[np.isnan(block)] = 0.0
        return block

    def _starts(self) -> range:
        return range(0, len(self.rows), self.height)

    def mean(self) -> tuple[FloatArray, npt.NDArray[np.float64]]:
        """The mean of the values that there are (0 for none), and their count, both (d,).

        Differences from the first value are summed: a constant column has exactly its value as mean.
        """
        total = np.zeros_like(self.pivot)
        count = np.full(self.pivot.shape, float(len(self.rows)))
        for start in self._starts():
            if self.gaps:
                rows = self.rows[start : start + self.height]
                count -= np.isnan(self.features[rows]).sum(axis=0)
            total += np.add.reduce(self._differences(self.pivot, start), axis=0)
        return self.pivot + total / np.maximum(count, 1), count

    def variance(self, mean: FloatArray, count: FloatArray) -> FloatArray:
        """Population variance about the mean, (d,); exactly 0 for a constant column."""
        squares = np.zeros_like(mean)
        for start in self._starts():
            block = self._differences(mean, start)
            squares += np.einsum("ij,ij->j", block, block)
        return squares / np.maximum(count, 1)

    def range(self) -> tuple[FloatArray, FloatArray]:
        """Smallest value, and largest minus smallest, both (d,)."""
        low, high = self.pivot.copy(), self.pivot.copy()
        for start in self._starts():
            block = self.features[self.rows[start : start + self.height]]
            np.fmin(low, np.fmin.reduce(block, axis=0), out=low)
            np.fmax(high, np.fmax.reduce(block, axis=0), out=high)
        return low, high - low
