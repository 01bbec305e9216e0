"""Trains the trials that were drawn together: as stacks, side by side, with rungs where halving is wanted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from dlrun.backend import Backend
from dlrun.training.problem import Problem
from dlrun.training.rows import RowStore
from dlrun.tuning.halving import FoldNow, Standing, folds_now, kept_at, losers
from dlrun.tuning.outcome import Fold, failed, trial_of
from dlrun.tuning.pool import advance
from dlrun.tuning.trials import Draw, Trial
from dlrun.tuning.units import Task, Unit, make_units

Owner = tuple[int, int]  # a search and its trial
Step = float | list[Trial]  # so much of a trial was trained, or these trials have ended


@dataclass
class Bracket:
    """Trials that were drawn together. `tasks` are those under way; `told` were ended by an earlier process."""

    draws: dict[Owner, Draw] = field(default_factory=dict)
    tasks: dict[Owner, Task] = field(default_factory=dict)
    told: list[Trial] = field(default_factory=list)
    rungs: dict[Owner, list[tuple[int, float, float]]] = field(default_factory=dict)

    def size(self, search: int) -> int:
        """How many trials of this search were drawn."""
        return sum(1 for owner in self.draws if owner[0] == search)

    def end(self, task: Task, folds: Sequence[Fold]) -> Trial:
        """Take a task out as a trial that ended with these folds."""
        del self.tasks[task.owner]
        return trial_of(
            self.draws[task.owner],
            folds,
            search=task.owner[0],
            planned=task.planned,
            rungs=self.rungs.get(task.owner, ()),
        )


class Runner:
    """`rows` gives the stored rows of a problem; `stacks` counts the replicas of every stack that was made."""

    def __init__(self, backend: Backend, rows: Callable[[Problem], RowStore], *, jobs: int) -> None:
        self._backend, self._rows, self.jobs = backend, rows, jobs
        self.stacks: list[int] = []

    def train(self, bracket: Bracket, rungs: Sequence[int]) -> Iterator[Step]:
        """Train all tasks of the bracket to their ends, pruning after the epochs `rungs`."""
        units = self._units(list(bracket.tasks.values()))
        for place, epoch in enumerate(rungs):
            units = yield from self._advance(bracket, units, epoch)
            yield self._prune(bracket, units, place, epoch)
        yield from self._advance(bracket, units, None)

    def _units(self, tasks: Sequence[Task]) -> list[Unit]:
        units = make_units(tasks, self._backend, self._rows, jobs=self.jobs)
        self.stacks += [len(unit.members) for unit in units]
        return units

    def _advance(self, bracket: Bracket, units: Sequence[Unit], until: int | None) -> Generator[Step, None, list[Unit]]:
        """Advance the units up to an epoch or to their ends. Returns those that are still under way.

        A unit that fails is tried again trial by trial, and what fails by itself has failed.
        """
        waiting = list(units)
        going: list[Unit] = []
        while waiting:
            again: list[Unit] = []
            for event in advance(waiting, self.jobs, until):
                unit = event.unit
                if event.epochs:
                    yield unit.pass_share(event.epochs)
                    continue
                if event.error and len(unit.tasks) > 1:
                    again += [
                        each for task in unit.tasks if task.owner in bracket.tasks for each in self._units([task])
                    ]
                    yield unit.pass_share(None, undo=True)
                    continue
                if event.error:
                    unit.tasks[0].failure = event.error
                elif not unit.finished:
                    going.append(unit)
                    continue
                yield unit.pass_share(None)
                yield self._ended(bracket, unit)
            waiting = again
        return going

    @staticmethod
    def _ended(bracket: Bracket, unit: Unit) -> list[Trial]:
        """The trials that this unit has brought to their end."""
        ended = []
        for task in unit.tasks:
            if task.owner not in bracket.tasks or not task.complete:
                continue  # pruned before, or with folds in another stack
            if task.failure:
                del bracket.tasks[task.owner]
                ended.append(failed(bracket.draws[task.owner], task.failure, search=task.owner[0]))
            else:
                ended.append(bracket.end(task, [task.ended[fold] for fold in range(len(task.replicas))]))
        return ended

    def _prune(self, bracket: Bracket, units: Sequence[Unit], place: int, epoch: int) -> list[Trial]:
        """At a rung: note how all stand, let the worse leave their stacks, and end them as trials."""
        now: dict[Owner, dict[int, FoldNow]] = {owner: dict(task.ended) for owner, task in bracket.tasks.items()}
        for unit in units:
            for (owner, fold), state in folds_now(unit).items():
                if owner in now:
                    now[owner][fold] = state
        standing = {owner: Standing.of(list(folds.values())) for owner, folds in now.items()}
        leaving: dict[Owner, str] = {}
        for search in {owner[0] for owner in standing}:
            here = {number: each for (index, number), each in standing.items() if index == search}
            told = [trial for trial in bracket.told if trial.search == search]
            kept = kept_at(place, bracket.size(search))
            for number in losers(kept, place, here, told):
                leaving[search, number] = f"not among the best {kept} of {bracket.size(search)} after epoch {epoch}"
        for owner, each in standing.items():
            if each.going and each.score == each.score:
                bracket.rungs.setdefault(owner, []).append((epoch, each.score, each.cost))
        for unit in units:
            unit.prune(leaving)
        for unit in units:
            for number, (task, fold) in enumerate(unit.members):
                if task.owner in leaving:
                    now[task.owner][fold] = (unit.result(number, task, fold), now[task.owner][fold][1])
        return [self._pruned(bracket, bracket.tasks[owner], now[owner]) for owner in sorted(leaving)]

    @staticmethod
    def _pruned(bracket: Bracket, task: Task, folds: dict[int, FoldNow]) -> Trial:
        ended: list[Fold] = []
        for fold in range(len(task.replicas)):
            result, figures = folds[fold]
            assert result is not None
            ended.append((result, figures))
        return bracket.end(task, ended)
