"""On which rows a trial is trained, and on which it is scored. The test part of the experiment is in neither."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np

from dlrun.backend import Backend
from dlrun.data.splits import split_rows, strata_of
from dlrun.records import Figures
from dlrun.resampling.resamples import Resample, Resamples
from dlrun.resampling.run import ResamplingRun
from dlrun.resampling.splitters import holdout, k_fold
from dlrun.training.problem import Problem
from dlrun.training.replica import Replica, Rows

WINNER = -1  # Trial.search of the winners of outer folds


@dataclass
class Scoring:
    """How the trials of one search are scored.

    folds        cross-validation with so many folds; None is holdout
    outer        0: the search itself, on the experiment's train and dev rows; i ≥ 1: a search inside outer fold i, on
                 the rows that this fold trains on
    outer_folds  how many outer folds all rows are dealt into, where there are any

    Holdout trains on the train part and scores on the dev part, which early stopping watches too, as in `dlrun train`.
    A search inside an outer fold has no such parts, and holds out the dev part's share. Cross-validation deals the
    folds among train and dev rows together, and early stopping takes its rows out of each fold's training rows, as in
    `dlrun crossval`. Everything follows from the experiment's seed.
    """

    folds: int | None = None
    outer: int = 0
    outer_folds: int = 0
    _known: dict[tuple[int, str], Resamples] = field(default_factory=dict, repr=False)
    _parts: dict[tuple[int, str], list[tuple[Rows, Rows, Rows]]] = field(default_factory=dict, repr=False)

    def resamples(self, problem: Problem) -> Resamples:
        """The divisions into training and scoring rows; made once for experiments that divide alike."""
        key = self._key(problem)
        if key not in self._known:
            self._known[key] = self._divide(problem)
        return self._known[key]

    @staticmethod
    def _key(problem: Problem, *more: object) -> tuple[int, str]:
        e = problem.experiment
        return id(problem.dataset), json.dumps([e.seed, e.data.split.document(), *more])

    def replicas(self, problem: Problem, backend: Backend) -> list[tuple[Replica, Rows]]:
        """A trial's replicas, each with the rows that score it. They are numbered by fold.

        Trials share the arrays of row numbers, and with them what is computed from these alone.
        """
        key = self._key(problem, problem.experiment.training.early_stopping is not None)
        if key not in self._parts:
            self._parts[key] = self._parts_of(problem, backend)
        return [
            (problem.replica(train, dev, number=number), scored)
            for number, (train, dev, scored) in enumerate(self._parts[key])
        ]

    def _parts_of(self, problem: Problem, backend: Backend) -> list[tuple[Rows, Rows, Rows]]:
        """For each division its rows to fit on, to watch, and to score on."""
        resamples = self.resamples(problem)
        if self.folds is None and problem.experiment.training.early_stopping is not None:
            return [(each.train, each.test, each.test) for each in resamples]
        run = ResamplingRun(problem, backend, resamples)
        return [(r.train, r.dev, np.asarray(each.test)) for r, each in zip(run.replicas, run.listed, strict=True)]

    def baseline(self, problem: Problem, backend: Backend) -> list[Figures]:
        """The majority (or the mean) of each division's training rows, judged on its scoring rows."""
        return ResamplingRun(problem, backend, self.resamples(problem)).baseline()

    def _divide(self, problem: Problem) -> Resamples:
        data, e = problem.dataset, problem.experiment
        strata = strata_of(data) if e.data.split.stratify else None
        if self.outer:
            outer = outer_resamples(problem, self.outer_folds)[self.outer - 1]
            if self.folds is None:
                share = e.data.split.dev / (e.data.split.train + e.data.split.dev)
                inner = holdout(
                    len(outer.train), test_size=share, seed=e.seed, strata=_at(strata, outer.train),
                    groups=_at(data.groups, outer.train),
                )  # fmt: skip
                return _within(inner, outer.train)
            pool = outer.train
        else:
            split = split_rows(len(data), e.data.split, seed=e.seed, strata=strata, groups=data.groups)
            if self.folds is None:
                return single(Resample(repeat=0, fold=0, train=split.train, test=split.dev), len(data))
            pool = np.sort(np.concatenate([split.train, split.dev]))
        inner = k_fold(
            len(pool),
            folds=self.folds,
            seed=e.seed,
            strata=_at(strata, pool),
            groups=_at(data.groups, pool),
            names=data.classes or None,
        )
        return _within(inner, pool)


@dataclass
class OuterScoring(Scoring):
    """How the winner of the search inside outer fold `outer` is judged: trained on all its rows, scored on the fold."""

    def _divide(self, problem: Problem) -> Resamples:
        return single(outer_resamples(problem, self.outer_folds)[self.outer - 1], len(problem.dataset))

    def _parts_of(self, problem: Problem, backend: Backend) -> list[tuple[Rows, Rows, Rows]]:
        run = ResamplingRun(problem, backend, self.resamples(problem))
        replica = run.replicas[0]
        return [(replica.train, replica.dev, np.asarray(run.listed[0].test))]


def outer_resamples(problem: Problem, folds: int) -> Resamples:
    """The outer folds: all rows dealt as `dlrun crossval` deals them."""
    data, e = problem.dataset, problem.experiment
    strata = strata_of(data) if e.data.split.stratify else None
    return k_fold(len(data), folds=folds, seed=e.seed, strata=strata, groups=data.groups, names=data.classes or None)


def single(resample: Resample, rows: int) -> Resamples:
    """One division as a scheme of its own."""
    return Resamples(scheme="holdout", rows=rows, repeats=1, count=1, warnings=(), make=lambda _: resample)


def _within(inner: Resamples, rows: Rows) -> Resamples:
    """A scheme over 0 … m−1 as one over these rows."""

    def make(index: int) -> Resample:
        each = inner[index]
        return Resample(repeat=each.repeat, fold=each.fold, train=rows[each.train], test=rows[each.test])

    made = [make(index) for index in range(len(inner))]
    return Resamples(
        scheme=inner.scheme,
        rows=inner.rows,
        repeats=inner.repeats,
        count=inner.count,
        warnings=inner.warnings,
        make=made.__getitem__,
    )


def _at(codes: Rows | None, rows: Rows) -> Rows | None:
    return None if codes is None else codes[rows]
