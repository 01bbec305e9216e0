"""`dlrun train` as a library call: split, train one replica, evaluate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Backend
from dlrun.data.preprocessing import Preprocessing
from dlrun.data.scaling import Scaling
from dlrun.data.splits import Split, split_rows, strata_of
from dlrun.errors import ConfigError
from dlrun.nn.baselines import baseline_answers, fit_baseline
from dlrun.nn.description import describe
from dlrun.records import EpochRecord, Figures, ReplicaResult
from dlrun.training.evaluation import Evaluator
from dlrun.training.loop import Training
from dlrun.training.model import TrainedModel
from dlrun.training.problem import Problem
from dlrun.training.rows import Normalization
from dlrun.training.snapshot import restore
from dlrun.training.stack import Stack

FloatArray = npt.NDArray[np.float64]
PARTS = ("train", "dev", "test")
_ROWS_AT_A_TIME = 1 << 18


@dataclass(frozen=True)
class Outcome:
    """What a training led to. `model` is None where it diverged; figures are those of the weights kept."""

    model: TrainedModel | None
    result: ReplicaResult
    figures: Mapping[str, Figures]
    baseline: Mapping[str, Figures]


class TrainRun:
    """One replica trained on the experiment's split. Iterate for the records, then read `outcome`."""

    def __init__(
        self,
        problem: Problem,
        backend: Backend,
        *,
        start: TrainedModel | None = None,
        threads: Executor | None = None,
        record_steps: bool = False,
    ) -> None:
        self.problem, self._backend, self._record_steps = problem, backend, record_steps
        data, options = problem.dataset, problem.experiment.data
        self.split: Split = split_rows(
            len(data),
            options.split,
            seed=problem.experiment.seed,
            strata=strata_of(data) if options.split.stratify else None,
            groups=data.groups,
        )
        replica = problem.replica(self.split.train, self.split.dev, self.split.test)
        self.stack: Stack | None = None
        self.parameters = 0
        if problem.experiment.model.kind == "network":
            theta, statistics, tensors = _warm_start(problem, start)
            self.stack = problem.stack(
                backend, [replica], theta=theta, statistics=statistics, tensors=tensors, threads=threads
            )
            self.parameters = self.stack.net.parameters
        self.training: Training | None = None  # between two records it may be snapshotted
        self.outcome: Outcome | None = None

    def resume(self, tensors: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Go on from a snapshot of the same experiment; call it before iterating."""
        restore(self._prepared(), tensors, values)

    def _prepared(self) -> Training:
        if self.training is None:
            assert self.stack is not None
            options = self.problem.experiment.training
            self.training = Training(
                self.stack,
                early_stopping=options.early_stopping,
                settle=options.stop_when_cost_changes_by,
                record_steps=self._record_steps,
            )
        return self.training

    def __iter__(self) -> Iterator[EpochRecord]:
        if self.stack is None:
            self.outcome = self._fit_baseline(self.problem.experiment.model.kind)
            return
        run = self._prepared()
        for records in run:
            yield from records
        self.outcome = self._finish(run.results[0])

    def _finish(self, result: ReplicaResult) -> Outcome:
        assert self.stack is not None
        stack = self.stack
        baseline = self._baseline_figures()
        if result.status == "diverged":
            return Outcome(None, result, {}, baseline)
        stack.backend.xp.copyto(stack.theta, stack.backend.to_device(result.theta[None], stack.theta.dtype))
        if result.statistics.size:
            rows = stack.backend.to_device(result.statistics[None], stack.theta.dtype)
            stack.backend.xp.copyto(stack.statistics, rows)
        evaluator = Evaluator(stack)
        figures = {
            part: evaluator.figures([getattr(self.split, part)], penalty=part == "train")[0]
            for part in PARTS
            if len(getattr(self.split, part))
        }
        n = stack.normalization
        model = TrainedModel(
            kind="network",
            preprocessing=self._preprocessing(n),
            net=stack.net,
            theta=result.theta,
            statistics=result.statistics,
            tensors=result.tensors,
            y_shift=n.y_shift[0],
            y_scale=n.y_scale[0],
        )
        return Outcome(model, result, figures, baseline)

    def _preprocessing(self, n: Normalization) -> Preprocessing:
        scaling = Scaling(n.fill[0], n.shift[0], n.scale[0])
        return Preprocessing.of(self.problem.dataset, scaling, missing=self.problem.experiment.data.missing)

    # -- baselines -----------------------------------------------------------------------------

    def _baseline_figures(self) -> dict[str, Figures]:
        kind = "majority" if self.problem.dataset.task == "classification" else "mean"
        return self._figures_of(kind)[1]

    def _fit_baseline(self, kind: str) -> Outcome:
        fitted, figures = self._figures_of(kind)
        model = TrainedModel(
            kind=kind,
            preprocessing=self._preprocessing(self.problem.normalization([self.split.train])),
            baseline=fitted,
        )
        nothing = np.zeros(0)
        result = ReplicaResult(0, "done", 0, 0, 0, nothing, nothing)
        return Outcome(model, result, figures, self._baseline_figures())

    def _figures_of(self, kind: str) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, Figures]]:
        data, rows = self.problem.dataset, self.split.train
        features = self.problem.baseline_features(kind, rows)
        fitted = fit_baseline(kind, features[rows], data.target[rows], len(data.classes))
        figures = {}
        for part in PARTS:
            chosen = getattr(self.split, part)
            if len(chosen):
                answers = baseline_answers(kind, fitted, features[chosen])
                figures[part] = answer_figures(answers, data.target[chosen], data.task)
        return fitted, figures


def answer_figures(answers: FloatArray, target: npt.NDArray[np.generic], task: str) -> Figures:
    """Figures of answers (m, C) in evaluation units: mean −ln p of the true class, or the mean squared error."""
    m = len(target)
    cost = wrong = 0.0
    for start in range(0, m, _ROWS_AT_A_TIME):
        part, rows = answers[start : start + _ROWS_AT_A_TIME], target[start : start + _ROWS_AT_A_TIME]
        if task == "regression":
            cost += float(((part[:, 0] - np.asarray(rows, np.float64)) ** 2).sum())
            continue
        codes = np.asarray(rows, np.int64)
        with np.errstate(divide="ignore"):
            cost -= float(np.log(part[np.arange(len(codes)), codes]).sum())
        wrong += float(((part.argmax(axis=1) != codes) | np.isnan(part).any(axis=1)).sum())
    cost, wrong = (cost / m, wrong / m) if m else (float("nan"), float("nan"))
    if task == "regression":
        return Figures(m, cost, float(np.sqrt(cost)))
    return Figures(m, cost, wrong)


def _warm_start(
    problem: Problem, start: TrainedModel | None
) -> tuple[FloatArray | None, FloatArray | None, dict[str, FloatArray] | None]:
    """θ, running averages and map of the run named by training.init_from, if its network is the same."""
    if start is None:
        return None, None, None
    replica = problem.replica(np.arange(len(problem.dataset), dtype=np.int64))
    net = problem.architecture([replica])
    same = (
        start.net is not None
        and (start.net.slots, start.net.statistics) == (net.slots, net.statistics)
        and describe(start.net).get("layers") == describe(net).get("layers")
        and describe(start.net).get("feature_map") == describe(net).get("feature_map")
    )
    if not same or start.theta is None or start.statistics is None:
        found = "x".join(map(str, start.net.widths)) if start.net else start.kind
        wanted = "x".join(map(str, net.widths))
        raise ConfigError(
            f"training.init_from = {problem.experiment.training.init_from!r}: that model is {found}, "
            f"this one {wanted}; both must have the same layers and feature map"
        )
    tensors = {name: value[None] for name, value in start.tensors.items()} if start.tensors else None
    return (
        np.asarray(start.theta, np.float64)[None],
        np.asarray(start.statistics, np.float64)[None],
        tensors,
    )
