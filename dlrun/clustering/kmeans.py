"""k-means (Lloyd 1957, published 1982), with k-means++ starts (Arthur and Vassilvitskii 2007), many starts at once.

    inertia = Σ_i min_c ‖x_i − μ_c‖²

Each start is a replica: centres (R, k, d), one stacked product X·μᵀ for the distances of all of them, one for the new
centres. A start that no longer changes leaves the stack. What a start gives depends on its number and the seed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dlrun.errors import ConfigError
from dlrun.rng import generator

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Start = Literal["k-means++", "random"]
STARTS: tuple[Start, ...] = ("k-means++", "random")
_AT_ONCE = 1 << 22  # distances held at a time


@dataclass(frozen=True, eq=False)
class Clustering:
    """What each start ended with.

    centres     (R, k, d)
    labels      (R, n) the nearest centre of each row; of centres equally near the first counts
    inertia     (R,) the sum of squared distances to them
    iterations  (R,) rounds until no row changed its cluster, or the most that were allowed
    converged   (R,) whether no row changed its cluster in the last one
    """

    centres: FloatArray
    labels: IntArray
    inertia: FloatArray
    iterations: IntArray
    converged: npt.NDArray[np.bool_]

    @property
    def best(self) -> int:
        """The start with the least inertia; the first one of several."""
        return int(self.inertia.argmin())


def kmeans(
    X: FloatArray,
    clusters: int,
    *,
    starts: int = 10,
    seed: int = 0,
    start: Start = "k-means++",
    first: FloatArray | None = None,
    iterations: int = 300,
) -> Clustering:
    """Cluster the rows X (n, d), finite, from `starts` starts; `first` (R, k, d) gives the first centres instead.

    A centre that loses all its rows moves to the row that is farthest from its own. Raises ConfigError where there
    are fewer different rows than clusters.
    """
    different = len(np.unique(X, axis=0))
    if not 1 <= clusters <= different:
        raise ConfigError(f"--clusters {clusters}: should be from 1 to {different}, the number of different rows")
    middle = X.mean(axis=0)
    rows = X - middle  # ‖x−μ‖² is expanded below; near 0 that keeps its digits
    if first is None:
        first = np.stack([first_centres(rows, clusters, start, generator(seed, r, "k-means")) for r in range(starts)])
    else:
        first = first - middle
    size = max(1, _AT_ONCE // max(len(X) * clusters, 1))
    parts = [_lloyd(rows, first[i : i + size], iterations) for i in range(0, len(first), size)]
    joined = [np.concatenate(each) for each in zip(*parts, strict=True)]
    return Clustering(joined[0] + middle, *joined[1:])


def first_centres(X: FloatArray, clusters: int, start: Start, random: np.random.Generator) -> FloatArray:
    """(k, d): rows drawn without repetition, or for k-means++ each with probability ∝ D².

    D is a row's distance to the nearest centre that is there already; the first one is any row.
    """
    if start == "random":
        different = np.unique(X, axis=0)
        return np.asarray(different[random.choice(len(different), clusters, replace=False)])
    centres = [X[random.integers(len(X))]]
    nearest = ((X - centres[0]) ** 2).sum(axis=1)
    for _ in range(1, clusters):
        place = np.searchsorted(np.cumsum(nearest), random.random() * nearest.sum(), side="right")
        row = min(int(place), len(X) - 1)
        if nearest[row] == 0:  # rounding at the end of the sum
            row = int(nearest.argmax())
        centres.append(X[row])
        nearest = np.minimum(nearest, ((X - centres[-1]) ** 2).sum(axis=1))
    return np.stack(centres)


def squared_distances(X: FloatArray, centres: FloatArray) -> FloatArray:
    """‖x − μ‖² of every row (n, d) and centre (R, k, d): (R, n, k)."""
    products = np.matmul(X[None], centres.swapaxes(1, 2))  # one product for all starts
    products *= -2
    products += (centres**2).sum(axis=2)[:, None, :]
    products += (X**2).sum(axis=1)[None, :, None]
    return np.asarray(np.maximum(products, 0, out=products))


def _lloyd(
    X: FloatArray, centres: FloatArray, most: int
) -> tuple[FloatArray, IntArray, FloatArray, IntArray, npt.NDArray[np.bool_]]:
    """Assign and move, in turn, until no row changes its cluster."""
    R, k, _ = centres.shape
    centres = centres.copy()
    labels = np.full((R, len(X)), -1, np.int64)
    rounds, settled = np.zeros(R, np.int64), np.zeros(R, bool)
    going = np.arange(R)
    for _ in range(most):
        distances = squared_distances(X, centres[going])
        found = distances.argmin(axis=2)
        changed = (found != labels[going]).any(axis=1)
        labels[going] = found
        rounds[going] += 1
        settled[going[~changed]] = True
        going, distances, found = going[changed], distances[changed], found[changed]
        if not going.size:
            break
        centres[going] = _moved(X, found, distances, k)
    distances = squared_distances(X, centres)
    labels = distances.argmin(axis=2)
    # Once more from the differences themselves: the expanded form has lost digits where a row is on its centre.
    own = np.take_along_axis(centres, labels[:, :, None], axis=1)
    inertia = ((X[None] - own) ** 2).sum(axis=(1, 2))
    return centres, labels, inertia, rounds, settled


def _moved(X: FloatArray, labels: IntArray, distances: FloatArray, k: int) -> FloatArray:
    """The mean of each cluster's rows, (R, k, d)."""
    members = (labels[:, :, None] == np.arange(k)).astype(np.float64)  # (R, n, k)
    counts = members.sum(axis=1)  # (R, k)
    sums = np.matmul(members.swapaxes(1, 2), X[None])  # (R, k, d)
    centres = sums / np.maximum(counts, 1)[:, :, None]
    for r in np.flatnonzero((counts == 0).any(axis=1)):
        far = np.argsort(-distances[r].min(axis=1), kind="stable")
        for place, c in enumerate(np.flatnonzero(counts[r] == 0)):
            centres[r, c] = X[far[place]]
    return np.asarray(centres)
