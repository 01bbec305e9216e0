"""What a finished run says: the estimate of its error, the baseline's, and a row per division."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.data.splits import strata_of
from dlrun.resampling.bootstrap_estimates import (
    BootstrapEstimates,
    bootstrap_estimates,
    no_information,
    overfitting_rate,
)
from dlrun.resampling.estimates import ErrorEstimate, error_of, estimate_error, row_losses
from dlrun.resampling.intervals import FloatArray
from dlrun.resampling.resamples import drawn_counts
from dlrun.resampling.run import Division, ResamplingRun, predictions_of


@dataclass(frozen=True, eq=False)
class FoldFigures:
    """One fold of cross-validation, or one holdout: its error, that of the baseline, and the cost."""

    division: Division
    cost: float
    error: float
    baseline: float


def fold_figures(run: ResamplingRun) -> list[FoldFigures]:
    """The folds in order; NaN where one gave no finite answer."""
    pairs = zip(run.divisions, _losses(run), _baseline_losses(run), strict=True)
    task = run.problem.dataset.task
    return [
        FoldFigures(each, each.figures.cost, error_of(own, task=task), error_of(baseline, task=task))
        for each, own, baseline in pairs
    ]


def cross_validated(run: ResamplingRun, *, confidence: float) -> tuple[ErrorEstimate, ErrorEstimate]:
    """The estimate for the model, and for the baseline on the same folds. AnswerIsNoError if every fold diverged."""
    n_train = np.array([len(each.resample.train) for each in run.divisions])
    data = run.problem.dataset
    model, baseline = (
        estimate_error(
            losses,
            n_train=n_train,
            repeats=run.resamples.repeats,
            task=data.task,
            confidence=confidence,
            rows=[each.tested for each in run.divisions],
            groups=data.groups,
            overfitting=overfitting,
        )
        for losses, overfitting in ((_losses(run), overfitting_of(run)), (_baseline_losses(run), 0.0))
    )
    return model, baseline


def overfitting_of(run: ResamplingRun) -> float:
    """R of the folds that answered: how far their test error is from that on their training rows to γ.

    The majority and the mean do not fit their rows, and have none.
    """
    if run.problem.experiment.model.kind in ("majority", "mean"):
        return 0.0
    data, power = run.problem.dataset, 2 if run.problem.dataset.task == "regression" else 1
    pairs = zip(run.divisions, _losses(run), strict=True)
    good = [(each, losses) for each, losses in pairs if len(losses) and np.isfinite(losses).all()]
    fitted = [each.fitted.error**power for each, _ in good if each.fitted is not None]
    if not fitted or not np.isfinite(fitted).all():
        return 0.0
    target = np.concatenate([data.target[each.tested] for each, _ in good])
    predicted = np.concatenate([predictions_of(each, data.task) for each, _ in good])
    gamma = no_information(target, predicted, np.ones(len(target)), task=data.task)
    tested = np.concatenate([losses for _, losses in good]).mean()
    return float(overfitting_rate(np.array(np.mean(fitted)), np.array(tested), np.array(gamma)))


def bootstrapped(
    run: ResamplingRun, *, confidence: float, stratified: bool
) -> tuple[BootstrapEstimates, BootstrapEstimates]:
    """The estimates for the model, and for the baseline on the same samples. AnswerIsNoError if nothing answered."""
    data = run.problem.dataset
    counts = drawn_counts(run.resamples)
    own = np.array([predictions_of(each, data.task) for each in run.divisions])
    simple = np.array([_value(answer, data.task) for answer in run.baseline_answers()])
    model, baseline = (
        bootstrap_estimates(
            data.target,
            predictions,
            counts,
            task=run.problem.dataset.task,
            confidence=confidence,
            strata=strata_of(data) if stratified else None,
            groups=data.groups,
        )
        for predictions in (own, np.broadcast_to(simple[:, None], own.shape))
    )
    return model, baseline


def endings(divisions: list[Division]) -> dict[str, Any]:
    """How many divisions ended how, and after how many epochs."""
    counted = Counter(each.result.status for each in divisions)
    epochs = [each.result.epochs for each in divisions]
    return {"statuses": dict(sorted(counted.items())), "epochs": {"least": min(epochs), "most": max(epochs)}}


def _losses(run: ResamplingRun) -> list[FloatArray]:
    data = run.problem.dataset
    task = data.task
    return [row_losses(data.target[each.tested], predictions_of(each, task), task=task) for each in run.divisions]


def _baseline_losses(run: ResamplingRun) -> list[FloatArray]:
    data = run.problem.dataset
    task = data.task
    return [
        row_losses(data.target[each.tested], np.full(len(each.tested), _value(answer, task)), task=task)
        for each, answer in zip(run.divisions, run.baseline_answers(), strict=True)
    ]


def _value(answer: npt.NDArray[np.float64], task: str) -> Any:
    """The class code, or the number, that this answer is for every row."""
    return answer[0] if task == "regression" else answer.argmax()
