"""What a search draws, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FINISHED = "done"


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One point of the space, to be tried; `round` counts from 0."""

    number: int
    values: Mapping[str, Any]
    round: int = 0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A draw after its training.

    search   0 for the search itself, i for the search inside outer fold i, −1 for a winner on its outer fold
    status   "done", "pruned", "diverged" or "failed"; `reason` says why for all but "done"
    score    the error on the rows that score it (the mean over folds), None where there is none
    cost     likewise, which decides between equal scores; None where it is not finite
    folds    the error of each fold
    rungs    epoch, score and cost at each rung of halving that was reached
    epochs   epochs trained (the most of any fold); `trained` and `planned` count them over all folds
    """

    number: int
    values: Mapping[str, Any]
    round: int = 0
    search: int = 0
    status: str = FINISHED
    score: float | None = None
    cost: float | None = None
    epochs: int = 0
    folds: tuple[float, ...] = ()
    rungs: tuple[tuple[int, float, float], ...] = field(default=())
    trained: int = 0
    planned: int = 0
    reason: str = ""

    @property
    def done(self) -> bool:
        """Whether it was trained to its end and has a score."""
        return self.status == FINISHED

    def order(self) -> tuple[Any, ...]:
        """Sorts trials from best to worst.

        Those that finished come first, by score and then cost; then the pruned, who got further first; then the
        rest. What is equal in all stays in the order of the numbers.
        """
        group = {FINISHED: 0, "pruned": 1}.get(self.status, 2)
        further = -self.epochs if group == 1 else 0
        return (group, further, _or_infinite(self.score), _or_infinite(self.cost), self.number)

    def to_json(self) -> dict[str, Any]:
        """As the journal holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Trial:
        """The trial that `to_json` described."""
        read = dict(record)
        read["values"] = {key: _frozen(value) for key, value in record["values"].items()}
        read["folds"] = tuple(math.nan if fold is None else float(fold) for fold in record["folds"])
        read["rungs"] = tuple((int(epoch), float(score), _or_infinite(cost)) for epoch, score, cost in record["rungs"])
        return cls(**read)


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """From best to worst."""
    return sorted(trials, key=Trial.order)


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The best that finished."""
    return next((trial for trial in ranked(trials) if trial.done), None)


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None or math.isnan(value) else value


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
