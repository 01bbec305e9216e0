"""`folds.csv`, `replicates.csv` and `predictions.csv` of cross-validation, holdout and bootstrap."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.data.dataset import Dataset
from dlrun.resampling.bootstrap_estimates import BootstrapEstimates
from dlrun.resampling.outcome import FoldFigures
from dlrun.resampling.run import Division
from dlrun.runs.folder import RunFolder
from dlrun.runs.predictions import prediction_columns

ENDING = ("n_dev", "epochs", "status", "reason")
FOLD_COLUMNS = ("repeat", "fold", "n_train", "n_test", "cost", "error", "baseline_error", *ENDING)
REPLICATE_COLUMNS = ("sample", "n_unique", "n_oob", "oob_error", "train_error", *ENDING)


def write_folds(folder: RunFolder, folds: Iterable[FoldFigures]) -> None:
    """`folds.csv`: n_train counts the dev rows of early stopping too; `baseline_error` is that of the same fold."""
    with folder.csv("folds.csv", FOLD_COLUMNS) as file:
        file.write_rows(
            (
                each.division.resample.repeat,
                each.division.resample.fold,
                len(each.division.resample.train),
                len(each.division.resample.test),
                _finite(each.cost),
                _finite(each.error),
                _finite(each.baseline),
                *_ending(each.division),
            )
            for each in folds
        )


def write_replicates(folder: RunFolder, samples: Sequence[Division], estimates: BootstrapEstimates | None) -> None:
    """`replicates.csv`: a row per sample. Without estimates (nothing answered) the errors are empty."""
    with folder.csv("replicates.csv", REPLICATE_COLUMNS) as file:
        for place, each in enumerate(samples):
            errors: tuple[float | None, ...] = (None, None)
            if estimates is not None:
                errors = (_finite(estimates.oob_error[place]), _finite(estimates.train_error[place]))
            unique = len(np.unique(each.resample.train))
            file.write(each.resample.repeat, unique, len(each.resample.test), *errors, *_ending(each))


def write_predictions(folder: RunFolder, divisions: Iterable[Division], data: Dataset) -> None:
    """`predictions.csv`: the answers of each division for its test rows; empty where it has none."""
    with folder.csv("predictions.csv", prediction_columns(data.classes)) as file:
        for each in divisions:
            file.write_rows(_predictions(each, data))


def _predictions(division: Division, data: Dataset) -> Iterator[tuple[Any, ...]]:
    resample, answers = division.resample, division.answers
    if len(division.tested) != len(resample.test):  # a bootstrap answers all rows; those it drew are no test
        answers = answers[np.searchsorted(division.tested, resample.test)]
    numbers, targets = data.rows[resample.test].tolist(), _shown(data, data.target[resample.test])
    answered: list[bool] = np.isfinite(answers).all(axis=1).tolist()  # type: ignore[assignment]
    values = answers.tolist()
    predicted = [data.classes[code] for code in answers.argmax(axis=1).tolist()] if data.classes else None
    nothing = (None,) * (1 + len(data.classes))
    for i, number in enumerate(numbers):
        place = (number, resample.repeat, resample.fold, targets[i])
        if not answered[i]:
            yield (*place, *nothing)
        elif predicted is None:
            yield (*place, values[i][0])
        else:
            yield (*place, predicted[i], *values[i])


def _shown(data: Dataset, target: npt.NDArray[Any]) -> list[Any]:
    """Classes by name, numbers as they are."""
    return [data.classes[code] for code in target.tolist()] if data.classes else target.tolist()


def _ending(division: Division) -> tuple[Any, ...]:
    result = division.result
    return division.n_dev, result.epochs, result.status, result.reason or None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
