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

from dlrun.data.stored_features import Features, has_gaps, take_rows
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
    features: Features,
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
    features: Features,
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
    gaps = missing == "mean" and has_gaps(features)
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

    def __init__(self, features: Features, rows: IntArray, *, gaps: bool) -> None:
        self.features = features
        self.rows = rows
        self.gaps = gaps
        self.height = max(1, _BLOCK // max(1, features.shape[1]))
        self.buffer = np.empty((min(self.height, len(rows)), features.shape[1]))
        self.pivot = self._first_values()

    def _first_values(self) -> FloatArray:
        """The first value of each column that is there, (d,); 0 in a column without one."""
        pivot: FloatArray = self._block(0)[0].copy()
        for start in self._starts():
            unknown = np.flatnonzero(np.isnan(pivot))
            if not unknown.size:
                break
            values = self._block(start)[:, unknown]
            pivot[unknown] = values[np.argmax(~np.isnan(values), axis=0), np.arange(unknown.size)]
        return np.nan_to_num(pivot, copy=False)

    def _block(self, start: int) -> FloatArray:
        """Rows from `start` on, (b, d), in the buffer."""
        rows = self.rows[start : start + self.height]
        block = self.buffer[: len(rows)]
        take_rows(self.features, rows, block)
        return block

    def _differences(self, block: FloatArray, center: FloatArray) -> FloatArray:
        """The block minus the center, in place; 0 where a value is missing."""
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
            block = self._block(start)
            if self.gaps:
                count -= np.isnan(block).sum(axis=0)
            total += np.add.reduce(self._differences(block, self.pivot), axis=0)
        return self.pivot + total / np.maximum(count, 1), count

    def variance(self, mean: FloatArray, count: FloatArray) -> FloatArray:
        """Population variance about the mean, (d,); exactly 0 for a constant column."""
        squares = np.zeros_like(mean)
        for start in self._starts():
            block = self._differences(self._block(start), mean)
            squares += np.einsum("ij,ij->j", block, block)
        return squares / np.maximum(count, 1)

    def range(self) -> tuple[FloatArray, FloatArray]:
        """Smallest value, and largest minus smallest, both (d,)."""
        low, high = self.pivot.copy(), self.pivot.copy()
        for start in self._starts():
            block = self._block(start)
            np.fmin(low, np.fmin.reduce(block, axis=0), out=low)
            np.fmax(high, np.fmax.reduce(block, axis=0), out=high)
        return low, high - low
