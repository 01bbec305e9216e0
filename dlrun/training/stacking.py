"""Any number of replicas trained in stacks: how large a stack is, and several stacks at a time.

A stack's size follows from what its step touches again and again: parameters, gradient, optimizer state and the
activations of one batch. On a CPU a stack should stay within the cache's reach, on a GPU within memory. How replicas
are divided changes none of their results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dlrun.backend import Backend
from dlrun.records import EpochRecord, Figures, ReplicaResult
from dlrun.training.evaluation import Evaluator
from dlrun.training.loop import Training
from dlrun.training.memory_check import replica_bytes
from dlrun.training.problem import Problem
from dlrun.training.replica import Replica, Rows
from dlrun.training.rows import COPY_BYTES, RowStore
from dlrun.training.snapshot import restore, snapshot
from dlrun.training.step_cost import TrainingCost
from dlrun.training.threads import usable_cores
from dlrun.training.workers import can_fork, side_by_side

FloatArray = npt.NDArray[np.float64]
Seconds = Callable[[int], float]
CPU_STACK_BYTES = 4 << 20  # beyond this a step's arrays leave the cache (measured: docs/crossval.md)
FITTED_ROWS = 2000
GPU_MEMORY_SHARE = 0.5
FORK_SECONDS = 0.03  # to start processes, and to bring back what they found


@dataclass(frozen=True)
class StackPlan:
    """How replicas are divided: the place of each stack's replicas in the list, what a replica takes, processes."""

    groups: tuple[npt.NDArray[np.int64], ...]
    replica_bytes: int
    jobs: int


def divide(
    total: int, per_replica: int, backend: Backend, jobs: int | None = None, *, seconds: Seconds | None = None
) -> StackPlan:
    """Stacks of equal size, no larger than the cache (or the device's memory) allows, and how many at a time.

    `seconds(R)` is the expected time of the training of a stack of R on one core. It decides whether more and
    smaller stacks on several cores pay: half a small stack takes far more than half its time, and processes must be
    started. Left out, there are as many stacks as jobs wherever stacks fill a quarter of the cache.
    """
    cores = jobs or usable_cores()
    if backend.name == "cpu":
        room, workers = CPU_STACK_BYTES, min(cores, total)
    else:
        room, workers = int(backend.free_memory() * GPU_MEMORY_SHARE), 1
    largest = max(1, room // per_replica)
    stacks = -(-total // largest)
    if workers > 1:
        more = min(-(-stacks // workers) * workers, total)
        if seconds is None:
            pays = total * per_replica >= room // 4
        else:
            together = -(-more // workers) * seconds(-(-total // more)) + FORK_SECONDS
            pays = can_fork() and together < 0.9 * stacks * seconds(-(-total // stacks))
        stacks, workers = (more, workers) if pays else (stacks, 1)
    groups = np.array_split(np.arange(total), min(stacks, total))
    return StackPlan(tuple(groups), per_replica, max(1, min(workers, len(groups))))


@dataclass(frozen=True)
class Answered:
    """A replica after its training: how it ended, and its answers and figures on the rows asked for.

    answers  (m, C) probabilities or values; NaN throughout where the replica diverged
    fitted   its figures on the rows that it was trained on, where they are asked for
    """

    result: ReplicaResult
    answers: FloatArray
    figures: Figures
    fitted: Figures | None = None


class Kept(Protocol):
    """Snapshots of one stack."""

    @property
    def due(self) -> bool:
        """Whether the last one is old enough."""

    def save(self, tensors: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Keep this one."""


class Keeper(Protocol):
    """Snapshots of all stacks of a run, by the numbers of their replicas."""

    def of(self, numbers: Sequence[int]) -> Kept:
        """Those of one stack."""

    def load(self, numbers: Sequence[int]) -> tuple[Mapping[str, npt.NDArray[Any]], Mapping[str, Any]] | None:
        """The last one of a stack, or None."""


@dataclass
class StackedTraining:
    """Trains replicas and has each answer its own rows. Iterate for the records; then read `answered`.

    rows     for each replica, the row numbers that it answers after training
    parts    what is measured after every epoch (nothing, unless early stopping watches dev)
    shared   the stored rows, where several trainings share them; left out, they are stored anew
    began    told of each stack's training before its first epoch, by whoever wants to prune replicas: one process
    fitted   whether replicas are also judged on the rows that they were trained on, or on some 2000 of them
    keeper   keeps snapshots of each stack while it trains, and has those of a run that is resumed
    A stack that runs out of memory is halved and begins again, with records from epoch 1.
    """

    problem: Problem
    backend: Backend
    replicas: Sequence[Replica]
    rows: Sequence[Rows]
    jobs: int | None = None
    parts: tuple[str, ...] = ()
    shared: RowStore | None = None
    began: Callable[[Training], None] | None = None
    keeper: Keeper | None = None
    fitted: bool = False
    answered: dict[int, Answered] = field(default_factory=dict)
    plan: StackPlan = field(init=False)
    cost: TrainingCost = field(init=False)

    def __post_init__(self) -> None:
        longest = max(len(r.train) for r in self.replicas)
        settings = self.problem.settings()
        batch = longest if settings.batch_size is None else min(settings.batch_size, longest)
        net = self.problem.architecture(self.replicas)
        self.cost = TrainingCost.of(net, settings.optimizer, batch, self.replicas, self.rows)
        size = replica_bytes(net, settings.optimizer, batch)
        if self.backend.name != "cpu":  # memory is the limit there, and holds the copies of the rows too
            size += min(math.prod(self.problem.dataset.features.shape) * np.dtype(net.dtype).itemsize, COPY_BYTES)
        # Compiled steps share replicas among threads: processes are for what is measured between epochs.
        measured = self.parts or self.problem.experiment.training.early_stopping is not None
        threaded = self.backend.engine == "compiled" and not measured
        jobs = self.jobs if self.began is None and not threaded else 1
        self.plan = divide(len(self.replicas), size, self.backend, jobs, seconds=self.cost.seconds)
        self._judges = [replace(r, test=rows) for r, rows in zip(self.replicas, self.rows, strict=True)]

    def __iter__(self) -> Iterator[list[EpochRecord]]:
        shared = self.shared or self.problem.shared_rows(self.backend)
        if self.plan.jobs == 1:
            for group in self.plan.groups:
                yield from self._train(group, shared)
            return

        def work(group: npt.NDArray[np.int64]) -> Iterator[list[EpochRecord] | list[Answered]]:
            yield from self._train(group, shared)
            yield [self.answered[self.replicas[place].number] for place in group]

        for _, found in side_by_side(self.plan.groups, work, jobs=self.plan.jobs):
            if found and isinstance(found[0], Answered):
                self.answered |= {each.result.replica: each for each in found if isinstance(each, Answered)}
            else:
                yield [each for each in found if isinstance(each, EpochRecord)]

    def _train(self, group: npt.NDArray[np.int64], shared: RowStore) -> Iterator[list[EpochRecord]]:
        """One stack from its first epoch to its answers; halved and tried again where memory runs out."""
        try:
            yield from self._train_whole(group, shared)
            return
        except self.backend.out_of_memory:
            if len(group) == 1:
                raise
        # Out of the handler: the exception would keep the frames, and with them the arrays, of what failed.
        half = len(group) // 2
        yield from self._train(group[:half], shared)
        yield from self._train(group[half:], shared)

    def _train_whole(self, group: npt.NDArray[np.int64], shared: RowStore) -> Iterator[list[EpochRecord]]:
        replicas = [self.replicas[place] for place in group]
        training = self._training(replicas, shared)
        if self.began is not None:
            self.began(training)
        yield from training if self.keeper is None else self._kept(training, self.keeper)
        self._answer(group, training, shared)

    @staticmethod
    def _kept(training: Training, keeper: Keeper) -> Iterator[list[EpochRecord]]:
        """The training from where the stack stood, with a snapshot now and then and one at its end."""
        numbers = [r.number for r in training.stack.replicas]
        found = keeper.load(numbers)
        if found is not None:
            restore(training, *found)
        kept = keeper.of(numbers)
        for records in training:
            if kept.due:
                kept.save(*snapshot(training))
            yield records
        kept.save(*snapshot(training))

    def _training(self, replicas: list[Replica], shared: RowStore) -> Training:
        options = self.problem.experiment.training
        stack = self.problem.stack(self.backend, replicas, shared=shared, company=self.replicas)
        stack.cores = max(1, (self.jobs or usable_cores()) // self.plan.jobs)
        return Training(
            stack,
            early_stopping=options.early_stopping,
            settle=options.stop_when_cost_changes_by,
            parts=self.parts or (("train",) if options.stop_when_cost_changes_by else ()),
        )

    def _answer(self, group: npt.NDArray[np.int64], training: Training, shared: RowStore) -> None:
        judges = [self._judges[place] for place in group]
        results = [training.results[r.number] for r in judges]
        rows = [self.rows[place] for place in group]
        for answered in judge(
            self.problem, self.backend, judges, results, rows, shared, self.fitted, company=self._judges
        ):
            self.answered[answered.result.replica] = answered


def judge(
    problem: Problem,
    backend: Backend,
    replicas: Sequence[Replica],
    results: Sequence[ReplicaResult],
    rows: Sequence[Rows],
    shared: RowStore,
    fitted: bool = False,
    *,
    company: Sequence[Replica] | None = None,
) -> list[Answered]:
    """What each replica, with the weights of its result, answers on its own rows.

    `company`: all replicas that are judged alike, `rows` being their test part, where these are some of them.
    """
    tensors = {name: np.stack([result.tensors[name] for result in results]) for name in results[0].tensors}
    stack = problem.stack(
        backend,
        [replace(r, test=test) for r, test in zip(replicas, rows, strict=True)],
        shared=shared,
        company=company,
        theta=np.stack([result.theta for result in results]),
        statistics=np.stack([result.statistics for result in results]),
        tensors=tensors,
    )
    evaluator = Evaluator(stack)
    found = []
    own = evaluator.figures([some_of(r.train) for r in replicas]) if fitted else [None] * len(results)
    judged = zip(results, evaluator.outputs(rows), evaluator.figures(rows), own, strict=True)
    for result, answer, figure, on_own in judged:
        if result.status == "diverged":
            answer, figure = np.full_like(answer, np.nan), Figures(figure.rows, np.nan, np.nan)
        found.append(Answered(result, answer, figure, on_own))
    return found


def some_of(rows: Rows) -> Rows:
    """These rows, or every so-manieth where they are more than 2000: enough to tell how well they are fitted."""
    return rows[:: -(-len(rows) // FITTED_ROWS) or 1]
