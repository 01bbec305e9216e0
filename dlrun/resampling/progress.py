"""How much of a run is done, told from the records of its stacks."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from dlrun.records import EpochRecord
from dlrun.training.replica import Replica


class EpochProgress:
    """Counts the epochs of all replicas. One that leaves its stack early counts as done with all of its epochs.

    A stack's records hold everyone who still trains in it. Whoever was in its last records and is not in the next has
    left; whoever is seen at epoch 1 begins, perhaps for the second time: a stack that ran out of memory is halved, and
    each half trained anew.
    """

    def __init__(self, replicas: Sequence[Replica], groups: Iterable[Iterable[int]]) -> None:
        self._epochs = {r.number: r.epochs for r in replicas}
        self._stack_of = {replicas[place].number: number for number, group in enumerate(groups) for place in group}
        self._done = dict.fromkeys(self._epochs, 0)
        self._present: dict[int, set[int]] = {}
        self._ended: set[int] = set()
        self.total = sum(self._epochs.values())
        self.finished = 0

    def update(self, records: Sequence[EpochRecord], answered: Container[int] = ()) -> int:
        """Take in an epoch's records of one stack. Returns by how much the count changed, which may be below 0.

        `answered` are the replicas of stacks that have come to their end.
        """
        before = sum(self._done.values())
        if records:
            stack = self._stack_of[records[0].replica]
            present = {record.replica for record in records}
            if records[0].epoch > 1:
                for number in self._present.get(stack, set()) - present:
                    self._end(number)
            self._present[stack] = present
            for record in records:
                self._done[record.replica] = record.epoch
                self._ended.discard(record.replica)
        for number in self._epochs:
            if number in answered:
                self._end(number)
        self.finished = len(self._ended)
        return sum(self._done.values()) - before

    def _end(self, number: int) -> None:
        self._done[number] = self._epochs[number]
        self._ended.add(number)
