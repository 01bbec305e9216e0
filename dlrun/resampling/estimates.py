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
from dlrun.resampling.distributions import normal_quantile, t_quantile
from dlrun.resampling.intervals import (
    NO_INTERVAL,
    FloatArray,
    Interval,
    check_confidence,
    effective_rows,
    root_at,
    wilson_at,
)
from dlrun.resampling.row_sampling import RowSampling, row_sampling

Task = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ErrorEstimate:
    """What the test parts say about the error.

    mean         mean of the folds' errors (leave-one-out: the pooled error)
    std          standard deviation of the folds' errors, divisor k − 1; None for a single fold
    ci_low, ci_high   interval of the error on new rows at `confidence`; it holds `mean`; None where there is none
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
    rows: Sequence[npt.NDArray[np.int64]] | None = None,
    groups: npt.NDArray[np.int64] | None = None,
    overfitting: float = 0.0,
) -> ErrorEstimate:
    """The estimate from the losses of each test part, one array (n_test,) per fold, repeat by repeat.

    n_train (k,) is the number of training rows of each fold, dev rows of early stopping included;
    repeats is 1 for one pass of k-fold, leave-one-out and a single holdout.
    rows     the numbers of the rows of each test part; left out, every loss of a repeat is of a row of its own
    groups   (n,) of all rows, where they are drawn in groups
    overfitting   R in [0, 1], the relative overfitting rate: how much the losses of rows depend on one another
                  through the models that they train

    The interval is Wilson's, or for numbers the delta method on the log of the mean square, with the larger of two
    variances of the mean loss (`_interval`). It is widened to hold `mean`, and cut at 0, and at 1 for shares.

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
    tested = None if rows is None else [each for each, ok in zip(rows, good, strict=True) if ok]
    sizes = np.array([len(loss) for loss in kept])
    pooled = error_of(np.concatenate(kept), task=task)
    values, k = errors[good], len(kept)
    same = bool((values == values[0]).all())
    std = (0.0 if same else float(values.std(ddof=1))) if k > 1 else None
    mean = pooled if bool((sizes == 1).all()) else float(values.mean())
    if std is None and len(losses) > 1:
        interval, how = NO_INTERVAL, "none: a single fold is left"
    else:
        sampling = row_sampling(kept, tested, groups=groups, repeats=repeats, shares=task == "classification")
        test_to_train = float((sizes / n_train[good]).mean())
        widened = 1 + overfitting if len(losses) > 1 else 1.0  # one holdout tests one model
        variance, of_what = _variance(kept, sampling, repeats, test_to_train, widened, grouped=groups is not None)
        interval = _interval(sampling, variance, task=task, confidence=confidence, grouped=groups is not None)
        how = f"{'Wilson' if task == 'classification' else 't on the log of the mean square'}, {of_what}"
    low, high = _cut(interval, mean, task)
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


def _variance(
    losses: Sequence[FloatArray],
    sampling: RowSampling,
    repeats: int,
    test_to_train: float,
    widened: float,
    *,
    grouped: bool,
) -> tuple[float, str]:
    """The variance of the mean loss, and in words what it was taken over.

    Over the tested rows or groups: V·(1 + R). Over the folds, where there are several of several rows: s²/k, and
    (1/k + n_test/n_train)·s² for repeats; s² is that of the folds' mean losses. The larger counts.
    """
    by_rows = sampling.variance * widened
    units = "tested groups" if grouped else "tested rows"
    text = f"variance of the {units}" + (f" × {widened:.3g} for overfitting" if widened >= 1.005 else "")
    if len(losses) < 2 or all(len(loss) == 1 for loss in losses):
        return by_rows, text
    values = np.array([loss.mean() for loss in losses])
    by_folds = float(values.var(ddof=1)) / len(values) if repeats == 1 else corrected_variance(values, test_to_train)
    if by_folds > by_rows:
        return by_folds, "variance of the folds, " + ("s²/k" if repeats == 1 else "(1/k + n_test/n_train)·s²")
    return by_rows, text


def _interval(sampling: RowSampling, variance: float, *, task: Task, confidence: float, grouped: bool) -> Interval:
    """Wilson's with p(1 − p)/variance rows, or √m by the delta method; groups are few, and have Student's quantile."""
    level, units, mean = (1 + confidence) / 2, sampling.units, sampling.mean
    if task == "classification":
        if grouped and units < 2:
            return NO_INTERVAL
        rows = effective_rows(mean, sqrt(variance), units)
        return wilson_at(mean, rows, t_quantile(level, units - 1) if grouped else normal_quantile(level))
    if units < 2:
        return NO_INTERVAL
    return root_at(mean, sqrt(variance), t_quantile(level, units - 1)) if mean > 0 else Interval(0.0, 0.0)


def _cut(interval: Interval, mean: float, task: Task) -> tuple[float | None, float | None]:
    """The ends, the mean between them, kept within what an error can be."""
    if interval.low is None or interval.high is None:
        return None, None
    high = max(mean, interval.high)
    return max(0.0, min(mean, interval.low)), min(1.0, high) if task == "classification" else high
