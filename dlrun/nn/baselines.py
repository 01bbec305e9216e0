"""Baselines: what a model must beat.

majority          the class that most training rows have, with the classes' shares as probabilities
mean              the mean of the training targets
nearest_neighbor  the target of the training row that is nearest (Euclidean, scaled features): it remembers all
                  and learns nothing; of rows equally near the first counts
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BASELINES = {"majority": "classification", "mean": "regression", "nearest_neighbor": "any"}  # kind: its task


def majority(target: npt.NDArray[np.int64], classes: int) -> FloatArray:
    """Shares of the classes among the training rows, (C,)."""
    return np.bincount(target, minlength=classes) / max(len(target), 1)


def mean(target: FloatArray) -> FloatArray:
    """The mean training target, (1,)."""
    return np.array([target.mean()])


def nearest_rows(train: FloatArray, queries: FloatArray, *, block: int = 1 << 22) -> npt.NDArray[np.int64]:
    """For each query (m, d) the number of the nearest row of `train` (n, d).

    ‖x−q‖² is expanded to ‖x‖² − 2x·q, whose product is fast; both are centred first, to keep its digits.
    """
    centre = train.mean(axis=0)
    rows, points = train - centre, queries - centre
    sizes = (rows * rows).sum(axis=1)
    found = np.empty(len(queries), np.int64)
    step = max(1, block // max(len(train), 1))
    for start in range(0, len(points), step):
        part = points[start : start + step]
        found[start : start + step] = (sizes - 2 * part @ rows.T).argmin(axis=1)
    return found


def baseline_answers(kind: str, fitted: dict[str, Any], queries: FloatArray) -> FloatArray:
    """Answers (m, C): probabilities, or values (m, 1), for scaled features (m, d)."""
    if kind == "nearest_neighbor":
        return np.asarray(fitted["targets"][nearest_rows(fitted["rows"], queries)])
    return np.broadcast_to(fitted["answer"], (len(queries), len(fitted["answer"])))


def fit_baseline(
    kind: str, features: FloatArray, target: npt.NDArray[Any], classes: int
) -> dict[str, npt.NDArray[np.float64]]:
    """What a baseline keeps of scaled training rows (n, d) and their targets (n,); classes is 0 in regression."""
    if kind == "majority":
        return {"answer": majority(target, classes)}
    if kind == "mean":
        return {"answer": mean(target)}
    answers = np.eye(classes)[target] if classes else np.asarray(target, np.float64)[:, None]
    return {"rows": features, "targets": answers}
