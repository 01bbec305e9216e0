"""Dropout masks for a stack: pure functions of (seed, replica, epoch, step, layer, row, unit).

Inverted dropout: a unit is kept with probability keep_prob and then divided by it, so that its mean is
unchanged and nothing is done at test time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend
from dlrun.rng import fill_bits, fold_in, stream_steps


@dataclass(frozen=True)
class _Layer:
    """A mask (R, B, n), what decides it, and room to draw in."""

    number: int
    mask: Array
    threshold: Array  # (R, 1) uint32: the largest word that keeps a unit
    factor: Array  # (R, 1, 1): 1/keep_prob
    steps: Array  # (1, K) uint64: the counter of each 64-bit word, which serves two units
    words: Array  # (R, K) uint64
    scratch: Array  # (R, K) uint64
    kept: Array  # (R, B·n) bool


def last_kept(keep_prob: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """The largest 32-bit word that keeps a unit."""
    return np.asarray(np.clip(np.round(keep_prob * 2.0**32), 1, 2.0**32) - 1).astype(np.uint32)


class DropoutMasks:
    """Fills the mask arrays of a plan, `masks[layer]` (R, B, n), each element 0 or 1/keep_prob."""

    def __init__(self, backend: Backend, keep_prob: Sequence[Sequence[float]], masks: Mapping[int, Array]) -> None:
        self._xp: Any = backend.xp
        self._layers: list[_Layer] = []
        for number, mask in masks.items():
            keep = np.array([replica[number - 1] for replica in keep_prob])
            last = last_kept(keep)
            R, size = mask.shape[0], mask.shape[1] * mask.shape[2]
            pairs = -(-size // 2)
            self._layers.append(
                _Layer(
                    number=number,
                    mask=mask,
                    threshold=backend.to_device(last[:, None], np.uint32),
                    factor=backend.to_device((1 / keep)[:, None, None], mask.dtype),
                    steps=stream_steps(pairs, backend.xp),
                    words=backend.empty((R, pairs), np.uint64),
                    scratch=backend.empty((R, pairs), np.uint64),
                    kept=backend.empty((R, size), bool),
                )
            )

    def draw(self, epoch_keys: Array, step: int) -> None:
        """New masks for this step of the epoch whose keys (R,) these are."""
        xp = self._xp
        for layer in self._layers:
            keys = fold_in(fold_in(epoch_keys, step, xp), layer.number, xp)
            fill_bits(keys, layer.steps, layer.words, layer.scratch, xp)
            words = layer.words.view(xp.uint32)[:, : layer.kept.shape[1]]
            xp.less_equal(words, layer.threshold, layer.kept)
            xp.multiply(layer.kept.reshape(layer.mask.shape), layer.factor, layer.mask)
