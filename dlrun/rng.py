"""Random streams keyed by (seed, replica, purpose, counters), and by nothing else.

A replica's rows, batch order, masks and initial weights depend on its key alone, so that it draws
the same numbers in a stack of a thousand as it does by itself.

Two generators:

- `generator` gives a NumPy `Generator` (Philox 4x64-10, keyed through `SeedSequence`) for draws
  made once on the host: splits, resamples, initial weights.
- `stream_keys`, `random_bits` and `permutations` are SplitMix64 (Steele, Lea and Flood 2014, "Fast
  splittable pseudorandom number generators") used as a counter-based generator: word i of the stream
  with key k is mix(k + (i + 1)·γ). It is stateless, vectorizes over replicas and gives the same bits
  on NumPy and on CuPy; batch orders and dropout masks come from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]

GAMMA = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


def _entropy(seed: int, replica: int, purpose: str, counters: Sequence[int]) -> list[int]:
    """The key as a list of non-negative integers; the purpose enters by its SHA-256."""
    tag = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")
    return [seed, replica, tag, *counters]


def generator(seed: int, replica: int, purpose: str, *counters: int) -> np.random.Generator:
    """A generator whose draws are a pure function of the arguments (all integers ≥ 0)."""
    entropy = _entropy(seed, replica, purpose, counters)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def stream_keys(seeds: Sequence[int], replicas: Sequence[int], purpose: str) -> UInt64Array:
    """One 64-bit key per replica for `random_bits`, shape (R,).

    `seeds[r]` and `replicas[r]` are the seed and the number by which replica r is known.
    """
    keys = [
        np.random.SeedSequence(_entropy(seed, replica, purpose, ())).generate_state(1, np.uint64)[0]
        for seed, replica in zip(seeds, replicas, strict=True)
    ]
    return np.array(keys, dtype=np.uint64)


def _mix(z: Any, xp: Any, scratch: Any = None) -> Any:
    """SplitMix64's finalizer, in place on a uint64 array; `scratch` is room of the same shape."""
    scratch = xp.right_shift(z, xp.uint64(30), out=scratch)
    z ^= scratch
    z *= xp.uint64(MIX_1)
    xp.right_shift(z, xp.uint64(27), out=scratch)
    z ^= scratch
    z *= xp.uint64(MIX_2)
    xp.right_shift(z, xp.uint64(31), out=scratch)
    z ^= scratch
    return z


def fold_in(keys: Any, counter: int, xp: Any = np) -> Any:
    """New keys (R,) for the counter's sub-stream (an epoch, a step, a layer) of each key."""
    z = keys ^ xp.uint64((counter * GAMMA + MIX_1) & 0xFFFFFFFFFFFFFFFF)
    return _mix(z, xp)


def stream_steps(count: int, xp: Any = np) -> Any:
    """(i + 1)·γ for the first `count` words of any stream: uint64 (1, count)."""
    steps = xp.arange(1, count + 1, dtype=xp.uint64)
    steps *= xp.uint64(GAMMA)
    return steps[None, :]


def fill_bits(keys: Any, steps: Any, words: Any, scratch: Any, xp: Any = np) -> None:
    """The words of `random_bits` into `words` (R, count) with `scratch` (R, count), and no array besides."""
    xp.add(keys[:, None], steps, words)
    _mix(words, xp, scratch)


def random_bits(keys: Any, count: int, xp: Any = np) -> Any:
    """The first `count` 64-bit words of each key's stream: uint64 (R, count)."""
    words, scratch = (xp.empty((len(keys), count), xp.uint64) for _ in range(2))
    fill_bits(keys, stream_steps(count, xp), words, scratch, xp)
    return words


def permutations(keys: UInt64Array, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A random permutation of 0 … counts[r]−1 for each key: int64 (R, max count), padded with −1.

    Rows are ordered by random 64-bit words; a tie has probability n²/2⁶⁵.
    """
    different, place = np.unique(np.stack([keys, counts.astype(np.uint64)], axis=1), axis=0, return_inverse=True)
    if len(different) < len(keys):  # replicas that share their streams share their orders
        once = permutations(np.ascontiguousarray(different[:, 0]), different[:, 1].astype(np.int64))
        return np.asarray(once[place.reshape(-1)])
    width = int(counts.max(initial=0))
    words = random_bits(keys, width)
    if (counts == width).all():
        return np.argsort(words, axis=1) if width else words.astype(np.int64)
    result = np.full((len(keys), width), -1, dtype=np.int64)
    for row, count in enumerate(counts):  # the words of row r's own positions decide alone
        result[row, :count] = np.argsort(words[row, :count])
    return result
