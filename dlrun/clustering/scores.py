"""How good a clustering is: by its own distances, and beside labels where there are some."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_BLOCK = 1 << 21  # distances held at a time


def silhouettes(X: FloatArray, labels: IntArray) -> FloatArray:
    """s_i = (b − a)/max(a, b) of every row (n,), between −1 and 1 (Rousseeuw 1987).

    a is the mean distance to the other rows of its cluster, b the least mean distance to the rows of another. A row
    that is alone in its cluster has 0. n² distances, a block of rows at a time. Needs two clusters.
    """
    codes, labels = np.unique(labels, return_inverse=True)
    members = np.eye(len(codes))[labels]  # (n, k)
    sizes = members.sum(axis=0)
    rows = X - X.mean(axis=0)
    squares = (rows**2).sum(axis=1)
    result = np.zeros(len(X))
    step = max(1, _BLOCK // len(X))
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        products = rows[part] @ rows.T
        products *= -2
        products += squares[part, None] + squares[None]
        np.maximum(products, 0, out=products)
        index = np.arange(len(products))
        products[index, index + start] = 0  # a row's distance to itself, which rounding may have moved
        sums = np.sqrt(products, out=products) @ members  # (m, k)
        own = labels[part]
        others = np.maximum(sizes[own] - 1, 1)
        a = sums[index, own] / others
        means = sums / sizes
        means[index, own] = np.inf
        b = means.min(axis=1)
        larger = np.maximum(a, b)
        s = np.divide(b - a, larger, out=np.zeros(len(a)), where=larger > 0)
        result[part] = np.where(sizes[own] == 1, 0.0, s)
    return result


def adjusted_rand_index(first: IntArray, second: IntArray) -> float:
    """Agreement of two groupings of the same rows (Hubert and Arabie 1985): 1 if equal, 0 on average by chance.

    (Σ_ij C(n_ij, 2) − E)/(½(Σ_i C(a_i, 2) + Σ_j C(b_j, 2)) − E), E = Σ_i C(a_i, 2)·Σ_j C(b_j, 2)/C(n, 2).
    """
    _, a = np.unique(first, return_inverse=True)
    _, b = np.unique(second, return_inverse=True)
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1.0)

    def pairs(counts: FloatArray) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    rows, columns, both = pairs(table.sum(axis=1)), pairs(table.sum(axis=0)), pairs(table)
    expected = rows * columns / max(pairs(np.array([float(len(first))])), 1.0)
    most = (rows + columns) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)
