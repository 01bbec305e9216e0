"""Dropout masks for a stack: pure functions of (seed, replica, epoch, step, layer, row, unit).

Inverted dropout: a unit is kept with probability keep_prob and then divided by it, so that its mean is
unchanged and nothing is done at test time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlrun.backend import Array, Backend
from dlrun.rng import fold_in, random_bits


class DropoutMasks:
    """Fills the mask arrays of a plan, `masks[layer]` (R, B, n), each element 0 or 1/keep_prob."""

    def __init__(
        self, backend: Backend, keys: Array, keep_prob: Sequence[Sequence[float]], masks: Mapping[int, Array]
    ) -> None:
        self._xp, self._keys = backend.xp, keys
        self._layers: list[tuple[int, Array, Array, Array]] = []
        for layer, mask in masks.items():
            keep = np.array([replica[layer - 1] for replica in keep_prob])
            last = np.minimum(np.round(keep * 2.0**32), 2.0**32) - 1  # the largest 32-bit word that keeps
            threshold = backend.to_device(last[:, None].astype(np.uint32), np.uint32)
            factor = backend.to_device((1 / keep)[:, None, None], mask.dtype)
            self._layers.append((layer, mask, threshold, factor))

    def draw(self, epoch_keys: Array, step: int) -> None:
        """New masks for this step of the epoch whose keys these are."""
        xp: Any = self._xp
        for layer, mask, threshold, factor in self._layers:
            R, size = mask.shape[0], mask.shape[1] * mask.shape[2]
            words = random_bits(fold_in(fold_in(epoch_keys, step, xp), layer, xp), -(-size // 2), xp)
            kept = words.view(xp.uint32)[:, :size] <= threshold
            xp.multiply(kept.reshape(R, *mask.shape[1:]), factor, mask)
