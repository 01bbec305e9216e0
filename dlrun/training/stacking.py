"""Any number of replicas trained in stacks: how large a stack is, and several stacks at a time.

A stack's size follows from what its step touches again and again: parameters, gradient, optimizer state and the
activations of one batch. On a CPU a stack should stay within the cache's reach, on a GPU within memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dlrun.backend import Backend
from dlrun.nn.network import Architecture
from dlrun.optim.optimizers import OPTIMIZERS
from dlrun.records import EpochRecord, Figures, ReplicaResult
from dlrun.training.evaluation import Evaluator
from dlrun.training.loop import Training
from dlrun.training.problem import Problem
from dlrun.training.replica import Replica, Rows
from dlrun.training.rows import RowStore
from dlrun.training.threads import usable_cores

FloatArray = npt.NDArray[np.float64]
CPU_STACK_BYTES = 4 << 20  # beyond this a step's arrays leave the cache (measured: docs/performance.md)
GPU_MEMORY_SHARE = 0.5


@dataclass(frozen=True)
class StackPlan:
    """How replicas are divided: the place of each stack's replicas in the list, and what a replica takes."""

    groups: tuple[npt.NDArray[np.int64], ...]
    replica_bytes: int
    jobs: int


def replica_bytes(net: Architecture, optimizer: str, batch_rows: int) -> int:
    """Bytes that one replica's training step touches: θ, gradient and state, and a batch's activations twice."""
    itemsize = np.dtype(net.dtype).itemsize
    rows = 2 + len(OPTIMIZERS[optimizer].slots)
    activations = batch_rows * (net.inputs + net.outputs + 2 + 4 * sum(net.widths[1:]))
    return itemsize * (rows * net.parameters + activations)


def divide(total: int, per_replica: int, backend: Backend, jobs: int | None = None) -> StackPlan:
    """Stacks of equal size, no larger than the cache (or the device's memory) allows, at least one per job.

    Small stacks are not divided further for the sake of another thread: below a quarter of the cache a step is
    mostly calls, and two threads would only take turns.
    """
    cores = jobs or usable_cores()
    if backend.name == "cpu":
        room, workers = CPU_STACK_BYTES, cores
    else:
        room, workers = int(backend.free_memory() * GPU_MEMORY_SHARE), 1
    largest = max(1, room // per_replica)
    stacks = -(-total // largest)
    if workers > 1 and total * per_replica >= room // 4:
        stacks = max(-(-stacks // workers) * workers, workers)
    groups = np.array_split(np.arange(total), min(stacks, total))
    return StackPlan(tuple(groups), per_replica, max(1, min(workers, len(groups))))


@dataclass(frozen=True)
class Answered:
    """A replica after its training: how it ended, and its answers and figures on the rows asked for.

    answers  (m, C) probabilities or values; NaN throughout where the replica diverged
    """

    result: ReplicaResult
    answers: FloatArray
    figures: Figures


@dataclass
class StackedTraining:
    """Trains replicas and has each answer its own rows. Iterate for the records; then read `answered`.

    rows     for each replica, the row numbers that it answers after training
    parts    what is measured after every epoch (nothing, unless early stopping watches dev)
    shared   the stored rows, where several trainings share them; left out, they are stored anew
    began    told of each stack's training before its first epoch, by whoever wants to prune replicas
    """

    problem: Problem
    backend: Backend
    replicas: Sequence[Replica]
    rows: Sequence[Rows]
    jobs: int | None = None
    parts: tuple[str, ...] = ()
    shared: RowStore | None = None
    began: Callable[[Training], None] | None = None
    answered: dict[int, Answered] = field(default_factory=dict)
    plan: StackPlan = field(init=False)

    def __post_init__(self) -> None:
        longest = max(len(r.train) for r in self.replicas)
        settings = self.problem.settings()
        batch = longest if settings.batch_size is None else min(settings.batch_size, longest)
        size = replica_bytes(self.problem.architecture(self.replicas), settings.optimizer, batch)
        self.plan = divide(len(self.replicas), size, self.backend, self.jobs)
        self._cancelled = threading.Event()

    def __iter__(self) -> Iterator[list[EpochRecord]]:
        shared = self.shared or self.problem.shared_rows(self.backend)
        if self.plan.jobs == 1:
            for group in self.plan.groups:
                yield from self._train(group, shared)
            return
        yield from self._train_side_by_side(shared)

    def _train_side_by_side(self, shared: RowStore) -> Iterator[list[EpochRecord]]:
        """Stacks on several threads; NumPy lets go of Python's lock while it computes."""
        records: queue.SimpleQueue[list[EpochRecord] | None] = queue.SimpleQueue()

        def work(group: npt.NDArray[np.int64]) -> None:
            try:
                for each in self._train(group, shared):
                    records.put(each)
            finally:
                records.put(None)

        with ThreadPoolExecutor(self.plan.jobs, thread_name_prefix="dlrun-stack") as pool:
            futures: list[Future[None]] = [pool.submit(work, group) for group in self.plan.groups]
            try:
                for _ in futures:
                    while (each := records.get()) is not None:
                        yield each
            except BaseException:
                self._cancelled.set()
                for future in futures:
                    future.cancel()
                raise
            for future in futures:
                future.result()

    def _train(self, group: npt.NDArray[np.int64], shared: RowStore) -> Iterator[list[EpochRecord]]:
        """One stack from its first epoch to its answers; halved and tried again where memory runs out."""
        replicas = [self.replicas[place] for place in group]
        try:
            training = self._training(replicas, shared)
            if self.began is not None:
                self.began(training)
            for records in training:
                if self._cancelled.is_set():
                    return
                yield records
            self._answer(replicas, [self.rows[place] for place in group], training, shared)
        except self.backend.out_of_memory:
            if len(group) == 1:
                raise
            half = len(group) // 2
            yield from self._train(group[:half], shared)
            yield from self._train(group[half:], shared)

    def _training(self, replicas: list[Replica], shared: RowStore) -> Training:
        options = self.problem.experiment.training
        return Training(
            self.problem.stack(self.backend, replicas, shared=shared),
            early_stopping=options.early_stopping,
            settle=options.stop_when_cost_changes_by,
            parts=self.parts or (("train",) if options.stop_when_cost_changes_by else ()),
        )

    def _answer(self, replicas: list[Replica], rows: list[Rows], training: Training, shared: RowStore) -> None:
        results = [training.results[r.number] for r in replicas]
        for answered in judge(self.problem, self.backend, replicas, results, rows, shared):
            self.answered[answered.result.replica] = answered


def judge(
    problem: Problem,
    backend: Backend,
    replicas: Sequence[Replica],
    results: Sequence[ReplicaResult],
    rows: Sequence[Rows],
    shared: RowStore,
) -> list[Answered]:
    """What each replica, with the weights of its result, answers on its own rows."""
    tensors = {name: np.stack([result.tensors[name] for result in results]) for name in results[0].tensors}
    stack = problem.stack(
        backend,
        [replace(r, test=test) for r, test in zip(replicas, rows, strict=True)],
        shared=shared,
        theta=np.stack([result.theta for result in results]),
        statistics=np.stack([result.statistics for result in results]),
        tensors=tensors,
    )
    evaluator = Evaluator(stack)
    found = []
    for result, answer, figure in zip(results, evaluator.outputs(rows), evaluator.figures(rows), strict=True):
        if result.status == "diverged":
            answer, figure = np.full_like(answer, np.nan), Figures(figure.rows, np.nan, np.nan)
        found.append(Answered(result, answer, figure))
    return found
