"""Error against the number of training rows: all sizes, each repeated, trained as one stack.

Within a repeat the smaller sets of rows lie inside the larger ones, and every class keeps its share, so that sizes
differ by rows added and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from dlrun.backend import Backend
from dlrun.data.splits import Split, strata_of
from dlrun.errors import ConfigError
from dlrun.records import EpochRecord
from dlrun.resampling.intervals import Interval, t_interval
from dlrun.rng import generator
from dlrun.training.problem import Problem
from dlrun.training.run import answer_figures
from dlrun.training.stacking import StackedTraining

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SIZES = 8
SMALLEST = 0.05  # of the training rows
REPEATS = 5


@dataclass(frozen=True)
class CurvePoint:
    """One model: trained on so many rows, with its errors on them and on the dev rows; NaN where it diverged."""

    rows: int
    repeat: int
    train_error: float
    dev_error: float
    status: str


@dataclass(frozen=True)
class SizeSummary:
    """All repeats at one size: means and standard deviations."""

    rows: int
    train_error: float
    train_deviation: float
    dev_error: float
    dev_deviation: float


@dataclass(frozen=True)
class LearningCurve:
    """The points, by size and repeat; `judged_on` names the part that stands for new rows."""

    points: tuple[CurvePoint, ...]
    judged_on: str

    @property
    def sizes(self) -> list[SizeSummary]:
        """One summary per size; models that diverged are left out of it."""
        found = []
        for rows in sorted({point.rows for point in self.points}):
            errors = np.array([(p.train_error, p.dev_error) for p in self.points if p.rows == rows])
            errors = errors[np.isfinite(errors).all(axis=1)]
            means = errors.mean(axis=0) if len(errors) else np.full(2, np.nan)
            spreads = errors.std(axis=0, ddof=1) if len(errors) > 1 else np.full(2, np.nan)
            found.append(SizeSummary(rows, float(means[0]), float(spreads[0]), float(means[1]), float(spreads[1])))
        return found

    def gain(self) -> tuple[int, float, Interval] | None:
        """From about half of the rows to all: the fall of the dev error, paired by repeat, with its t interval.

        Returns the smaller size, the mean fall and the interval; None with fewer than two repeats at both.
        """
        sizes = [each.rows for each in self.sizes]
        if len(sizes) < 2:
            return None
        half = min(sizes[:-1], key=lambda rows: abs(rows - sizes[-1] / 2))
        errors = {(p.rows, p.repeat): p.dev_error for p in self.points}
        repeats = {p.repeat for p in self.points}
        falls = np.array([errors[half, r] - errors[sizes[-1], r] for r in sorted(repeats)])
        falls = falls[np.isfinite(falls)]
        if len(falls) < 2:
            return None
        mean, error = float(falls.mean()), float(falls.std(ddof=1)) / sqrt(len(falls))
        return half, mean, t_interval(mean, error, len(falls) - 1, 0.95)


def curve_sizes(n: int, *, count: int = SIZES, smallest: int = 2) -> list[int]:
    """Sizes from 5 % of n (no fewer than `smallest`) to n, evenly in their logarithm."""
    low = min(max(round(SMALLEST * n), smallest), n)
    return [int(size) for size in np.unique(np.round(np.geomspace(low, n, count)).astype(int))]


def learning_curve(
    problem: Problem,
    backend: Backend,
    split: Split,
    *,
    sizes: Sequence[int] | None = None,
    repeats: int = REPEATS,
    jobs: int | None = None,
    advance: Callable[[Sequence[EpochRecord]], object] = lambda records: None,
) -> LearningCurve:
    """Train the experiment on growing parts of its training rows, and judge each model on the dev (or test) rows.

    Early stopping watches the dev rows, as in the run itself. Raises `ConfigError` where there are no rows to judge by.
    """
    part = "dev" if len(split.dev) else "test"
    judged = split.dev if len(split.dev) else split.test
    if not len(judged):
        raise ConfigError("data.split has neither dev nor test rows: a learning curve has nothing to be judged by")
    if problem.experiment.model.kind != "network":
        raise ConfigError(f'model.kind = "{problem.experiment.model.kind}" has no learning curve; should be "network"')
    classes = len(problem.dataset.classes)
    chosen = list(sizes) if sizes is not None else curve_sizes(len(split.train), smallest=max(2 * classes, 4))
    strata = strata_of(problem.dataset)[split.train]
    orders = [nested_order(strata, seed=problem.experiment.seed, repeat=repeat) for repeat in range(repeats)]
    stopping = problem.experiment.training.early_stopping is not None
    replicas, rows = [], []
    for number, (size, repeat) in enumerate((size, repeat) for size in chosen for repeat in range(repeats)):
        train = np.sort(split.train[orders[repeat][:size]])
        replicas.append(problem.replica(train, judged if stopping else None, number=number))
        rows.append(np.concatenate([train, judged]))
    training = StackedTraining(problem, backend, replicas, rows, jobs=jobs)
    for records in training:
        advance(records)
    points = []
    for number, replica in enumerate(replicas):
        answered = training.answered[number]
        n, target, task = len(replica.train), problem.dataset.target[rows[number]], problem.dataset.task
        train_error, dev_error = float("nan"), float("nan")
        if answered.result.status != "diverged":
            train_error = answer_figures(answered.answers[:n], target[:n], task).error
            dev_error = answer_figures(answered.answers[n:], target[n:], task).error
        points.append(CurvePoint(n, number % repeats, train_error, dev_error, answered.result.status))
    return LearningCurve(tuple(points), part)


def nested_order(strata: IntArray, *, seed: int, repeat: int) -> IntArray:
    """An order of rows (n,) of which every beginning holds the strata in their shares, as nearly as it can.

    The k-th of a stratum's m rows, in random order, comes at place (k + u)/m, u uniform in [0, 1).
    """
    random = generator(seed, repeat, "learning curve")
    place = np.empty(len(strata))
    for code in np.unique(strata):
        members = random.permutation(np.flatnonzero(strata == code))
        place[members] = (np.arange(len(members)) + random.random(len(members))) / len(members)
    return np.argsort(place, kind="stable")
