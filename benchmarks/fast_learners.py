"""Learners quick enough to be fitted a million times, for the simulations.

Each takes data X (n, d), classes y (n,) in {0, 1}, or numbers, and row weights W (R, n), how often each of R training
parts holds each row, and gives the predictions (R, m) of R fits for the rows `new` (m, d).
"""

from __future__ import annotations

import numpy as np


def nearest_centroid(X: np.ndarray, y: np.ndarray, W: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The class whose mean is nearer."""
    means = []
    for label in (0, 1):
        w = W * (y == label)  # (R, n)
        means.append((w @ X) / np.maximum(w.sum(axis=1, keepdims=True), 1))
    direction = means[1] - means[0]  # (R, d)
    threshold = (direction * (means[0] + means[1]) / 2).sum(axis=1, keepdims=True)
    return (direction @ new.T > threshold).astype(np.int64)


def least_squares(X: np.ndarray, y: np.ndarray, W: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The sign of a linear fit to ±1, with a very small ridge."""
    Z, Z_new = (np.column_stack([rows, np.ones(len(rows))]) for rows in (X, new))
    weighted = W[:, :, None] * Z  # (R, n, d + 1)
    A = weighted.transpose(0, 2, 1) @ Z + 1e-3 * np.eye(Z.shape[1])
    b = W @ (Z * (2 * y - 1)[:, None])
    return (np.linalg.solve(A, b[:, :, None])[:, :, 0] @ Z_new.T > 0).astype(np.int64)


def nearest_neighbor(X: np.ndarray, y: np.ndarray, W: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The class of the nearest training row: a memorizer."""
    order = np.argsort(((new[:, None] - X) ** 2).sum(axis=2), axis=1)  # (m, n), nearest first
    return np.array([y[order[np.arange(len(new)), (w[order] > 0).argmax(axis=1)]] for w in W])


def linear_regression(X: np.ndarray, y: np.ndarray, W: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A linear fit to numbers, with a very small ridge."""
    Z, Z_new = (np.column_stack([rows, np.ones(len(rows))]) for rows in (X, new))
    A = (W[:, :, None] * Z).transpose(0, 2, 1) @ Z + 1e-6 * np.eye(Z.shape[1])
    return np.linalg.solve(A, (W @ (Z * y[:, None]))[:, :, None])[:, :, 0] @ Z_new.T


def constant(X: np.ndarray, y: np.ndarray, W: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The class of most rows, or the mean of the numbers."""
    mean = (W @ y) / W.sum(axis=1)
    answer = (mean > 0.5).astype(np.int64) if y.dtype.kind == "i" else mean
    return np.broadcast_to(answer[:, None], (len(W), len(new)))
