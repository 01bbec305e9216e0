"""What splitters yield: divisions of the rows into train and test, one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Scheme = Literal["holdout", "k_fold", "leave_one_out", "bootstrap"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Resample:
    """One division of the rows: train (int64; may repeat rows, in a bootstrap) and test (int64), sorted.

    `repeat` and `fold` count from 0; a bootstrap sample has fold 0 and counts its repeats from 1,
    because 0 is the fit on all rows.
    """

    repeat: int
    fold: int
    train: IntArray
    test: IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Resamples:
    """The divisions of one scheme, made one at a time as they are asked for.

    rows       n, the number of rows divided
    repeats    how many times the scheme is repeated (bootstrap: the number of samples B)
    warnings   what a reader of the estimate should know, a sentence each
    """

    scheme: Scheme
    rows: int
    repeats: int
    count: int
    warnings: tuple[str, ...]
    make: Callable[[int], Resample]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Resample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.make(index)

    def __iter__(self) -> Iterator[Resample]:
        return (self.make(index) for index in range(self.count))


def split_hash(splits: Iterable[Resample]) -> str:
    """SHA-256 (hex) over repeat, fold and all row numbers, in order: equal only for identical splits."""
    digest = hashlib.sha256()
    for split in splits:
        head = np.array([split.repeat, split.fold, len(split.train), len(split.test)])
        for part in (head, split.train, split.test):
            digest.update(part.astype("<i8").tobytes())
    return digest.hexdigest()


def drawn_counts(splits: Resamples) -> npt.NDArray[np.int32]:
    """How often sample b drew row i: (B, n), in the order of the samples."""
    rows = [np.bincount(split.train, minlength=splits.rows) for split in splits]
    return np.array(rows, dtype=np.int32)
