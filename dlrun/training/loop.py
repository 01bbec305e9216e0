"""The training loop: a generator of records. It prints nothing, writes nothing and decides only when to stop."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import ConfigError
from dlrun.records import EpochRecord, Figures, ReplicaResult, StepRecords
from dlrun.training.evaluation import Evaluator
from dlrun.training.stack import Stack

FloatArray = npt.NDArray[np.float64]
RECORDED = 8  # parameters of a network whose path through them is recorded
COMPACT = 0.75  # a stack is cut down to those still training when fewer than this share of it are


@dataclass
class Progress:
    """What the loop knows of one replica while it trains."""

    best: float = math.inf
    best_epoch: int = 0
    theta: Any = None
    statistics: Any = None
    previous_cost: float = math.nan


class Training:
    """Trains a stack epoch by epoch: iterate over it, then read `results`.

    early_stopping  the `[training.early_stopping]` table, or None
    settle          stop a replica whose epoch cost changes by less than this
    parts           what is measured after each epoch; early stopping needs dev, whatever is asked for
    record_steps    whether the records hold every step, with its parameters where there are at most RECORDED
    Every iteration yields the records of the replicas that trained in this epoch.
    """

    def __init__(
        self,
        stack: Stack,
        *,
        early_stopping: Any = None,
        settle: float | None = None,
        parts: tuple[str, ...] = ("train", "dev"),
        record_steps: bool = False,
    ) -> None:
        if early_stopping is not None and not all(len(r.dev) for r in stack.replicas):
            raise ConfigError(
                "training.early_stopping watches the dev part, and a replica has no dev rows; "
                "give it some through data.split.dev, or leave early_stopping out"
            )
        self.stack = stack
        self._early, self._settle = early_stopping, settle
        self._parts = [part for part in ("train", "dev") if self._is_measured(part, parts)]
        self.progress = {r.number: Progress() for r in stack.replicas}
        self.active = np.ones(stack.R, bool)
        self._evaluator: Evaluator | None = None
        self.results: dict[int, ReplicaResult] = {}
        self.epoch = 0  # the last epoch that was completed
        self._record_steps = record_steps
        self._path: list[FloatArray] = []  # θ (R, P) before each update of an epoch
        if record_steps and stack.net.parameters <= RECORDED:
            stack.before_update = lambda theta: self._path.append(stack.backend.to_host(theta).astype(np.float64))

    def _is_measured(self, part: str, asked: tuple[str, ...]) -> bool:
        needed = self._early is not None and part == "dev"
        return (part in asked or needed) and any(len(getattr(r, part)) for r in self.stack.replicas)

    @property
    def evaluator(self) -> Evaluator:
        """An evaluator of the stack as it is now."""
        if self._evaluator is None:
            self._evaluator = Evaluator(self.stack)
        return self._evaluator

    def __iter__(self) -> Iterator[list[EpochRecord]]:
        self._finish_at(self.epoch)
        while self.active.any():
            self.epoch += 1
            epoch = self.epoch
            self._path.clear()
            costs, rates = self.stack.run_epoch(epoch)
            figures = self._measure()
            finite = self._finite()
            whole = np.asarray(((self.stack.step_counts > 0) & np.isfinite(costs)).all(axis=0))
            with np.errstate(all="ignore"):
                means = np.ascontiguousarray(costs.T).mean(axis=1)
            records = []
            for place in map(int, np.flatnonzero(self.active)):
                if whole[place]:
                    records.append(self._whole_record(place, float(means[place]), float(rates[-1, place]), figures))
                else:
                    records.append(self._record(place, epoch, costs, rates, figures))
                if self._record_steps:
                    records[-1] = replace(records[-1], steps=self._steps(place, costs, rates))
                self._judge(place, records[-1], finite=bool(finite[place]))
            self._finish_at(epoch)
            self._compact()
            yield records

    def _measure(self) -> dict[str, list[Figures]]:
        replicas = self.stack.replicas
        return {
            part: self.evaluator.figures([r.measured(part) for r in replicas], penalty=part == "train")
            for part in self._parts
        }

    def _finite(self) -> npt.NDArray[np.bool_]:
        """Whether all that a replica has learned is finite, (R,): a saturated unit can hide an infinite weight."""
        xp, stack = self.stack.backend.xp, self.stack
        rows = xp.isfinite(stack.theta).all(axis=1) & xp.isfinite(stack.statistics).all(axis=1)
        return stack.backend.to_host(rows)

    def _whole_record(
        self, place: int, batch_cost: float, learning_rate: float, figures: dict[str, list[Figures]]
    ) -> EpochRecord:
        """Of a replica that had a row in every batch, and a finite cost: the usual case, which must be quick."""
        return EpochRecord(
            replica=self.stack.replicas[place].number,
            epoch=self.epoch,
            step=int(self.stack.steps[place]),
            learning_rate=learning_rate,
            batch_cost=batch_cost,
            figures={part: values[place] for part, values in figures.items() if values[place].rows},
        )

    def _record(
        self, place: int, epoch: int, costs: FloatArray, rates: FloatArray, figures: dict[str, list[Figures]]
    ) -> EpochRecord:
        """Up to the first batch whose cost is no number, after which a stack may go on for the others' sake."""
        taken = np.flatnonzero(self.stack.step_counts[:, place] > 0)
        broken = np.flatnonzero(~np.isfinite(costs[taken, place]))
        counted = taken[: broken[0] + 1] if broken.size else taken
        measured = {part: values[place] for part, values in figures.items() if values[place].rows}
        if broken.size:
            measured = {part: Figures(figure.rows, math.nan, math.nan) for part, figure in measured.items()}
        return EpochRecord(
            replica=self.stack.replicas[place].number,
            epoch=epoch,
            step=int(self.stack.steps[place]) - (len(taken) - len(counted)),
            learning_rate=float(rates[counted[-1], place]),
            batch_cost=float(np.mean(costs[counted, place])),
            figures=measured,
        )

    def _steps(self, place: int, costs: FloatArray, rates: FloatArray) -> StepRecords:
        """The steps of the epoch in which this replica had rows."""
        made = self.stack.step_counts > 0
        taken = np.flatnonzero(made[:, place])
        first = int(self.stack.steps[place]) - len(taken) + 1
        run = np.flatnonzero(made.any(axis=1))  # batches that any replica had rows in
        theta = np.stack(self._path)[np.searchsorted(run, taken), place] if self._path else None
        return StepRecords(np.arange(len(taken)) + first, rates[taken, place], costs[taken, place], theta)

    # -- stopping ------------------------------------------------------------------------------

    def prune(self, numbers: Collection[int], *, reason: str) -> None:
        """Let these replicas leave the stack between two epochs, with the weights that they have."""
        for place in map(int, np.flatnonzero(self.active)):
            replica = self.stack.replicas[place]
            if replica.number in numbers:
                best = self.progress[replica.number].best_epoch or self.epoch
                self._retire(place, "pruned", best, int(self.stack.steps[place]), reason=reason)
        self._compact()

    def _judge(self, place: int, record: EpochRecord, *, finite: bool) -> None:
        """Whether this replica goes on."""
        broken = self._divergence(record, finite=finite)
        if broken:
            self._retire(place, "diverged", record.epoch, record.step, reason=broken)
            return
        progress = self.progress[record.replica]
        if self._early is not None:
            figure = record.figures["dev"]
            value = figure.error if self._early.monitor == "error" else figure.cost
            if value < progress.best - self._early.min_delta:
                progress.best, progress.best_epoch = value, record.epoch
                progress.theta, progress.statistics = self._rows(place)
            elif record.epoch - progress.best_epoch >= self._early.patience:
                self._retire(place, "stopped", progress.best_epoch or record.epoch, record.step)
                return
        if self._settle is not None:
            measured = record.figures["train"].cost if "train" in record.figures else record.batch_cost
            if abs(measured - progress.previous_cost) < self._settle:
                self._retire(place, "settled", progress.best_epoch or record.epoch, record.step)
            progress.previous_cost = measured

    @staticmethod
    def _divergence(record: EpochRecord, *, finite: bool) -> str:
        """What is no longer a number, and since when; empty while all is well."""
        if not math.isfinite(record.batch_cost):  # the mean ends with the batch that was not finite
            return f"the cost of a batch was {record.batch_cost} at epoch {record.epoch}, step {record.step}"
        when = f"after epoch {record.epoch}, step {record.step}"
        for part, figure in record.figures.items():
            if not math.isfinite(figure.cost):
                return f"the cost of the {part} part was {figure.cost} {when}"
        return "" if finite else f"a parameter was no longer finite {when}"

    def _finish_at(self, epoch: int) -> None:
        """Retire the replicas whose epochs are done."""
        for place in np.flatnonzero(self.active):
            replica = self.stack.replicas[place]
            if epoch >= replica.epochs:
                best = self.progress[replica.number].best_epoch or epoch
                self._retire(int(place), "done", best, int(self.stack.steps[place]))

    def _retire(self, place: int, status: str, best: int, step: int, *, reason: str = "") -> None:
        """Note the result: the weights after epoch `best`, or NaN in the place of those that diverged."""
        replica = self.stack.replicas[place]
        progress = self.progress[replica.number]
        theta, statistics = self._rows(place)
        if status == "diverged":
            theta, statistics = theta * math.nan, statistics * math.nan
        elif progress.theta is not None:
            theta, statistics = progress.theta, progress.statistics
        host = self.stack.backend.to_host
        self.results[replica.number] = ReplicaResult(
            replica=replica.number,
            status=status,
            epoch=best,
            epochs=self.epoch,
            step=step,
            theta=host(theta),
            statistics=host(statistics),
            reason=reason,
            tensors={name: host(array[place]).astype(np.float64) for name, array in self.stack.fixed.items()},
        )
        self.active[place] = False

    def _rows(self, place: int) -> tuple[Any, Any]:
        return self.stack.theta[place].copy(), self.stack.statistics[place].copy()

    def _compact(self) -> None:
        """Cut those that have left out of the stack, once they are many enough to be worth new plans."""
        going = int(self.active.sum())
        if 0 < going < COMPACT * self.stack.R:
            self.stack.keep(np.flatnonzero(self.active))
            self.active = np.ones(going, bool)
            self._evaluator = None
