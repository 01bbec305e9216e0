"""How exactly a cost is computed: the rounding error that a difference of two costs cannot get rid of."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, sqrt

import numpy as np
import numpy.typing as npt

from dlrun.rng import generator

FloatArray = npt.NDArray[np.float64]
POINTS = 16
ORDERS = (4, 5, 6)
SPACING = 1e-9
UNIT = 2.0**-53  # the rounding unit of float64


def rounding_error(costs: Callable[[FloatArray], FloatArray], theta: FloatArray, *, directions: int = 3) -> float:
    """The standard deviation σ of the rounding error of J near θ, from difference tables.

    On points so near each other that a smooth J is a straight line, k-th differences are rounding alone, with mean
    square (2k)!/(k!)²·σ² (Hamming 1962; Moré and Wild 2011, "Estimating computational noise"). The smallest estimate
    of a few random directions is taken, since a kink on the way would look like noise; never less than the unit of J.
    """
    random = generator(0, 0, "rounding error")
    found = []
    for _ in range(directions):
        direction = random.standard_normal(len(theta))
        steps = np.arange(1, POINTS + 1)  # all on one side: θ itself may lie on a kink, as a weight of 0 under L1 does
        values = costs(theta + SPACING * steps[:, None] * direction)
        estimates = [sqrt(float(np.mean(np.diff(values, k) ** 2)) / comb(2 * k, k)) for k in ORDERS]
        found.append(float(np.median(estimates)))
    size = abs(float(costs(theta[None])[0]))
    return max(min(found), UNIT * size, float(np.finfo(np.float64).tiny))
