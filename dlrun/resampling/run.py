"""Holdout, cross-validation and bootstrap of an experiment: every division is a replica, all trained together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dlrun.backend import Backend
from dlrun.data.splits import strata_of
from dlrun.nn.baselines import baseline_answers, fit_baseline
from dlrun.records import EpochRecord, Figures, ReplicaResult
from dlrun.resampling.inner_split import inner_split
from dlrun.resampling.resamples import Resample, Resamples, split_hash
from dlrun.training.problem import Problem
from dlrun.training.replica import Replica, Rows
from dlrun.training.run import answer_figures
from dlrun.training.stacking import Answered, StackedTraining, StackPlan, some_of

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Division:
    """One division after training: what was trained and tested on which rows, and how it went.

    tested   row numbers that were answered (cross-validation and holdout: the test part; bootstrap: all rows)
    answers  (m, C) probabilities, or values (m, 1); NaN where the replica diverged
    fitted   figures on the rows that it was trained on; None for a bootstrap, whose answers tell
    """

    number: int
    resample: Resample
    n_dev: int
    tested: Rows
    result: ReplicaResult
    answers: FloatArray
    figures: Figures
    fitted: Figures | None = None


@dataclass
class ResamplingRun:
    """Iterate for the records of training (none for baselines); then read `divisions`.

    everything   answer all rows, not the test part alone, and add division 0: the fit on all rows (bootstrap)
    """

    problem: Problem
    backend: Backend
    resamples: Resamples
    everything: bool = False
    jobs: int | None = None
    divisions: list[Division] = field(default_factory=list)

    @cached_property
    def listed(self) -> list[Resample]:
        """The divisions in order; with the fit on all rows before them where it is asked for."""
        n = len(self.problem.dataset)
        every = np.arange(n, dtype=np.int64)
        whole = [Resample(repeat=0, fold=0, train=every, test=every)] if self.everything else []
        return [*whole, *self.resamples]

    @cached_property
    def split_hash(self) -> str:
        """What two runs must have in common to be compared."""
        return split_hash(self.resamples)

    @cached_property
    def replicas(self) -> list[Replica]:
        """One replica per division. Early stopping takes its rows out of the training part."""
        return [self._replica(number, each) for number, each in enumerate(self.listed)]

    def _replica(self, number: int, resample: Resample) -> Replica:
        experiment, data = self.problem.experiment, self.problem.dataset
        if experiment.training.early_stopping is None:
            return self.problem.replica(resample.train, test=resample.test, number=number)
        shares = experiment.data.split
        fit, dev = inner_split(
            resample.train,
            share=shares.dev / (shares.train + shares.dev),
            seed=experiment.seed,
            replica=number,
            strata=self._own_strata(resample.train) if shares.stratify else None,
            groups=data.groups,
        )
        return self.problem.replica(fit, dev, resample.test, number=number)

    def _own_strata(self, train: Rows) -> npt.NDArray[np.int64]:
        """The strata (n,) of a training part: bins of a regression's target are those of its own rows."""
        data, own = self.problem.dataset, np.unique(train)
        strata = np.zeros(len(data), np.int64)
        strata[own] = strata_of(replace(data, target=data.target[own], rows=data.rows[own]))
        return strata

    @cached_property
    def training(self) -> StackedTraining:
        """The stacks; nothing is trained until the run is iterated over."""
        every = np.arange(len(self.problem.dataset), dtype=np.int64)
        rows = [every if self.everything else each.test for each in self.listed]
        return StackedTraining(
            self.problem, self.backend, self.replicas, rows, jobs=self.jobs, fitted=not self.everything
        )

    @property
    def plan(self) -> StackPlan:
        """How the replicas are divided into stacks."""
        return self.training.plan

    def __iter__(self) -> Iterator[list[EpochRecord]]:
        if self.problem.experiment.model.kind != "network":
            self.divisions = self._baseline_divisions(self.problem.experiment.model.kind)
            return
        yield from self.training
        self.divisions = [self._division(number, self.training.answered[number]) for number in range(len(self.listed))]

    def _division(self, number: int, answered: Answered) -> Division:
        replica = self.replicas[number]
        return Division(
            number,
            self.listed[number],
            len(replica.dev),
            np.asarray(self.training.rows[number]),
            answered.result,
            answered.answers,
            answered.figures,
            answered.fitted,
        )

    # -- baselines -----------------------------------------------------------------------------

    @property
    def baseline_kind(self) -> str:
        """What every model should beat: the majority class, or the mean."""
        return "majority" if self.problem.dataset.task == "classification" else "mean"

    def baseline_answers(self) -> Iterator[FloatArray]:
        """What the majority (or the mean) of each division's training part answers, (C,) or (1,)."""
        data = self.problem.dataset
        nothing = np.zeros((len(data), 0))
        for each in self.listed:
            fitted = fit_baseline(self.baseline_kind, nothing[each.train], data.target[each.train], len(data.classes))
            yield fitted["answer"]

    def baseline(self) -> list[Figures]:
        """The majority (or the mean) of each division's training part, judged on its test part."""
        data = self.problem.dataset
        found = []
        for each, answer in zip(self.listed, self.baseline_answers(), strict=True):
            if len(each.test) and each is not (self.listed[0] if self.everything else None):
                answers = np.broadcast_to(answer, (len(each.test), len(answer)))
                found.append(answer_figures(answers, data.target[each.test], data.task))
        return found

    def _baseline_divisions(self, kind: str) -> list[Division]:
        data = self.problem.dataset
        divisions = []
        nothing = np.zeros(0)
        for number, each in enumerate(self.listed):
            scaled = self.problem.baseline_features(kind, each.train)
            fitted = fit_baseline(kind, scaled[each.train], data.target[each.train], len(data.classes))
            tested = np.arange(len(data), dtype=np.int64) if self.everything else each.test
            answers = baseline_answers(kind, fitted, scaled[tested])
            figures = answer_figures(answers, data.target[tested], data.task)
            result = ReplicaResult(number, "done", 0, 0, 0, nothing, nothing)
            own = some_of(each.train)
            fit = (
                None
                if self.everything
                else answer_figures(baseline_answers(kind, fitted, scaled[own]), data.target[own], data.task)
            )
            divisions.append(Division(number, each, 0, tested, result, answers, figures, fit))
        return divisions


def predictions_of(division: Division, task: str) -> npt.NDArray[np.generic]:
    """The predicted class codes, −1 where there is no answer; or the predicted values."""
    answers = division.answers
    if task == "regression":
        return answers[:, 0]
    codes = answers.argmax(axis=1) if answers.shape[1] else np.zeros(len(answers), np.int64)
    return np.where(np.isnan(answers).any(axis=1), -1, codes)


def diverged(divisions: Sequence[Division]) -> dict[int, str]:
    """Which divisions diverged, and the reason."""
    return {d.number: d.result.reason for d in divisions if d.result.status == "diverged"}


def epochs_of(divisions: Sequence[Division]) -> Mapping[int, int]:
    """Epochs that each division was trained for."""
    return {d.number: d.result.epochs for d in divisions}
