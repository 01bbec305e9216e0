"""Random streams: known words, independence of the company, and uniformity."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.rng import fill_bits, fold_in, generator, permutations, random_bits, stream_keys, stream_steps

MASK = (1 << 64) - 1


def splitmix64(state, count):
    """The generator as its authors write it, one word after another."""
    words = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        words.append(z ^ (z >> 31))
    return words


def test_known_words():
    """The first outputs for seed 1234567, as published with many implementations of SplitMix64."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix64(1234567, 5) == published
    assert random_bits(np.array([1234567], np.uint64), 5)[0].tolist() == published


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_words_are_splitmix64s_for_every_key(count):
    keys = np.array([0, 1, MASK, 987654321], np.uint64)
    found = random_bits(keys, count)
    assert found.tolist() == [splitmix64(int(key), count) for key in keys]


def test_words_into_given_room():
    keys = np.array([5, 6], np.uint64)
    words, scratch = np.empty((2, 9), np.uint64), np.empty((2, 9), np.uint64)
    fill_bits(keys, stream_steps(9), words, scratch)
    np.testing.assert_array_equal(words, random_bits(keys, 9))
    assert keys.tolist() == [5, 6]


def test_keys_depend_on_seed_replica_and_purpose_alone():
    alone = [stream_keys([seed], [replica], "order")[0] for seed, replica in ((1, 0), (1, 1), (2, 0))]
    assert stream_keys([1, 1, 2], [0, 1, 0], "order").tolist() == alone
    others = [*stream_keys([1], [0], "dropout"), *stream_keys([0], [1], "order")]
    assert len({*alone, *others}) == 5


def test_fold_in_gives_different_streams_and_keeps_its_keys():
    keys = stream_keys([3, 4], [0, 0], "order")
    before = keys.copy()
    folded = {int(key) for counter in range(1000) for key in fold_in(keys, counter)}
    assert len(folded) == 2000
    np.testing.assert_array_equal(keys, before)
    assert fold_in(keys, 10**12)[0] not in folded


def test_generator_is_a_function_of_its_arguments():
    draws = {
        arguments: generator(*arguments).random(4).tolist()
        for arguments in [(0, 0, "split"), (0, 1, "split"), (1, 0, "split"), (0, 0, "bootstrap"), (0, 0, "split", 1)]
    }
    assert len({tuple(values) for values in draws.values()}) == len(draws)
    for arguments, values in draws.items():
        assert generator(*arguments).random(4).tolist() == values


def test_permutations():
    keys = np.arange(4, dtype=np.uint64)
    counts = np.array([5, 3, 0, 5])
    found = permutations(keys, counts)
    assert found.shape == (4, 5)
    for row, count in zip(found, counts, strict=True):
        assert sorted(row[:count].tolist()) == list(range(count))
        assert (row[count:] == -1).all()
    for r in range(4):  # each alone, and in other company
        np.testing.assert_array_equal(permutations(keys[[r]], counts[[r]])[0], found[r, : counts[r]])
    equal = permutations(keys, np.full(4, 5))
    np.testing.assert_array_equal(equal[0], found[0])


def test_permutations_are_uniform():
    """All 24 orders of 4 come up alike: χ² with 23 degrees of freedom stays below its 99.99 % point, 58."""
    orders = permutations(np.arange(24_000, dtype=np.uint64), np.full(24_000, 4))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    assert ((counts - 1000) ** 2 / 1000).sum() < 58


def test_bits_are_fair():
    """Each of the 64 bits is 1 in half of 40 000 words, within 5 standard deviations."""
    words = random_bits(stream_keys([0], [0], "dropout"), 40_000)[0]
    shares = np.array([(words >> np.uint64(bit) & np.uint64(1)).mean() for bit in range(64)])
    assert (np.abs(shares - 0.5) < 5 * 0.5 / np.sqrt(40_000)).all()
