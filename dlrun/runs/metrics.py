"""`metrics.csv`: cost and error of each replica after each epoch, without clock times, so that runs can be compared."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from dlrun.records import EpochRecord, Figures, ReplicaResult
from dlrun.runs.csv_files import Mark, check_mark
from dlrun.runs.folder import RunFolder
from dlrun.runs.unkept import Unkept

METRICS = "metrics.csv"
COLUMNS = ("replica", "epoch", "step", "split", "learning_rate", "cost", "error", "batch_cost")


class MetricsFile:
    """A row per replica, epoch and split, written as training goes on; use it in a `with` block.

    learning_rate   that of the epoch's last update
    cost, error     in evaluation mode after it; the train split's cost holds the penalty
    batch_cost      the mean cost of the epoch's batches as training saw them; train rows alone have it
    """

    def __init__(self, folder: RunFolder | Unkept, *, keep: Mark | None = None) -> None:
        """What the file of a resumed run had at its checkpoint, `keep`, stays; what came after it is cut off."""
        self._when: dict[tuple[int, int], tuple[int, float]] = {}  # (replica, epoch) → step, learning rate
        if keep is not None and not isinstance(folder, Unkept):
            check_mark(folder.file(METRICS), keep)
            self._cut(folder.file(METRICS), keep[0])
        self._file = folder.csv(METRICS, COLUMNS, append=keep is not None)

    @property
    def mark(self) -> Mark:
        """Of what is written so far, all of it complete rows."""
        return self._file.mark

    def _cut(self, path: Path, keep: int) -> None:
        content = path.read_bytes()
        with path.open("r+b") as file:
            file.truncate(keep)
        for row in csv.DictReader(content[:keep].decode().splitlines()):
            if row["learning_rate"]:
                where = int(row["replica"]), int(row["epoch"])
                self._when[where] = (int(row["step"]), float(row["learning_rate"]))

    def epoch(self, records: Iterable[EpochRecord]) -> None:
        """The rows of one epoch."""
        rows = []
        for record in records:
            self._when[record.replica, record.epoch] = (record.step, record.learning_rate)
            for split, figures in record.figures.items():
                batch_cost = record.batch_cost if split == "train" else None
                rows.append(
                    (*self._place(record.replica, record.epoch, split), figures.cost, figures.error, batch_cost)
                )
        self._file.write_rows(rows)

    def end(self, result: ReplicaResult, figures: Mapping[str, Figures]) -> None:
        """The rows at the end: the test split at the epoch whose weights were kept.

        A model that made no step has no rows yet, and gets those of the other splits too, at epoch 0.
        """
        splits = [split for split in figures if split == "test" or not result.epochs]
        self._file.write_rows(
            (*self._place(result.replica, result.epoch, split), figures[split].cost, figures[split].error, None)
            for split in splits
        )

    def _place(self, replica: int, epoch: int, split: str) -> tuple[int, int, int, str, float | None]:
        step, learning_rate = self._when.get((replica, epoch), (0, None))
        return replica, epoch, step, split, learning_rate

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
