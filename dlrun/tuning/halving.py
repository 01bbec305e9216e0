"""Successive halving: at a few epochs, the rungs, only the better trials go on (Jamieson and Talwalkar 2016).

With η = 3, T trials and E epochs there are rungs at E/9 and E/3, or the last of these alone for few trials or epochs.
After each, a third stays. If no trial ended by itself this takes 7/27 of the epochs. All trials of a bracket are held
in memory together, since each has to wait at a rung for the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlrun.records import Figures, ReplicaResult
from dlrun.training.stacking import judge
from dlrun.tuning.trials import Trial
from dlrun.tuning.units import Unit

ETA = 3
MOST_RUNGS = 2


def rung_epochs(trials: int, epochs: int) -> list[int]:
    """The epochs after which trials are compared; the longest trial takes `epochs`."""
    count = min(MOST_RUNGS, *(int(math.log(max(value, 1), ETA) + 1e-9) for value in (trials, epochs)))
    return [max(1, round(epochs / ETA ** (count - place))) for place in range(count)]


def kept_at(place: int, trials: int) -> int:
    """How many of a search's trials go on from the `place`-th rung (from 0)."""
    return math.ceil(trials / float(ETA ** (place + 1)))


FoldNow = tuple[ReplicaResult | None, Figures]  # how it ended (None: still training), and its figures now


@dataclass(frozen=True)
class Standing:
    """How a trial stands at a rung: the means over its folds, NaN where one has diverged; whether it still trains."""

    score: float
    cost: float
    going: bool

    @classmethod
    def of(cls, folds: Sequence[FoldNow]) -> Standing:
        broken = any(result is not None and result.status == "diverged" for result, _ in folds)
        going = any(result is None for result, _ in folds)
        if broken:
            return cls(math.nan, math.nan, going)
        score, cost = (float(np.mean([getattr(figures, name) for _, figures in folds])) for name in ("error", "cost"))
        return cls(score, cost, going)


def folds_now(unit: Unit) -> dict[tuple[tuple[int, int], int], FoldNow]:
    """By trial and fold, how the replicas of a unit stand between two epochs."""
    if unit.finished:
        return {(task.owner, fold): task.ended[fold] for task, fold in unit.members}
    training = unit.trainings[-1]
    rows = [task.replicas[fold][1] for task, fold in unit.members]
    replicas = training.stack.replicas
    current = training.evaluator.figures([rows[r.number] for r in replicas])
    figures = {r.number: figure for r, figure in zip(replicas, current, strict=True)}
    ended = sorted(training.results)
    if ended:  # their weights are no longer those in the stack
        answered = judge(
            unit.problem,
            training.stack.backend,
            [unit.replicas[number] for number in ended],
            [training.results[number] for number in ended],
            [rows[number] for number in ended],
            training.stack.store,
        )
        figures |= {number: each.figures for number, each in zip(ended, answered, strict=True)}
    return {
        (task.owner, fold): (training.results.get(number), figures[number])
        for number, (task, fold) in enumerate(unit.members)
    }


def losers(kept: int, place: int, here: Mapping[int, Standing], told: Sequence[Trial]) -> set[int]:
    """The trials, by number, that leave at the `place`-th rung, where `kept` of those that still train go on.

    `here` are those under way; `told` those of the same bracket that an earlier process has pruned or trained to
    their end: they keep the places that they had. A trial that ended by itself before the rung takes no place.
    """
    going = {number: each for number, each in here.items() if each.going}
    scores = {number: (each.score, each.cost) for number, each in going.items() if not math.isnan(each.score)}
    scores |= {trial.number: trial.rungs[place][1:] for trial in told if len(trial.rungs) > place}
    order = sorted(scores, key=lambda number: (*scores[number], number))
    return set(going) - set(order[:kept])
