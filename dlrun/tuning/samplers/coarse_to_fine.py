"""Coarse to fine (G2): rounds of random draws, each in a box around the best points so far."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.records import four_digits
from dlrun.tuning.samplers.random import uniform_units
from dlrun.tuning.space import EDGE, Dimension, Space, value_key
from dlrun.tuning.trials import Draw, Trial, ranked

FEWEST = 3  # points that a box is laid around, even where they are more than the best fifth
SHARE = 5


@dataclass(frozen=True)
class Side:
    """A box along one key: [low, high] in u for ordered keys, or the choices that are left."""

    low: float = 0.0
    high: float = 1.0
    choices: tuple[Any, ...] | None = None

    def value(self, dimension: Dimension, u: float) -> Any:
        """The value at u in [0, 1] of this side."""
        if self.choices is not None:
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        return dimension.value(self.low + u * (self.high - self.low))


@dataclass(frozen=True)
class Round:
    """One round: its trials, its box, and why the box is where it is."""

    number: int
    trials: range
    sides: tuple[Side, ...]
    reason: str

    def bounds(self, space: Space) -> dict[str, list[Any]]:
        """Per key the lowest and highest value of the box, or the choices in it."""
        return {
            each.key: list(side.choices) if side.choices is not None else [each.value(side.low), each.value(side.high)]
            for each, side in zip(space.dimensions, self.sides, strict=True)
        }


class CoarseToFine:
    """Round 0 draws from the whole space. Each later box is laid around the best points of all rounds before.

    These are the best fifth of the trials that finished, 3 at least. Along an ordered key the box spans them, and half
    their mean distance more on either side: it may reach beyond the box before, and never beyond the space. Of a
    choice, those that they have are left. A key that matters thus narrows quickly, and one that does not, hardly.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, space: Space, *, trials: int, seed: int, rounds: int) -> None:
        self._space, self.total, self._seed = space, trials, seed
        edges = np.cumsum([0, *(len(part) for part in np.array_split(np.arange(trials), min(rounds, trials)))])
        self._parts = [range(int(a), int(b)) for a, b in itertools.pairwise(edges)]

    def ask(self, told: Mapping[int, Trial]) -> list[Draw]:
        for each in self.rounds(told):
            if not all(t in told for t in each.trials):
                return [self._draw(each, t) for t in each.trials]
        return []

    def _draw(self, round_: Round, trial: int) -> Draw:
        units = uniform_units(self._space, self._seed, trial)
        sides = zip(self._space.dimensions, round_.sides, units, strict=True)
        return Draw(number=trial, round=round_.number, values={d.key: side.value(d, float(u)) for d, side, u in sides})

    def rounds(self, told: Mapping[int, Trial]) -> list[Round]:
        """The rounds whose boxes follow from what is told."""
        whole = tuple(Side() if each.ordered else Side(choices=each.range.choices) for each in self._space.dimensions)
        found = [Round(0, self._parts[0], whole, "the whole space")]
        for number, trials in enumerate(self._parts[1:], start=1):
            if not all(t in told for t in range(trials.start)):
                break
            sides, reason = self._zoomed(found[-1], [told[t] for t in range(trials.start)])
            found.append(Round(number, trials, sides, reason))
        return found

    def _zoomed(self, before: Round, trials: Sequence[Trial]) -> tuple[tuple[Side, ...], str]:
        finished = [trial for trial in ranked(trials) if trial.done]
        if len(finished) < 2:
            return before.sides, f"{len(finished)} of {len(trials)} trials finished: the box stays as it was"
        best = finished[: max(FEWEST, ceil(len(finished) / SHARE))]
        sides = tuple(self._side(each, [t.values[each.key] for t in best]) for each in self._space.dimensions)
        scores = [four_digits(trial.score) for trial in best if trial.score is not None]
        reason = f"around the best {len(best)} of {len(trials)} trials, scores {scores[0]} to {scores[-1]}"
        edge = [d.key for d, s in zip(self._space.dimensions, before.sides, strict=True) if _on_edge(d, s, best[0])]
        if edge:
            reason += f"; the best lies on the edge of the box before in {', '.join(edge)}"
        return sides, reason

    @staticmethod
    def _side(dimension: Dimension, values: Sequence[Any]) -> Side:
        if not dimension.ordered:
            kept = {value_key(value) for value in values}
            return Side(choices=tuple(choice for choice in dimension.range.choices if value_key(choice) in kept))
        cells: npt.NDArray[np.float64] = np.array([dimension.cell(value) for value in values])
        low, high = float(cells[:, 0].min()), float(cells[:, 1].max())
        margin = (high - low) / (2 * (len(values) - 1))
        return Side(max(0.0, low - margin), min(1.0, high + margin))


def _on_edge(dimension: Dimension, side: Side, best: Trial) -> bool:
    """Whether the best lies at an end of the box along this key, within 2 % of its width."""
    if side.choices is not None:
        return False
    start, stop = dimension.cell(best.values[dimension.key])
    near = EDGE * (side.high - side.low)
    return start <= side.low + near or stop >= side.high - near
