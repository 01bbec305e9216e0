"""Random search (G1): every trial anywhere in the space, whatever the others gave."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dlrun.rng import generator
from dlrun.tuning.space import Space
from dlrun.tuning.trials import Draw, Trial


def uniform_units(space: Space, seed: int, trial: int) -> npt.NDArray[np.float64]:
    """u (d,) of a trial: a pure function of (seed, trial, key), so that a new key changes no other key's draws."""
    return np.array([generator(seed, trial, f"tune {key}").random() for key in space.keys])


class RandomSearch:
    """Independent draws; Bergstra and Bengio 2012 say why they beat a grid where few of the keys matter."""

    notes: tuple[str, ...] = ()

    def __init__(self, space: Space, *, trials: int, seed: int) -> None:
        self._space, self.total, self._seed = space, trials, seed

    def ask(self, told: Mapping[int, Trial]) -> list[Draw]:
        if len(told) >= self.total:
            return []
        return [
            Draw(number=t, values=self._space.values(uniform_units(self._space, self._seed, t)))
            for t in range(self.total)
        ]
