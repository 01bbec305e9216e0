"""How a classifier does on each class: confusion matrix, recall and precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.reporting.tables import Column, Table
from dlrun.reporting.train_report import shown

MOST_CLASSES = 20  # a confusion matrix of more columns is read by programs, not by people


@dataclass(frozen=True, eq=False)
class ClassReport:
    """confusion[i, j] (C, C) counts the rows of class i that were called class j."""

    classes: tuple[str, ...]
    confusion: npt.NDArray[np.int64]

    @classmethod
    def of(cls, classes: Sequence[str], target: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> ClassReport:
        """From codes of the true and of the predicted classes, both (m,)."""
        C = len(classes)
        counts = np.bincount(target * C + predicted, minlength=C * C).reshape(C, C)
        return cls(tuple(classes), counts.astype(np.int64))

    def rows(self) -> list[dict[str, Any]]:
        """Per class: its rows, how often it was predicted, recall = right/rows and precision = right/predicted.

        A share of nothing is None.
        """
        right = np.diag(self.confusion).tolist()
        actual, predicted = self.confusion.sum(axis=1).tolist(), self.confusion.sum(axis=0).tolist()
        return [
            {
                "class": name,
                "rows": actual[i],
                "predicted": predicted[i],
                "recall": right[i] / actual[i] if actual[i] else None,
                "precision": right[i] / predicted[i] if predicted[i] else None,
            }
            for i, name in enumerate(self.classes)
        ]

    def to_json(self) -> dict[str, Any]:
        """`per_class` and `confusion`, the latter a list of rows in the order of the classes."""
        return {"per_class": self.rows(), "confusion": self.confusion.tolist()}

    def tables(self, part: str) -> list[Table]:
        """For a person; `part` says which rows these are."""
        per_class = Table(
            title=f"Classes, {part}",
            columns=["class", *(Column(name, "right") for name in ("rows", "predicted", "recall", "precision"))],
        )
        for row in self.rows():
            per_class.add(row["class"], row["rows"], row["predicted"], shown(row["recall"]), shown(row["precision"]))
        if len(self.classes) > MOST_CLASSES:
            per_class.footnotes.append(f"The confusion matrix of {len(self.classes)} classes: with --json.")
            return [per_class]
        confusion = Table(
            title=f"Confusion matrix, {part}",
            columns=["class \\ called", *(Column(name, "right") for name in self.classes)],
        )
        for name, counts in zip(self.classes, self.confusion.tolist(), strict=True):
            confusion.add(name, *counts)
        return [per_class, confusion]
