"""Data augmentation for rows of numbers (C4): noise, and the mirror image of small pictures.

Only the batches of training are changed, after they were gathered and scaled; evaluation, and the gradient check,
see the rows as they are. What is drawn depends on (seed, replica, epoch, step, place in the batch) alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend
from dlrun.rng import fill_bits, fold_in, stream_steps

FloatArray = npt.NDArray[np.float64]
_MIRROR, _NOISE = 1, 2  # what a step draws, each from its own stream


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is done to a training row.

    noise    standard deviation of the normal noise on every numeric feature, in scaled units
    mirror   a row is a picture, line by line, of so many pixels a line; every other one, by chance, is mirrored
    numeric  (d,) which features are numbers; categories have no noise
    """

    noise: float
    mirror: int | None
    numeric: tuple[bool, ...]


class Augmentation:
    """Bound to the inputs of a batch (R, B, d+1), whose last column, the ones, stays as it is."""

    def __init__(
        self, backend: Backend, settings: Augment, inputs: Array, *, shift: FloatArray, scale: FloatArray
    ) -> None:
        """shift, scale (R, d): how each replica's rows are scaled, for a mirrored pixel has another's scaling."""
        self._xp: Any = backend.xp
        self._x = inputs[:, :, :-1]
        R, B, d = self._x.shape
        dtype = inputs.dtype
        self._mirror = settings.mirror is not None
        if settings.mirror is not None:
            order = mirrored_order(d, settings.mirror)
            other = scale[:, order]
            factor = np.divide(scale, other, out=np.zeros_like(scale), where=other != 0)
            self._order = backend.to_device(order)
            self._factor = backend.to_device(factor[:, None, :], dtype)
            self._offset = backend.to_device(((shift[:, order] - shift) * scale)[:, None, :], dtype)
            self._mirrored = backend.empty((R, B, d), dtype)
            self._flips = _Words(backend, R, B)
            self._flipped = backend.empty((R, B), bool)
        self._noise = settings.noise > 0
        if self._noise:
            spread = np.where(settings.numeric, settings.noise, 0.0)
            self._spread = backend.to_device(spread[None, None, :], dtype)
            pairs = -(-B * d // 2)
            self._draws = _Words(backend, R, pairs)
            self._radius, self._angle, self._part = (backend.empty((R, pairs), np.float64) for _ in range(3))
            self._normal = backend.empty((R, 2 * pairs), dtype)
            self._change = backend.empty((R, B, d), dtype)

    def apply(self, epoch_keys: Array, step: int) -> None:
        """Change the rows in place, for this step of the epoch whose keys (R,) these are."""
        keys = fold_in(epoch_keys, step, self._xp)
        if self._mirror:
            self._mirror_rows(fold_in(keys, _MIRROR, self._xp))
        if self._noise:
            self._add_noise(fold_in(keys, _NOISE, self._xp))

    def _mirror_rows(self, keys: Array) -> None:
        xp = self._xp
        words = self._flips.draw(keys, xp)
        xp.greater_equal(words, xp.uint64(1 << 63), self._flipped)
        xp.take(self._x, self._order, axis=2, out=self._mirrored, mode="clip")
        xp.multiply(self._mirrored, self._factor, self._mirrored)
        xp.add(self._mirrored, self._offset, self._mirrored)
        xp.copyto(self._x, self._mirrored, where=self._flipped[:, :, None])

    def _add_noise(self, keys: Array) -> None:
        """Box and Muller (1958): √(−2 ln u)·cos 2πv and …·sin 2πv are two normal numbers."""
        xp = self._xp
        halves = self._draws.draw(keys, xp).view(xp.uint32).reshape(len(keys), -1, 2)
        xp.add(halves[:, :, 0], 0.5, out=self._radius)  # never 0, whose logarithm is none
        xp.multiply(self._radius, 2.0**-32, self._radius)
        xp.log(self._radius, self._radius)
        xp.multiply(self._radius, -2.0, self._radius)
        xp.sqrt(self._radius, self._radius)
        xp.multiply(halves[:, :, 1], 2 * math.pi * 2.0**-32, out=self._angle)
        pairs = self._normal.reshape(len(keys), -1, 2)
        for place, function in enumerate((xp.cos, xp.sin)):
            function(self._angle, self._part)
            xp.multiply(self._part, self._radius, self._part)
            pairs[:, :, place] = self._part
        R, B, d = self._x.shape
        normal = self._normal[:, : B * d].reshape(R, B, d)
        xp.multiply(normal, self._spread, self._change)
        xp.add(self._x, self._change, self._x)


def mirrored_order(features: int, width: int) -> npt.NDArray[np.int64]:
    """Which feature stands in each one's place in the mirror image: every line of `width` pixels backwards."""
    return np.ascontiguousarray(np.arange(features).reshape(-1, width)[:, ::-1].reshape(-1))


class _Words:
    """Room for the first `count` words of each replica's stream."""

    def __init__(self, backend: Backend, R: int, count: int) -> None:
        self._steps = stream_steps(count, backend.xp)
        self._words, self._scratch = (backend.empty((R, count), np.uint64) for _ in range(2))

    def draw(self, keys: Array, xp: Any) -> Array:
        """The words (R, count) of these keys (R,)."""
        fill_bits(keys, self._steps, self._words, self._scratch, xp)
        return self._words
