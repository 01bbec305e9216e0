"""From folds to a trial, and from trials to what a search may claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlrun.records import Figures, ReplicaResult
from dlrun.resampling.intervals import t_interval
from dlrun.tuning.trials import Draw, Trial, best_of

Fold = tuple[ReplicaResult, Figures]


def trial_of(
    draw: Draw, folds: Sequence[Fold], *, search: int, planned: int, rungs: Sequence[tuple[int, float, float]] = ()
) -> Trial:
    """The trial whose folds ended like this: scored by the means of their errors and costs."""
    status, reason = _status(folds)
    scored = status in ("done", "pruned")
    return Trial(
        number=draw.number,
        values=draw.values,
        round=draw.round,
        search=search,
        status=status,
        score=float(np.mean([figures.error for _, figures in folds])) if scored else None,
        cost=_finite(float(np.mean([figures.cost for _, figures in folds]))) if scored else None,
        epochs=max(result.epochs for result, _ in folds),
        folds=tuple(figures.error for _, figures in folds),
        rungs=tuple(rungs),
        trained=sum(result.epochs for result, _ in folds),
        planned=planned,
        reason=reason,
    )


def failed(draw: Draw, reason: str, *, search: int) -> Trial:
    """A trial that could not be trained."""
    return Trial(
        number=draw.number, values=draw.values, round=draw.round, search=search, status="failed", reason=reason
    )


def _status(folds: Sequence[Fold]) -> tuple[str, str]:
    for status in ("diverged", "pruned"):
        for number, (result, _) in enumerate(folds, start=1):
            if result.status == status:
                where = f"fold {number} of {len(folds)}: " if len(folds) > 1 and status == "diverged" else ""
                return status, where + result.reason
    for number, (_, figures) in enumerate(folds, start=1):
        if not math.isfinite(figures.error):
            where = f"of fold {number} of {len(folds)} " if len(folds) > 1 else ""
            return "diverged", f"the error on the scoring rows {where}was {figures.error}"
    return "done", ""


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Optimism:
    """How much better than the truth the best score looks for having been chosen; `corrected` = score + bias."""

    bias: float
    corrected: float


def optimism_of(trials: Mapping[int, Trial]) -> Optimism | None:
    """Tibshirani and Tibshirani's estimate of the bias of a minimum over cross-validated errors.

        bias = 1/K Σ_k [e_k(best) − min_t e_k(t)]

    over folds k and the trials t that finished; e_k is the error on fold k. (A bias correction for the minimum error
    rate in cross-validation, Annals of Applied Statistics 2009.) None for a single division, or without a best.
    """
    best = best_of(trials.values())
    if best is None or best.score is None or len(best.folds) < 2:
        return None
    errors = np.array([trial.folds for trial in trials.values() if trial.done])  # (T, K)
    bias = float(np.mean(np.array(best.folds) - errors.min(axis=0)))
    return Optimism(bias, best.score + bias)


@dataclass(frozen=True)
class NestedError:
    """The error of tuned models on outer folds that their searches never saw.

    inner is the mean of the scores by which the winners were chosen: mean − inner is the optimism of such a score.
    """

    errors: tuple[float, ...]
    mean: float
    std: float | None
    ci_low: float | None
    ci_high: float | None
    pooled: float
    inner: float
    lost: int


def nested_error(
    winners: Sequence[Trial], inner: Sequence[float], rows: Sequence[int], *, task: str, confidence: float = 0.95
) -> NestedError | None:
    """From the winners' errors on their outer folds of `rows` rows; None where none of them gave an error.

    mean ± t·s/√k over the folds, cut at 0 and (for shares) at 1; pooled is the error over all rows.
    """
    kept = [place for place, winner in enumerate(winners) if winner.done and winner.score is not None]
    if not kept:
        return None
    errors = np.array([winners[place].score for place in kept], np.float64)
    n = np.array([rows[place] for place in kept])
    mean, k = float(errors.mean()), len(kept)
    std = float(errors.std(ddof=1)) if k > 1 else None
    interval = t_interval(mean, std / math.sqrt(k), k - 1, confidence) if std is not None else None
    low = high = None
    if interval is not None and interval.low is not None and interval.high is not None:
        low = max(0.0, interval.low)
        high = min(1.0, interval.high) if task == "classification" else interval.high
    pooled = float((n * errors).sum() / n.sum())
    if task == "regression":
        pooled = math.sqrt(float((n * errors**2).sum() / n.sum()))
    return NestedError(
        tuple(errors.tolist()),
        mean,
        std,
        low,
        high,
        pooled,
        float(np.mean([inner[place] for place in kept])),
        len(winners) - k,
    )
