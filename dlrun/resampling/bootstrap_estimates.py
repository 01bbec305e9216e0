"""Bootstrap estimates of error: apparent, out-of-bag, .632 and .632+ (Efron and Tibshirani 1997).

"Improvements on Cross-Validation: The .632+ Bootstrap Method", JASA 92, 548–560. Losses are 0/1 or
squared errors; all combining happens on their means, and for regression the root is taken last.
Classes are codes 0 … C−1. B samples, n rows; row 0 of the predictions is the fit on all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlrun.errors import AnswerIsNoError, DataError
from dlrun.records import counted, four_digits
from dlrun.resampling.estimates import Task, row_losses
from dlrun.resampling.influence import BagErrors, standard_error
from dlrun.resampling.intervals import (
    NO_INTERVAL,
    FloatArray,
    Interval,
    check_confidence,
    confidence_over_a_gap,
    effective_rows,
    percentile,
    root_interval,
    wilson,
)

IntArray = npt.NDArray[np.int64]
OPTIMISTIC_OVERFITTING = 0.5  # R from which .632 is called optimistic
OPTIMISTIC_APPARENT = 0.1  # share of the out-of-bag error below which the apparent error says nothing


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One estimate of the error and its intervals at the confidence asked for; None for fewer than two samples.

    ci_low, ci_high   the interval of the error on new rows: it reaches over what the estimate may be wrong by
    se_low, se_high   the part of it that is chance: from `standard_error` alone, around the value
    samples_low, samples_high   quantiles of the same estimate computed for each sample: no interval of the error
    """

    value: float
    ci_low: float | None
    ci_high: float | None
    standard_error: float | None
    se_low: float | None
    se_high: float | None
    samples_low: float | None
    samples_high: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class BootstrapEstimates:
    """All four estimates, what they are made of, and figures per sample and per row.

    estimates         "apparent", "oob", "632", "632plus"
    no_information    γ, the error if targets and predictions had nothing to do with each other
    overfitting_rate  R in [0, 1];  weight: that of the out-of-bag error, .632 / (1 − .368·R)
    row_losses        (n,) mean loss of each row over the samples that left it out; NaN if none did
    n_unique, n_oob, oob_error, train_error   (B,) per sample; NaN where a sample gave no answer
    """

    estimates: dict[str, Estimate]
    no_information: float
    overfitting_rate: float
    weight: float
    row_losses: FloatArray
    n_unique: IntArray
    n_oob: IntArray
    oob_error: FloatArray
    train_error: FloatArray
    confidence: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Blend:
    """.632 and .632+ with their parts, on the scale of the mean loss; scalars or arrays (B,)."""

    e632: FloatArray
    e632plus: FloatArray
    rate: FloatArray


def bootstrap_estimates(
    target: npt.NDArray[np.generic],
    predictions: npt.NDArray[np.generic],
    counts: npt.NDArray[np.integer],
    *,
    task: Task,
    confidence: float = 0.95,
    strata: IntArray | None = None,
    groups: IntArray | None = None,
) -> BootstrapEstimates:
    """Estimates from the predictions (B + 1, n) for all rows and the draws, counts (B, n).

        err   = mean loss of the fit on all rows
        Err¹  = 1/n Σᵢ Eᵢ,  Eᵢ the mean loss of row i over the samples that left it out
        .632  = .368·err + .632·Err¹
        γ     = Σ_c p_c(1 − q_c) for classes of share p_c among targets and q_c among predictions;
                1/n² Σᵢ Σⱼ (yᵢ − ŷⱼ)² = var y + var ŷ + (ȳ − mean ŷ)² for numbers
        R     = (min(Err¹, γ) − err) / (γ − err), 0 unless Err¹ > err and γ > err
        .632+ = .632 + (min(Err¹, γ) − err)·(.368·.632·R) / (1 − .368·R)

    `strata` and `groups` are those the samples were drawn with. For regression the values are roots.
    Samples without a finite answer are left out, with a warning; so are rows that no sample left out.

    Raises AnswerIsNoError if the fit on all rows or every sample has no finite answer; DataError for
    shapes that do not match or where no row is out of bag.
    """
    check_confidence(confidence)
    n = len(target)
    samples = len(counts)
    if predictions.shape != (samples + 1, n) or counts.shape != (samples, n):
        raise DataError(
            f"predictions {predictions.shape} and draws {counts.shape} of {n} rows; "
            f"(B + 1, {n}) and (B, {n}) were wanted"
        )
    losses = row_losses(target, predictions, task=task)
    finite: npt.NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(losses), axis=1)
    if not finite[0]:
        raise AnswerIsNoError("the fit on all rows gave no finite answer: it diverged; try a smaller learning rate")
    answered = finite[1:]
    if not answered.any():
        raise AnswerIsNoError("no bootstrap sample gave a finite answer: every fit diverged")

    bag = BagErrors.of(losses[1:][answered], counts[answered])
    apparent, oob = float(losses[0].mean()), bag.error
    gamma = float(no_information(target, predictions[0], np.ones(n), task=task))
    blend = _blend(np.array(apparent), np.array(oob), np.array(gamma))

    used = counts[answered].astype(np.float64)
    train_b = (used * losses[1:][answered]).sum(axis=1) / used.sum(axis=1)
    gamma_b = np.array(
        [
            float(no_information(target, prediction, weight, task=task))
            for prediction, weight in zip(predictions[1:][answered], used, strict=True)
        ]
    )
    blend_b = _blend(train_b, bag.sample_errors, gamma_b)

    error = standard_error(bag, counts[answered], strata=strata, groups=groups)
    units = n if groups is None else len(np.unique(groups))

    reach = _Reach(oob, float(blend.e632plus), error, units, task, confidence)

    rate = float(blend.rate)
    estimates = {
        "apparent": _estimate(apparent, train_b, reach),
        "oob": _estimate(oob, bag.sample_errors, reach),
        "632": _estimate(float(blend.e632), blend_b.e632, reach),
        "632plus": _estimate(float(blend.e632plus), blend_b.e632plus, reach),
    }
    scale = np.sqrt if task == "regression" else np.asarray
    return BootstrapEstimates(
        estimates=estimates,
        no_information=float(scale(gamma)),
        overfitting_rate=rate,
        weight=0.632 / (1 - 0.368 * rate),
        row_losses=bag.row_losses,
        n_unique=(counts > 0).sum(axis=1).astype(np.int64),
        n_oob=(counts == 0).sum(axis=1).astype(np.int64),
        oob_error=_spread(scale(bag.sample_errors), answered),
        train_error=_spread(scale(train_b), answered),
        confidence=confidence,
        warnings=tuple(_warnings(estimates, rate, answered, bag.row_losses)),
    )


def no_information(
    target: npt.NDArray[np.generic], prediction: npt.NDArray[np.generic], weight: FloatArray, *, task: Task
) -> float:
    """γ, the mean loss over all n² pairings of a target with a prediction, rows weighted: a scalar."""
    share = weight / weight.sum()
    if task == "classification":
        y, z = target.astype(np.int64), prediction.astype(np.int64)
        classes = int(max(y.max(), z.max())) + 1
        p = np.bincount(y, weights=share, minlength=classes)
        q = np.bincount(z, weights=share, minlength=classes)
        return float((p * (1 - q)).sum())
    values = [np.asarray(x, dtype=np.float64) for x in (target, prediction)]
    means = [float(share @ x) for x in values]
    spread = sum(float(share @ np.square(x - mean)) for x, mean in zip(values, means, strict=True))
    return spread + (means[0] - means[1]) ** 2


def overfitting_rate(apparent: FloatArray, tested: FloatArray, gamma: FloatArray) -> FloatArray:
    """R = (min(tested, γ) − apparent) / (γ − apparent) of mean losses, 0 unless tested and γ are above apparent."""
    overfits = (tested > apparent) & (gamma > apparent)
    rate: FloatArray = np.where(
        overfits, (np.minimum(tested, gamma) - apparent) / np.where(overfits, gamma - apparent, 1.0), 0.0
    )
    return rate


def _blend(apparent: FloatArray, oob: FloatArray, gamma: FloatArray) -> _Blend:
    """.632 and .632+ from mean losses."""
    rate = overfitting_rate(apparent, oob, gamma)
    e632 = 0.368 * apparent + 0.632 * oob
    plus = e632 + (np.minimum(oob, gamma) - apparent) * (0.368 * 0.632 * rate) / (1 - 0.368 * rate)
    return _Blend(e632, plus, rate)


@dataclass(frozen=True)
class _Reach:
    """Between which errors the truth lies, and how far chance reaches beyond them; mean losses.

    The out-of-bag error errs a little high, its models having seen 63 % of the rows; the others err low, .632+ least.
    """

    oob: float
    plus: float
    error: float | None
    units: int
    task: Task
    confidence: float

    def interval(self, low: float, high: float) -> Interval:
        """One that holds a truth from low to high: Wilson's with the rows that SE amounts to, or the delta method."""
        if self.error is None:
            return NO_INTERVAL
        gap = (high - low) / self.error if self.error > 0 else 0.0
        confidence = confidence_over_a_gap(gap, self.confidence)
        ends = [self._around(value, confidence) for value in (low, high)]
        return Interval(ends[0].low, ends[1].high)

    def _around(self, value: float, confidence: float) -> Interval:
        error = self.error or 0.0
        if self.task == "classification":
            return wilson(value, effective_rows(self.oob, error, self.units), confidence)
        relative = error / self.oob if self.oob > 0 else 0.0
        return root_interval(value, value * relative, self.units - 1, confidence)


def _estimate(value: float, per_sample: FloatArray, reach: _Reach) -> Estimate:
    """The estimate with its intervals, brought from the mean loss to the error."""
    root_of = np.sqrt if reach.task == "regression" else np.asarray
    spread = percentile(root_of(per_sample), reach.confidence)
    root, error = float(root_of(value)), reach.error
    if error is not None and reach.task == "regression":
        error = error / (2 * root) if root > 0 else 0.0
    chance = reach.interval(value, value)
    around = reach.interval(min(value, reach.plus), max(value, reach.oob))
    return Estimate(
        value=root,
        ci_low=around.low,
        ci_high=around.high,
        standard_error=error,
        se_low=chance.low,
        se_high=chance.high,
        samples_low=spread.low,
        samples_high=spread.high,
    )


def _spread(values: FloatArray, answered: npt.NDArray[np.bool_]) -> FloatArray:
    """Values of the samples that answered in the places of all (B,), NaN elsewhere."""
    result = np.full(len(answered), np.nan)
    result[answered] = values
    return result


def _warnings(
    estimates: dict[str, Estimate], rate: float, answered: npt.NDArray[np.bool_], rows: FloatArray
) -> Sequence[str]:
    warnings = []
    if not answered.all():
        lost = int((~answered).sum())
        warnings.append(
            f"{lost} of {counted(len(answered), 'sample')} diverged and {'is' if lost == 1 else 'are'} left out: "
            f"the figures tell only about the others"
        )
    never = int(np.isnan(rows).sum())
    if never:
        warnings.append(
            f"{never} of {counted(len(rows), 'row')} {'was' if never == 1 else 'were'} left out by no sample and "
            f"{'is' if never == 1 else 'are'} not in the out-of-bag error; more samples would reach "
            f"{'it' if never == 1 else 'them'}"
        )
    apparent, oob = estimates["apparent"].value, estimates["oob"].value
    if rate >= OPTIMISTIC_OVERFITTING:
        warnings.append(
            f".632 is optimistic here: the model overfits (relative overfitting rate {rate:.2f} of 1), "
            f"so its error on its own rows says nothing; read .632+ or the out-of-bag error"
        )
    elif apparent < OPTIMISTIC_APPARENT * oob:
        warnings.append(
            f".632 is optimistic here: the fit on all rows has almost no error of its own ({four_digits(apparent)} "
            f"against {four_digits(oob)} out of bag), and .632+ mends little of it; read the out-of-bag error"
        )
    return warnings
