"""The order in which an epoch goes through a large table: shuffled in two levels, so that files are read in long runs.

A table of up to 256 MB as numbers is permuted as a whole. The rows of a larger one are cut into blocks of neighbours;
the blocks are permuted, and their sequence is cut into windows of about 128 blocks, each a whole number of batches.
Within a window, rows are permuted freely. A window is what a streamed table holds in memory, and what a cache can
hold of one that is in memory.

The order is a function of (seed, replica, epoch) and of sizes: rows and columns of the table, rows of the replica and
of a batch. Where the rows are kept, and on what machine, does not enter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dlrun.rng import fold_in, permutations, random_bits

WHOLE_BYTES = 256_000_000  # rows × (features + 1) × 8 up to which a table is permuted as a whole
WINDOW_VALUES = 1 << 22  # numbers in a window
BLOCK_VALUES = 1 << 15  # numbers in a block

IntArray = npt.NDArray[np.int64]


def is_large(rows: int, features: int) -> bool:
    """Whether a table of this size is shuffled in two levels."""
    return rows * (features + 1) * 8 > WHOLE_BYTES


def window_batches(features: int, batch_rows: int) -> int:
    """How many batches of so many rows make a window."""
    return max(1, WINDOW_VALUES // ((features + 1) * batch_rows))


def block_rows(features: int) -> int:
    """How many neighbouring rows make a block."""
    return max(1, BLOCK_VALUES // (features + 1))


def two_level_order(key: np.uint64, rows: int, *, window: int, block: int) -> IntArray:
    """A permutation (rows,) of 0 … rows−1, from the stream with this key.

    Place p of it lies in window p // `window`, whose rows come from as many blocks of `block` neighbours as it takes.
    """
    keys = np.array([key], np.uint64)
    count = -(-rows // block)
    order = np.empty(rows, np.int64)
    at = 0
    for number in permutations(keys, np.array([count]))[0].tolist():
        first = number * block
        stop = at + min(block, rows - first)
        order[at:stop] = np.arange(first, first + stop - at)
        at = stop
    for number, start in enumerate(range(0, rows, window), start=1):
        part = order[start : start + window]
        part[:] = part[_permutation(fold_in(keys, number), len(part))]
    return order


def _permutation(key: npt.NDArray[np.uint64], count: int) -> IntArray:
    """A permutation of 0 … count−1: places sorted by random bits above them, which is faster than an argsort.

    With b bits for the place 64 − b are left to order by; two equal ones have probability count²/2^(65−b).
    """
    bits = max(1, int(count - 1).bit_length())
    words = random_bits(key, count)[0]
    words <<= np.uint64(bits)
    words |= np.arange(count, dtype=np.uint64)
    words.sort()
    words &= np.uint64((1 << bits) - 1)
    return np.asarray(words.view(np.int64))
