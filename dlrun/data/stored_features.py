"""A matrix of features that stays in its file, and what the code for matrices in memory needs to work with both."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dlrun.data.row_file import RowFile
from dlrun.data.table import FloatArray, IntArray


class StoredFeatures:
    """The encoded features (n, d) float64 of a large table: `features[rows]` reads these rows, (m, d).

    columns  which of the file's columns they are
    kept     the file's row of each row, where some were dropped
    gaps     whether any value is missing (NaN)
    """

    ndim = 2
    nbytes = 0  # of memory

    def __init__(self, file: RowFile, columns: slice | IntArray, kept: IntArray | None, *, gaps: bool) -> None:
        self.file, self.gaps = file, gaps
        self._columns, self._kept = columns, kept
        width = len(np.arange(file.width)[columns])
        self.shape = (file.rows if kept is None else len(kept), width)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        out = np.empty((len(rows), self.shape[1]))
        self.take(rows, out)
        return out

    def take(self, rows: npt.NDArray[np.int64], out: FloatArray) -> None:
        """out[i] ← row rows[i]; rows in ascending order are read fastest."""
        if (np.diff(rows) >= 0).all():
            self._take(rows, out)
            return
        order = np.argsort(rows, kind="stable")
        sorted_rows = np.empty_like(out)
        self._take(rows[order], sorted_rows)
        out[order] = sorted_rows

    def _take(self, rows: npt.NDArray[np.int64], out: FloatArray) -> None:
        self.file.take(rows if self._kept is None else self._kept[rows], out, self._columns)


Features: TypeAlias = FloatArray | StoredFeatures


def take_rows(features: Features, rows: npt.NDArray[np.int64], out: FloatArray) -> None:
    """out[i] ← features[rows[i]]; row numbers are trusted to be in range."""
    if isinstance(features, StoredFeatures):
        features.take(rows, out)
    else:
        np.take(features, rows, axis=0, out=out, mode="clip")


def has_gaps(features: Features) -> bool:
    """Whether any value is missing."""
    return features.gaps if isinstance(features, StoredFeatures) else bool(np.isnan(features).any())
