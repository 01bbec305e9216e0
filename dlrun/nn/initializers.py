"""Initial weights W (n_in, n_out): normal numbers of the variance that keeps activations in range.

    he      2/n_in            He, Zhang, Ren and Sun 2015, for relu
    xavier  1/n_in            the course texts' Xavier
    glorot  2/(n_in + n_out)  Glorot and Bengio 2010, for tanh
    normal  scale²            small or large random, as `model.scale` says
    zeros   0                 every unit of a layer stays equal to the others: symmetry is never broken

    diagonal is not random: W is 0 but on its diagonal, which holds `model.scale`, repeated as needed; through L linear
    layers with diag(1.5, 0.5) one unit grows as 1.5^L and the other shrinks as 0.5^L

Biases start at 0, batch normalization's γ at 1 and β at 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

STANDARD_DEVIATIONS: dict[str, Callable[[int, int, float], float]] = {
    "he": lambda fan_in, fan_out, scale: float(np.sqrt(2 / fan_in)),
    "xavier": lambda fan_in, fan_out, scale: float(np.sqrt(1 / fan_in)),
    "glorot": lambda fan_in, fan_out, scale: float(np.sqrt(2 / (fan_in + fan_out))),
    "normal": lambda fan_in, fan_out, scale: scale,
    "zeros": lambda fan_in, fan_out, scale: 0.0,
}


def initial_weights(
    name: str,
    fan_in: int,
    fan_out: int,
    *,
    random: np.random.Generator,
    scale: float | tuple[float, ...] = 0.01,
    columns: int | None = None,
) -> FloatArray:
    """W (fan_in, columns) ~ N(0, σ²), drawn in float64 so that both precisions start alike; or a diagonal matrix.

    `columns` are fan_out where they are left out; a convolution's are its filters.
    """
    shape = (fan_in, fan_out if columns is None else columns)
    if name == "diagonal":
        W = np.zeros(shape)
        np.fill_diagonal(W, np.resize(scale, min(shape)))
        return W
    assert not isinstance(scale, tuple)
    deviation = STANDARD_DEVIATIONS[name](fan_in, fan_out, scale)
    return random.standard_normal(shape) * deviation
