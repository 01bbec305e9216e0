"""`steps.csv`: the cost of every batch of a training, in the order of the steps, and few parameters with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dlrun.runs.csv_files import Mark, check_mark
from dlrun.runs.folder import RunFolder

if TYPE_CHECKING:
    from dlrun.nn.network import Architecture
    from dlrun.records import EpochRecord

STEPS = "steps.csv"
COLUMNS = ("replica", "epoch", "step", "learning_rate", "batch_cost")


def parameter_names(net: Architecture) -> list[str]:
    """Names of the components of θ in their order, counted from 1: W1[1,1], W1[2,1], b1[1], …"""
    names: list[str] = []
    for slot in net.slots:
        shape = slot.shape if slot.name.startswith("W") else slot.shape[-1:]
        places = [""]
        for extent in shape:
            places = [f"{place}{',' if place else ''}{i}" for place in places for i in range(1, extent + 1)]
        names += [f"{slot.name}[{place}]" for place in places]
    return names


class StepsFile:
    """A row per replica and step; use it in a `with` block.

    batch_cost  the cost of the step's batch before its update, without penalty
    W1[1,1], …  with `parameters`: the weights that this cost was taken at
    Of a run that goes on after `done` epochs the rows of these stay; those of later steps, which are made again, go.
    """

    def __init__(
        self, folder: RunFolder, parameters: Sequence[str] = (), *, done: int = 0, keep: Mark | None = None
    ) -> None:
        if keep is not None:
            check_mark(folder.file(STEPS), keep)
        if done:
            _cut(folder.file(STEPS), done)
        self._file = folder.csv(STEPS, [*COLUMNS, *parameters], append=done > 0)

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


def _cut(path: Path, done: int) -> None:
    """Take the rows of epochs after `done` from the end of the file, where there is one."""
    if not path.exists():
        return
    content = path.read_bytes()
    size = 0
    for line in content.splitlines(keepends=True):
        epoch = line.split(b",")[1:2]
        if not line.endswith(b"\n") or (size and (not epoch[0].isdigit() or int(epoch[0]) > done)):
            break
        size += len(line)
    with path.open("r+b") as file:
        file.truncate(size)
