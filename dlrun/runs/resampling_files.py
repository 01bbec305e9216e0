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

ENDING = ("n_dev", "epochs", "status", "reason")
FOLD_COLUMNS = ("repeat", "fold", "n_train", "n_test", "cost", "error", "baseline_error", *ENDING)
REPLICATE_COLUMNS = ("sample", "n_unique", "n_oob", "oob_error", "train_error", *ENDING)


def fold_rows(folds: Iterable[FoldFigures]) -> Iterator[tuple[Any, ...]]:
    """Rows of `folds.csv`: n_train counts the dev rows of early stopping too; `baseline_error` is of the same fold."""
    for each in folds:
        resample = each.division.resample
        sizes = len(resample.train), len(resample.test)
        errors = _finite(each.cost), _finite(each.error), _finite(each.baseline)
        yield (resample.repeat, resample.fold, *sizes, *errors, *_ending(each.division))


def replicate_rows(samples: Sequence[Division], estimates: BootstrapEstimates | None) -> Iterator[tuple[Any, ...]]:
    """Rows of `replicates.csv`, one per sample. Without estimates (nothing answered) the errors are empty."""
    for place, each in enumerate(samples):
        errors: tuple[float | None, ...] = (None, None)
        if estimates is not None:
            errors = (_finite(estimates.oob_error[place]), _finite(estimates.train_error[place]))
        unique = len(np.unique(each.resample.train))
        yield (each.resample.repeat, unique, len(each.resample.test), *errors, *_ending(each))


def answer_rows(divisions: Iterable[Division], data: Dataset) -> Iterator[tuple[Any, ...]]:
    """Rows of `predictions.csv`: the answers of each division for its test rows; empty where it has none."""
    for each in divisions:
        yield from _predictions(each, data)


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
