"""Trials as replicas: which of them may share a stack, and stacks as units of work.

Replicas of one stack differ in what `PER_REPLICA` names, and in their epochs: who is done first leaves. Everything
else (shapes, activation, loss, data type, optimizer, batch size, data) is alike within a stack, so that trials are
grouped by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.backend import Backend
from dlrun.records import Figures, ReplicaResult
from dlrun.training.loop import Training
from dlrun.training.memory_check import replica_bytes
from dlrun.training.problem import Problem
from dlrun.training.replica import Replica, Rows
from dlrun.training.rows import RowStore
from dlrun.training.stacking import StackedTraining, StackPlan, divide
from dlrun.training.step_cost import TrainingCost

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment

PER_REPLICA = (
    ("optimizer", ("learning_rate", "beta1", "beta2", "epsilon", "weight_decay", "warmup_steps", "decay")),
    ("regularization", ("l1", "l2")),
    ("model", ("keep_prob", "initialization", "scale")),
    ("training", ("epochs",)),
)
Ended = tuple[ReplicaResult, Figures]
MOST_REPLICAS = 64  # larger stacks are no faster (measured), and a kill would lose more


@dataclass
class Task:
    """One trial to train: its problem, and its replicas (one per fold) with the rows that score each.

    `owner` is how the search knows it; `ended` fills up with how each fold ended, and its figures.
    """

    owner: tuple[int, int]
    problem: Problem
    replicas: Sequence[tuple[Replica, Rows]]
    ended: dict[int, Ended] = field(default_factory=dict)
    failure: str = ""

    @property
    def complete(self) -> bool:
        return bool(self.failure) or len(self.ended) == len(self.replicas)

    @property
    def planned(self) -> int:
        """Epochs over all folds, as the experiment has them."""
        return sum(replica.epochs for replica, _ in self.replicas)


def stack_key(experiment: Experiment) -> str:
    """What trials of one stack have in common, as text."""
    document = experiment.model_dump(mode="json", exclude={"name", "tune"})
    for table, keys in PER_REPLICA:
        for key in keys:
            document[table].pop(key, None)
    return json.dumps(document, sort_keys=True)


class Unit:
    """Replicas of one stack, which is advanced epoch by epoch; `replicas` and `trainings` are those under way."""

    def __init__(self, members: Sequence[tuple[Task, int]], backend: Backend, shared: Callable[[], RowStore]) -> None:
        self.members = list(members)
        self.problem = members[0][0].problem
        self._backend, self._shared = backend, shared
        self._stacked: StackedTraining | None = None
        self._records: Iterator[Any] | None = None
        self._until: int | None = None
        self.replicas: list[Replica] = []
        self.trainings: list[Training] = []
        self.epoch = 0
        self.finished = False
        self._passed = 0.0

    @property
    def tasks(self) -> list[Task]:
        """The trials that have replicas here."""
        return list({id(task): task for task, _ in self.members}.values())

    @property
    def trials(self) -> float:
        """How many trials this is, a fold counting as its part of one."""
        return sum(1 / len(task.replicas) for task, _ in self.members)

    @property
    def planned(self) -> int:
        """Epochs over all replicas."""
        return sum(task.replicas[fold][0].epochs for task, fold in self.members)

    @property
    def seconds(self) -> float:
        """How long it is expected to take on one core."""
        return _cost(self.problem, [(task.replicas[fold]) for task, fold in self.members]).seconds(len(self.members))

    @property
    def out_of_memory(self) -> tuple[type[BaseException], ...]:
        """The exceptions that say that the stack does not fit the device."""
        return self._backend.out_of_memory

    def _note_training(self, training: Training) -> None:
        if self.trainings and self._until is not None:  # the halves of a stack cannot wait for others at an epoch
            raise MemoryError
        self.trainings.append(training)

    def advance(self, until: int | None) -> Iterator[int]:
        """Train up to and with epoch `until` (None: to the end). Yields how many replicas each epoch trained."""
        self._until = until
        if self._records is None:
            self._records = iter(self._begin())
        while not self.finished and (until is None or self.epoch < until):
            records = next(self._records, None)
            if records is None:
                assert self._stacked is not None
                answered = [self._stacked.answered[place] for place in range(len(self.members))]
                self.finish([(_without_weights(each.result), each.figures) for each in answered])
                return
            self.epoch = records[0].epoch
            yield len(records)

    def pass_share(self, epochs: int | None, *, undo: bool = False) -> float:
        """The share of trials that so many epochs of replicas are; None: what is left, or with `undo` taken back."""
        share = self.trials - self._passed if epochs is None else self.trials * epochs / max(self.planned, 1)
        if undo:
            share = -self._passed
        self._passed += share
        return share

    def prune(self, reasons: Mapping[tuple[int, int], str]) -> None:
        """Let the replicas of these trials leave the stack between two epochs."""
        if self.finished:
            return
        for reason in set(reasons.values()):
            numbers = {n for n, (task, _) in enumerate(self.members) if reasons.get(task.owner) == reason}
            self.trainings[-1].prune(numbers, reason=reason)

    def result(self, number: int, task: Task, fold: int) -> ReplicaResult:
        """How a replica ended that has left its stack."""
        return task.ended[fold][0] if self.finished else self.trainings[-1].results[number]

    def _begin(self) -> StackedTraining:
        """The stack. A replica's number is its place in the unit; its random streams are those of its fold."""
        self.replicas = [
            replace(task.replicas[fold][0], number=place, draws=task.replicas[fold][0].stream)
            for place, (task, fold) in enumerate(self.members)
        ]
        rows = [task.replicas[fold][1] for task, fold in self.members]
        self._stacked = StackedTraining(
            self.problem,
            self._backend,
            self.replicas,
            rows,
            jobs=1,
            shared=self._shared(),
            began=self._note_training,
        )
        whole = np.arange(len(self.replicas), dtype=np.int64)
        self._stacked.plan = StackPlan((whole,), self._stacked.plan.replica_bytes, 1)
        return self._stacked

    def ended(self) -> list[Ended]:
        """How the replicas of a finished unit ended, in the order of its members."""
        return [task.ended[fold] for task, fold in self.members]

    def finish(self, ended: Sequence[Ended]) -> None:
        """Note how all replicas ended; the stack is not needed any more."""
        for (task, fold), each in zip(self.members, ended, strict=True):
            task.ended.setdefault(fold, each)
        self.finished = True
        self._stacked = self._records = None
        self.trainings = []


def _without_weights(result: ReplicaResult) -> ReplicaResult:
    """A result that is small to keep and to send."""
    nothing = np.zeros(0)
    return replace(result, theta=nothing, statistics=nothing, tensors={})


def _cost(problem: Problem, replicas: Sequence[tuple[Replica, Rows]]) -> TrainingCost:
    """What training these in one stack takes."""
    alone, rows = [replica for replica, _ in replicas], [each for _, each in replicas]
    settings = problem.settings()
    return TrainingCost.of(problem.architecture(alone), settings.optimizer, _batch_rows(problem, alone), alone, rows)


def _batch_rows(problem: Problem, replicas: Sequence[Replica]) -> int:
    longest = max(len(replica.train) for replica in replicas)
    size = problem.settings().batch_size
    return longest if size is None else min(size, longest)


def make_units(
    tasks: Sequence[Task], backend: Backend, shared: Callable[[Problem], RowStore], *, jobs: int
) -> list[Unit]:
    """The tasks as units of work, the longest first.

    All folds of a trial stay in one stack where they fit, and trials of one stack have folds of the same sizes: how
    rows are padded, hence a trial's last digits, then does not depend on who is in the stack with it.
    """
    groups: dict[tuple[str, int, tuple[int, ...]], list[Task]] = {}
    for task in tasks:
        sizes = tuple(len(replica.train) for replica, _ in task.replicas)
        key = (stack_key(task.problem.experiment), id(task.problem.dataset), sizes)
        groups.setdefault(key, []).append(task)
    jobs_each = -(-jobs // len(groups)) if groups else 1
    units = [
        Unit(members, backend, lambda problem=group[0].problem: shared(problem))  # type: ignore[misc]
        for group in groups.values()
        for members in _divided(group, backend, jobs_each)
    ]
    return sorted(units, key=lambda unit: -unit.seconds)


def _divided(group: Sequence[Task], backend: Backend, jobs: int) -> Iterator[list[tuple[Task, int]]]:
    problem, folds = group[0].problem, len(group[0].replicas)
    replicas = [each for task in group for each in task.replicas]
    alone = [replica for replica, _ in replicas]
    one = replica_bytes(problem.architecture(alone), problem.settings().optimizer, _batch_rows(problem, alone))
    cost = _cost(problem, replicas)
    places = divide(len(group), one * folds, backend, jobs, seconds=lambda trials: cost.seconds(trials * folds)).groups
    most = max(1, MOST_REPLICAS // folds)
    for each in places:
        for part in np.array_split(each, -(-len(each) // most)):
            members = [(group[place], fold) for place in part for fold in range(folds)]
            if len(part) > 1 or folds == 1:
                yield members
            else:  # a trial by itself may be larger than a stack should be
                yield from ([members[fold] for fold in some] for some in divide(folds, one, backend, 1).groups)
