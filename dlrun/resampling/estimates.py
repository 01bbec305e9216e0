"""The error of a model from its test parts: holdout, cross-validation, leave-one-out.

The error is the share of wrong answers (classification) or the root mean squared error (regression).
Which interval goes with which scheme, and why, is told in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from dlrun.errors import AnswerIsNoError, DataError
from dlrun.records import counted
from dlrun.resampling.intervals import (
    NO_INTERVAL,
    FloatArray,
    Interval,
    check_confidence,
    root_interval,
    t_interval,
    wilson,
)

Task = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ErrorEstimate:
    """What the test parts say about the error.

    mean         mean of the folds' errors (leave-one-out: the pooled error)
    std          standard deviation of the folds' errors, divisor k − 1; None for a single fold
    ci_low, ci_high   interval of `mean` at `confidence`; None where there is none
    pooled       error over all predictions at once, a row counting once for each repeat that tested it
    fold_errors  (k,), NaN where a fold gave no finite answer
    interval     how the interval was made, in a few words
    warnings     what a reader should know, a sentence each
    """

    mean: float
    std: float | None
    ci_low: float | None
    ci_high: float | None
    pooled: float
    confidence: float
    interval: str
    fold_errors: FloatArray
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, float | None]:
        """The five figures of a run's summary."""
        names = ("mean", "std", "ci_low", "ci_high", "pooled")
        return {name: getattr(self, name) for name in names}


def row_losses(target: npt.NDArray[np.generic], prediction: npt.NDArray[np.generic], *, task: Task) -> FloatArray:
    """The loss of each row: 1 for a wrong class, 0 for the right one; or (y − ŷ)². Broadcasts.

    NaN where there is no answer: a class code below 0, or a number that is not finite.
    """
    if task == "classification":
        return np.where(np.less(prediction.astype(np.int64), 0), np.nan, (target != prediction).astype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        loss = np.square(np.asarray(target, np.float64) - np.asarray(prediction, np.float64))
    return np.where(np.isfinite(loss), loss, np.nan)


def error_of(losses: FloatArray, *, task: Task) -> float:
    """The error over rows: the mean loss, or its root for regression; NaN for no rows or a NaN among them."""
    if not len(losses):
        return float("nan")
    mean = float(losses.mean())
    return sqrt(mean) if task == "regression" else mean


def rows_interval(losses: FloatArray, *, task: Task, confidence: float) -> Interval:
    """Interval of the error over independent rows: Wilson's for shares; for the root mean squared error
    Student's t for the mean of the squared errors, taken to its root by the delta method."""
    n = len(losses)
    mean = float(losses.mean())
    if task == "classification":
        return wilson(mean, n, confidence)
    if n < 2:
        return NO_INTERVAL
    return root_interval(mean, float(losses.std(ddof=1)) / sqrt(n), n - 1, confidence)


def corrected_variance(values: FloatArray, test_to_train: float) -> float:
    """Variance of a mean over resampled test parts, (1/k + n_test/n_train)·s².

    s² (divisor k − 1) over k overlapping divisions of the same rows; s²/k would treat them as
    independent, and go to 0 with more repeats. Nadeau and Bengio 2003.
    """
    return float((1 / len(values) + test_to_train) * values.var(ddof=1))


def estimate_error(
    losses: Sequence[FloatArray],
    *,
    n_train: npt.NDArray[np.int64],
    repeats: int,
    task: Task,
    confidence: float = 0.95,
) -> ErrorEstimate:
    """The estimate from the losses of each test part, one array (n_test,) per fold, repeat by repeat.

    n_train (k,) is the number of training rows of each fold, dev rows of early stopping included;
    repeats is 1 for one pass of k-fold, leave-one-out and a single holdout.

    Intervals:
      one holdout, leave-one-out   over the rows (`rows_interval`): one test row has no spread of its own
      one k-fold                   mean ± t·s/√k, k − 1 degrees of freedom
      repeated                     mean ± t·√((1/k + n_test/n_train)·s²), k folds in all
    A share that is the same in all folds gets Wilson's interval over the rows of one repeat in place of
    one without width. Ends are cut at 0, and at 1 for shares.

    Folds without a finite answer are left out, with a warning. Raises AnswerIsNoError if all are,
    DataError if there are none.
    """
    check_confidence(confidence)
    if not losses or len(losses) != len(n_train):
        raise DataError(f"{len(losses)} test parts for {len(n_train)} training parts; one for each was wanted")
    errors = np.array([error_of(loss, task=task) for loss in losses])
    good = np.isfinite(errors)
    warnings = []
    if not good.any():
        raise AnswerIsNoError("no fold gave a finite answer: every model diverged; try a smaller learning rate")
    if not good.all():
        lost = int((~good).sum())
        warnings.append(
            f"{lost} of {len(good)} folds diverged and {'is' if lost == 1 else 'are'} left out: "
            f"the figures tell only about the {counted(int(good.sum()), 'other')}"
        )
    kept = [loss for loss, ok in zip(losses, good, strict=True) if ok]
    sizes = np.array([len(loss) for loss in kept])
    pooled_losses = np.concatenate(kept)
    pooled = error_of(pooled_losses, task=task)
    values, k = errors[good], len(kept)
    one_row_each = bool((sizes == 1).all())
    same = bool((values == values[0]).all())
    std = (0.0 if same else float(values.std(ddof=1))) if k > 1 else None
    mean = pooled if one_row_each else float(values.mean())
    by_rows = repeats == 1 and (one_row_each or len(losses) == 1)
    if by_rows:
        interval = rows_interval(pooled_losses, task=task, confidence=confidence)
        how = "Wilson, over rows" if task == "classification" else "t over squared errors of rows, delta method"
    elif std is None:
        interval, how = NO_INTERVAL, "none: a single fold is left"
    elif task == "classification" and same:
        rows = max(1, round(float(sizes.sum()) / repeats))
        interval, how = (
            wilson(mean, rows, confidence),
            "Wilson, over the rows of one repeat (folds do not differ)",
        )
    elif repeats == 1:
        interval, how = t_interval(mean, std / sqrt(k), k - 1, confidence), "t over folds, variance s²/k"
    else:
        variance = corrected_variance(values, float((sizes / n_train[good]).mean()))
        interval = t_interval(mean, sqrt(variance), k - 1, confidence)
        how = "t over folds, variance (1/k + n_test/n_train)·s²"
    low, high = _cut(interval, task)
    return ErrorEstimate(
        mean=mean,
        std=std,
        ci_low=low,
        ci_high=high,
        pooled=pooled,
        confidence=confidence,
        interval=how,
        fold_errors=errors,
        warnings=tuple(warnings),
    )


def _cut(interval: Interval, task: Task) -> tuple[float | None, float | None]:
    """The ends kept within what an error can be."""
    if interval.low is None or interval.high is None:
        return None, None
    return max(0.0, interval.low), min(1.0, interval.high) if task == "classification" else interval.high
