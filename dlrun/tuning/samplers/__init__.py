"""Samplers: where in the space to try next.

A sampler is asked with all trials that are told so far and answers with draws that it can make knowing these; it is
asked again once they are told, and answers with nothing at the end. Trials are numbered from 0. All but `optuna` are
pure functions of (seed, what is told), so that a search broken off anywhere goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from dlrun.errors import ConfigError
from dlrun.tuning.samplers.coarse_to_fine import CoarseToFine
from dlrun.tuning.samplers.grid import GridSearch
from dlrun.tuning.samplers.optuna import OptunaSearch
from dlrun.tuning.samplers.random import RandomSearch
from dlrun.tuning.samplers.sobol import SobolSearch
from dlrun.tuning.space import Space
from dlrun.tuning.trials import Draw, Trial


class Sampler(Protocol):
    """What the search asks."""

    notes: tuple[str, ...]  # what a reader should know about the draws

    @property
    def total(self) -> int:
        """How many trials it draws in all."""

    def ask(self, told: Mapping[int, Trial]) -> list[Draw]:
        """The draws to make next, some of which may be told already; none when it is at its end."""


Made = Callable[[Space, int, int, int], Sampler]

SAMPLERS: dict[str, Made] = {
    "random": lambda space, trials, seed, rounds: RandomSearch(space, trials=trials, seed=seed),
    "grid": lambda space, trials, seed, rounds: GridSearch(space, trials=trials),
    "coarse-to-fine": lambda space, trials, seed, rounds: CoarseToFine(space, trials=trials, seed=seed, rounds=rounds),
    "sobol": lambda space, trials, seed, rounds: SobolSearch(space, trials=trials, seed=seed),
    "optuna": lambda space, trials, seed, rounds: OptunaSearch(space, trials=trials, seed=seed),
}

# Trial t is the same whether t + 1 or more are asked for.
EXTENSIBLE = ("random", "sobol")


def make_sampler(name: str, space: Space, *, trials: int, seed: int, rounds: int) -> Sampler:
    """The sampler of this name. Raises ConfigError."""
    if name not in SAMPLERS:
        raise ConfigError(f"--sampler {name}: there is no such sampler; should be one of {', '.join(SAMPLERS)}")
    return SAMPLERS[name](space, trials, seed, rounds)
