"""`predictions.csv`: what a model answers, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
COLUMNS = ("row", "repeat", "fold", "target", "prediction")


def prediction_columns(classes: Sequence[str]) -> tuple[str, ...]:
    """The header: `row,repeat,fold,target,prediction`, and for classes `p_NAME`, the probability of each."""
    return (*COLUMNS, *(f"p_{name}" for name in classes))


def prediction_rows(
    answers: FloatArray,
    classes: Sequence[str],
    *,
    rows: Sequence[int] | npt.NDArray[np.int64],
    targets: Sequence[Any],
    repeat: int | None = None,
    fold: int | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Rows of the file for answers (m, C): probabilities, or values (m, 1) in a regression.

    `rows` are the numbers of the rows in their source, from 0; `targets` what was to be predicted, as it is
    to be shown (None where it is not known). Without a repeat or fold these columns are empty.
    """
    numbers, values = np.asarray(rows).tolist(), answers.tolist()
    predicted = answers.argmax(axis=1).tolist() if classes else None
    for i, number in enumerate(numbers):
        place = (number, repeat, fold, targets[i])
        if predicted is None:
            yield (*place, values[i][0])
        else:
            yield (*place, classes[predicted[i]], *values[i])
