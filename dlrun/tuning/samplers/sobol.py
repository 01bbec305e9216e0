"""Sobol's sequence: points that fill the space more evenly than random ones, without a grid's repetitions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dlrun.errors import ConfigError
from dlrun.rng import generator
from dlrun.tuning.space import Space
from dlrun.tuning.trials import Draw, Trial

BITS = 30
LARGEST = 21_201  # dimensions that SciPy has direction numbers for


class SobolSearch:
    """SciPy's unscrambled sequence under a random digital shift: u = (x XOR s) + ½ in units of 2⁻³⁰.

    The shift s depends on (seed, key) alone, and keeps the sequence's evenness (every block of 2^m points that starts
    at a multiple of 2^m has one point in each of 2^m equal parts of every axis).
    """

    notes: tuple[str, ...] = ()

    def __init__(self, space: Space, *, trials: int, seed: int) -> None:
        if len(space.keys) > LARGEST:
            raise ConfigError(f"--sampler sobol: {len(space.keys)} keys; there are directions for {LARGEST} at most")
        self._space, self.total, self._seed = space, trials, seed

    def _units(self) -> npt.NDArray[np.float64]:
        """Points (T, d)."""
        from scipy.stats.qmc import Sobol

        engine = Sobol(len(self._space.keys), scramble=False, bits=BITS)
        points = engine.random_base2(max(self.total - 1, 0).bit_length())[: self.total]
        words = np.round(points * 2.0**BITS).astype(np.uint64)
        shift = [generator(self._seed, 0, f"tune sobol {key}").integers(2**BITS) for key in self._space.keys]
        return np.asarray(((words ^ np.array(shift, np.uint64)) + 0.5) / 2.0**BITS)

    def ask(self, told: Mapping[int, Trial]) -> list[Draw]:
        if len(told) >= self.total:
            return []
        return [Draw(number=t, values=self._space.values(u)) for t, u in enumerate(self._units())]
