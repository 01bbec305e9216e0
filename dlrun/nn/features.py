"""Feature maps φ(x) in front of a network: given, not learned.

polynomial  every product of 1 … degree features, x_i x_j …, without the constant (the bias is it)
rbf         φ_j(x) = exp(−γ‖x − c_j‖²), the centres c_j drawn at random from the training rows
"""

from __future__ import annotations

from math import comb
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dlrun.graph.arithmetic import exp, square
from dlrun.graph.node import Node
from dlrun.graph.reductions import matmul, reduce_sum
from dlrun.graph.shaping import concatenate


class ScaledRows(Protocol):
    """Scaled training rows (n, d), or what gives the rows that are asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, places: npt.NDArray[np.int64], /) -> npt.NDArray[np.float64]: ...


def feature_count(feature_map: Any, inputs: int) -> int:
    """The number of features that the map makes of `inputs` columns."""
    if feature_map is None:
        return inputs
    if feature_map.name == "polynomial":
        return comb(inputs + feature_map.degree, feature_map.degree) - 1
    return int(feature_map.count)


def fixed_tensors(
    feature_map: Any, rows: ScaledRows, random: np.random.Generator
) -> dict[str, npt.NDArray[np.float64]]:
    """What a map draws once per replica: the centres (d, M) of `rbf`, from the scaled training rows."""
    if feature_map is None or feature_map.name != "rbf":
        return {}
    chosen = random.choice(len(rows), feature_map.count, replace=feature_map.count > len(rows))
    return {"centres": rows[chosen].T}


def live_features(feature_map: Any, live: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which of the map's features (M,) can differ from 0, from which columns (d,) can."""
    if feature_map is None:
        return live
    if feature_map.name == "rbf":
        return np.ones(feature_map.count, np.bool_)
    pieces, starts = [live], np.arange(len(live))  # in the order of `_polynomial`
    for _ in range(feature_map.degree - 1):
        blocks = [live[j] & pieces[-1][start:] for j, start in enumerate(starts)]
        starts = np.cumsum([0, *map(len, blocks[:-1])])
        pieces.append(np.concatenate(blocks))
    return np.concatenate(pieces)


def mapped(feature_map: Any, x: Node, fixed: dict[str, Node]) -> Node:
    """φ(x) for x (R, B, d): (R, B, M)."""
    if feature_map is None:
        return x
    if feature_map.name == "polynomial":
        return _polynomial(x, feature_map.degree)
    centres = fixed["centres"]  # (R, d, M)
    distance = (
        reduce_sum(square(x), -1, keepdims=True)
        - 2 * matmul(x, centres)
        + reduce_sum(square(centres), -2, keepdims=True)
    )
    return exp(-feature_map.gamma * distance)


def _polynomial(x: Node, degree: int) -> Node:
    """Terms of degree k whose first factor is x_j are x_j times those of degree k−1 that begin at x_j or later."""
    d = x.shape[-1]
    assert d is not None
    terms, starts = x, list(range(d))  # starts[j]: where the terms beginning with x_j begin
    pieces = [x]
    for _ in range(degree - 1):
        blocks = [x[:, :, j : j + 1] * terms[:, :, starts[j] :] for j in range(d)]
        sizes = [block.shape[-1] or 0 for block in blocks]
        terms = concatenate(blocks, -1) if d > 1 else blocks[0]
        starts = [sum(sizes[:j]) for j in range(d)]
        pieces.append(terms)
    return concatenate(pieces, -1) if degree > 1 else x
