"""Estimates of error that are timed: which rows, which network, which divisions. All peers read the same tables."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

ROOT = Path(__file__).parent.parent
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class FoldCase:
    """A scaled ReLU network with Adam; `count` folds (0: leave one out) or bootstrap samples.

    `goals`: peer and the ratio of whole processes that is wanted.
    """

    name: str
    table: str
    hidden: tuple[int, ...]
    batch: int
    epochs: int
    scheme: Literal["crossval", "bootstrap"]
    count: int
    goals: tuple[tuple[str, float], ...]

    def rows(self) -> tuple[Any, Any, int]:
        """Inputs (n, d) float64, class codes (n,), number of classes; the target is the last column."""
        with (ROOT / "datasets" / f"{self.table}.csv").open(encoding="utf-8", newline="") as file:
            _, *lines = csv.reader(file)
        classes, codes = np.unique([line[-1] for line in lines], return_inverse=True)
        return np.array([line[:-1] for line in lines], np.float64), codes, len(classes)

    def divisions(self) -> list[tuple[Any, Any]]:
        """Row numbers (train, test) of every division; stratified folds."""
        _, codes, _ = self.rows()
        n, random = len(codes), np.random.default_rng(0)
        if self.scheme == "bootstrap":
            drawn = [np.sort(random.integers(0, n, n)) for _ in range(self.count)]
            return [(rows, np.setdiff1d(np.arange(n), rows)) for rows in drawn]
        if not self.count:
            return [(np.delete(np.arange(n), i), np.array([i])) for i in range(n)]
        order = random.permutation(n)
        order = order[np.argsort(codes[order], kind="stable")]
        fold = np.empty(n, int)
        fold[order] = np.arange(n) % self.count
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(self.count)]

    def settings(self) -> list[str]:
        """The experiment's keys that make dlrun train the same."""
        return [
            f"model.hidden={list(self.hidden)}",
            "model.keep_prob=1.0",
            f"training.batch_size={self.batch}",
            f"training.epochs={self.epochs}",
            "training.early_stopping=",
            f"optimizer.learning_rate={LEARNING_RATE}",
            'optimizer.decay.name="constant"',
            "regularization.l2=0.0",
            'data.normalize="standard"',
        ]


SKLEARN, TORCH, JAX, DLRUN = "scikit-learn", "PyTorch, a loop", "JAX, vmap of scan", "dlrun"
FOLD_CASES = (
    FoldCase("breast cancer, 10 folds, 30-32-2", "breast_cancer", (32,), 32, 50, "crossval", 10, ((SKLEARN, 10.0),)),
    FoldCase(
        "digits, 10 folds, 64-128-64-10", "digits", (128, 64), 64, 20, "crossval", 10, ((SKLEARN, 3.0), (JAX, 1.0))
    ),
    FoldCase("iris, leave one out, 4-16-3", "iris", (16,), 16, 50, "crossval", 0, ((SKLEARN, 10.0),)),
    FoldCase(
        "breast cancer, 200 bootstrap samples", "breast_cancer", (32,), 32, 50, "bootstrap", 200, ((SKLEARN, 10.0),)
    ),
)


def fold_case(name: str) -> FoldCase:
    """The case of this name."""
    return next(case for case in FOLD_CASES if case.name == name)
