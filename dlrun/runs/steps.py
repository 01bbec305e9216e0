"""`steps.csv`: the cost of every batch of a training, in the order of the steps, and few parameters with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dlrun.errors import RunError
from dlrun.runs.csv_files import Mark, check_mark
from dlrun.runs.folder import RunFolder
from dlrun.runs.unkept import Unkept

if TYPE_CHECKING:
    from dlrun.nn.network import Architecture
    from dlrun.records import EpochRecord

STEPS = "steps.csv"
COLUMNS = ("replica", "epoch", "step", "learning_rate", "batch_cost")


def parameter_names(net: Architecture) -> list[str]:
    """Names of the components of θ in their order, counted from 1: W1[1,1], W1[2,1], b1[1], …"""
    names: list[str] = []
    for slot in net.slots:
        shape = slot.stored
        places = [""]
        for extent in shape:
            places = [f"{place}{',' if place else ''}{i}" for place in places for i in range(1, extent + 1)]
        names += [f"{slot.name}[{place}]" for place in places]
    return names


class StepsFile:
    """A row per replica and step; use it in a `with` block.

    batch_cost  the cost of the step's batch before its update, without penalty
    W1[1,1], …  with `parameters`: the weights that this cost was taken at
    Of a run that goes on after `done` epochs the rows that its checkpoint tells of, `keep`, stay; those of later steps,
    which are made again, go. RunError for a file that the checkpoint does not tell of, or that is another.
    """

    def __init__(
        self, folder: RunFolder | Unkept, parameters: Sequence[str] = (), *, done: int = 0, keep: Mark | None = None
    ) -> None:
        if keep is not None and not isinstance(folder, Unkept):
            check_mark(folder.file(STEPS), keep)
            os.truncate(folder.file(STEPS), keep[0])
        elif done and not isinstance(folder, Unkept):
            raise RunError(
                f"{folder.file(STEPS)}: the run's checkpoint tells of no such file, so that it is another run's; "
                "remove it and leave --steps out, or start again with --overwrite"
            )
        self._file = folder.csv(STEPS, [*COLUMNS, *parameters], append=keep is not None)

    def epoch(self, record: EpochRecord) -> None:
        """The rows of one epoch."""
        steps = record.steps
        if steps is None:
            return
        numbers, rates, costs = steps.step.tolist(), steps.learning_rate.tolist(), steps.cost.tolist()
        thetas = steps.theta.tolist() if steps.theta is not None else [()] * len(numbers)
        self._file.write_rows(
            (record.replica, record.epoch, step, rate, cost, *theta)
            for step, rate, cost, theta in zip(numbers, rates, costs, thetas, strict=True)
        )

    @property
    def mark(self) -> Mark:
        """Of what is written so far."""
        return self._file.mark

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
