"""Do two tables come from the same distribution? A classifier is trained to tell their rows apart.

Every row is judged by a network that was not trained on it (cross-validation; the folds are one stack). Where the
tables differ in a way that such a network finds, rows of the second get the higher scores: the area under the ROC
curve, the probability that a row of the second is ranked above one of the first, is above 1/2. Its interval is DeLong's
(1988).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.backend import Backend
from dlrun.data.dataset import Dataset
from dlrun.errors import DataError
from dlrun.resampling.distributions import normal_quantile
from dlrun.resampling.intervals import Interval
from dlrun.resampling.run import ResamplingRun
from dlrun.resampling.splitters import k_fold
from dlrun.rng import generator
from dlrun.training.problem import Problem

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
FOLDS = 5
LARGEST = 5000  # rows taken of each table at most
SMALLEST = 10  # rows needed of each
CONFIDENCE = 0.99  # DeLong's variance takes the folds' scores for one model's, and is some 40 % too small for them


@dataclass(frozen=True)
class TwoSample:
    """Whether rows can be told apart: AUC with its interval, and the features whose means differ most.

    differ    whether the interval lies above 1/2
    features  (name, difference of the means in standard deviations of both together), the largest first
    """

    auc: float
    interval: Interval
    rows: tuple[int, int]
    features: tuple[tuple[str, float], ...]

    @property
    def differ(self) -> bool:
        return self.interval.low is not None and self.interval.low > 0.5


def two_sample(
    first: FloatArray,
    second: FloatArray,
    names: tuple[str, ...],
    backend: Backend,
    *,
    seed: int = 0,
    jobs: int | None = None,
) -> TwoSample:
    """Compare encoded features (n1, d) and (n2, d), which may hold NaN. Targets are not looked at.

    Raises `DataError` for fewer than 10 rows on either side.
    """
    if min(len(first), len(second)) < SMALLEST:
        raise DataError(
            f"a two-sample check of {len(first)} and {len(second)} rows: each side needs {SMALLEST} or more"
        )
    random = generator(seed, 0, "two-sample rows")
    parts = [
        part if len(part) <= LARGEST else part[np.sort(random.choice(len(part), LARGEST, replace=False))]
        for part in (first, second)
    ]
    features = np.concatenate(parts)
    origin = np.repeat([0, 1], [len(part) for part in parts])
    features[:, np.isnan(features).all(axis=0)] = 0  # says nothing, and has no mean to be filled with
    problem = Problem(_experiment(seed), _dataset(features, origin, names))
    run = ResamplingRun(problem, backend, k_fold(len(origin), folds=FOLDS, seed=seed, strata=origin), jobs=jobs)
    for _ in run:
        pass
    score = np.full(len(origin), 0.5)
    for division in run.divisions:
        score[division.tested] = np.nan_to_num(division.answers[:, 1], nan=0.5)
    auc, error = area_under_curve(score[origin == 0], score[origin == 1])
    half = normal_quantile((1 + CONFIDENCE) / 2) * error
    interval = Interval(max(0.0, auc - half), min(1.0, auc + half))
    return TwoSample(auc, interval, (len(parts[0]), len(parts[1])), _differences(parts, names))


def area_under_curve(negative: FloatArray, positive: FloatArray) -> tuple[float, float]:
    """AUC = P(positive > negative) + P(equal)/2 and its standard error after DeLong, from scores (m,) and (n,).

    With V10_j the share of negatives below positive j, V01_i that of positives above negative i:
    variance = var(V10)/n + var(V01)/m.
    """
    m, n = len(negative), len(positive)
    ordered = np.sort(negative)
    below = (np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")) / (2 * m)
    ordered = np.sort(positive)
    above = 1 - (np.searchsorted(ordered, negative, "left") + np.searchsorted(ordered, negative, "right")) / (2 * n)
    variance = float(below.var(ddof=1)) / n + float(above.var(ddof=1)) / m
    return float(below.mean()), float(np.sqrt(variance))


def _experiment(seed: int) -> Experiment:
    """A small network that finds shifts of single features as well as of several together, and is slow to overfit."""
    from dlrun.config.schema import Experiment

    return Experiment.model_validate(
        {
            "name": "two-sample",
            "seed": seed,
            "data": {"source": "two-sample", "missing": "mean"},
            "model": {"hidden": [16]},
            "optimizer": {"name": "adam", "learning_rate": 0.003},
            "regularization": {"l2": 1.0},
            "training": {"epochs": 30, "batch_size": 64},
        }
    )


def _dataset(features: FloatArray, origin: IntArray, names: tuple[str, ...]) -> Dataset:
    """The rows of both tables, with the table that they come from as their class."""
    n, d = features.shape
    return Dataset(
        name="two-sample",
        task="classification",
        features=features,
        feature_names=names,
        categorical=np.zeros(d, bool),
        target=origin,
        target_name="table",
        classes=("first", "second"),
        groups=None,
        rows=np.arange(n),
        hash=hashlib.sha256(features.tobytes()).hexdigest(),
        encoding=(),
    )


def _differences(parts: list[FloatArray], names: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """(mean of the second − mean of the first)/s for every feature, s from both together."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [np.nanmean(np.where(np.isfinite(part), part, np.nan), axis=0) for part in _filled(parts)]
        spread = np.nanstd(np.concatenate(_filled(parts)), axis=0)
    shift = np.divide(means[1] - means[0], spread, out=np.zeros(len(names)), where=spread > 0)
    order = np.argsort(-np.abs(shift))
    return tuple((names[i], float(shift[i])) for i in order)


def _filled(parts: list[FloatArray]) -> list[FloatArray]:
    """The parts with 0 in the columns that one of them lacks altogether, of which there is no mean."""
    empty = np.isnan(parts[0]).all(axis=0) | np.isnan(parts[1]).all(axis=0)
    return [np.where(empty, 0.0, part) for part in parts]
