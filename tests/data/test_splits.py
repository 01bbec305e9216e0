from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlrun.config.schema import SplitConfig
from dlrun.data import Dataset, Split, split_rows, strata_of
from dlrun.data.splits import largest_remainder, stratified_counts
from dlrun.errors import DataError


def parts(split: Split) -> list[np.ndarray]:
    return [split.train, split.dev, split.test]


@pytest.mark.parametrize(
    ("n", "shares", "sizes"),
    [
        (1000, (0.7, 0.0, 0.3), (700, 0, 300)),
        (1000, (0.6, 0.2, 0.2), (600, 200, 200)),
        (1_000_000, (0.995, 0.0025, 0.0025), (995_000, 2500, 2500)),
        (25, (0.6, 0.2, 0.2), (15, 5, 5)),
        (4, (1.0, 0.0, 0.0), (4, 0, 0)),
        (100, (0.29, 0.71, 0.0), (29, 71, 0)),
        (7, (0.6, 0.2, 0.2), (4, 2, 1)),  # 4.2, 1.4, 1.4: one over, the tie to the earlier part
    ],
)
def test_sizes_of_the_texts_shares(n: int, shares: tuple[float, ...], sizes: tuple[int, ...]) -> None:
    assert tuple(largest_remainder(n, shares)) == sizes
    config = SplitConfig(train=shares[0], dev=shares[1], test=shares[2])
    assert tuple(len(part) for part in parts(split_rows(n, config, seed=0))) == sizes


def test_a_million_rows_of_ten_classes_split_quickly() -> None:
    strata = np.random.default_rng(0).integers(0, 10, 1_000_000)
    start = time.perf_counter()
    split = split_rows(1_000_000, SplitConfig(train=0.995, dev=0.0025, test=0.0025), seed=0, strata=strata)
    assert time.perf_counter() - start < 5
    assert [len(part) for part in parts(split)] == [995_000, 2500, 2500]


shares_of_three = st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(lambda share: share[0] > 0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=120), shares_of_three, st.integers(0, 5))
def test_parts_are_disjoint_covering_balanced_and_reproducible(
    strata: list[int], weights: list[int], seed: int
) -> None:
    n, total = len(strata), sum(weights)
    shares = [weight / total for weight in weights]
    config = SplitConfig(train=shares[0], dev=shares[1], test=shares[2])
    sizes = largest_remainder(n, shares)
    if any(share > 0 and size == 0 for share, size in zip(shares, sizes, strict=True)):
        with pytest.raises(DataError, match="part empty"):
            split_rows(n, config, seed=seed, strata=strata)
        return
    split = split_rows(n, config, seed=seed, strata=strata)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts(split))), np.arange(n))
    for part, size in zip(parts(split), sizes, strict=True):
        assert len(part) == size
        assert (np.diff(part) > 0).all()
    for stratum in set(strata):
        for part, share in zip(parts(split), shares, strict=True):
            exact = strata.count(stratum) * share
            assert abs(np.sum(np.array(strata)[part] == stratum) - exact) < 1
    again = split_rows(n, config, seed=seed, strata=strata)
    assert split.hash == again.hash


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), shares_of_three)
def test_rounding_keeps_both_margins(sizes: list[int], weights: list[int]) -> None:
    shares = [weight / sum(weights) for weight in weights]
    counts = stratified_counts(np.array(sizes), shares)
    exact = np.outer(sizes, shares)
    np.testing.assert_array_equal(counts.sum(axis=1), sizes)
    np.testing.assert_array_equal(counts.sum(axis=0), largest_remainder(sum(sizes), shares))
    assert (np.abs(counts - exact) < 1).all()


def test_another_seed_and_no_strata_split_otherwise() -> None:
    config = SplitConfig()
    strata = np.arange(60) % 3
    hashes = {split_rows(60, config, seed=seed, strata=strata).hash for seed in range(5)}
    assert len(hashes) == 5
    plain = SplitConfig(train=0.6, dev=0.2, test=0.2, stratify=False)
    assert split_rows(60, plain, seed=0, strata=strata).hash == split_rows(60, plain, seed=0).hash


def test_every_row_is_equally_likely_to_be_tested() -> None:
    counts = np.zeros(20)
    for seed in range(400):
        counts[split_rows(20, SplitConfig(), seed=seed, strata=np.arange(20) < 5).test] += 1
    assert np.abs(counts / 400 - 0.2).max() < 0.1  # 5 standard deviations of a share of 0.2


def test_single_rows_of_a_class_are_trained_on_where_sizes_allow() -> None:
    strata = [0] * 31 + [1, 2]
    for seed in range(5):
        split = split_rows(33, SplitConfig(), seed=seed, strata=strata)
        assert [len(part) for part in parts(split)] == [20, 7, 6]
        assert set(split.train) >= {31, 32}


def test_a_part_without_rows_is_an_error() -> None:
    with pytest.raises(
        DataError, match=r"2 rows split 60/20/20 % leave the test part empty; .*data.split=\{train=0.75, dev=0.25\}"
    ):
        split_rows(2, SplitConfig(), seed=0)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 2)), min_size=12, max_size=150),
    st.integers(0, 3),
)
def test_groups_are_never_cut(rows: list[tuple[int, int]], seed: int) -> None:
    groups = np.array([group for group, _ in rows])
    strata = [stratum for _, stratum in rows]
    if len(set(groups)) < 3:
        with pytest.raises(DataError, match=r"groups .* cannot be kept whole in 3 parts"):
            split_rows(len(rows), SplitConfig(), seed=seed, strata=strata, groups=groups)
        return
    split = split_rows(len(rows), SplitConfig(), seed=seed, strata=strata, groups=groups)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts(split))), np.arange(len(rows)))
    held = [set(groups[part]) for part in parts(split)]
    assert all(held)
    assert sum(len(each) for each in held) == len(set(groups))
    again = split_rows(len(rows), SplitConfig(), seed=seed, strata=strata, groups=groups)
    assert again.hash == split.hash


def test_many_groups_meet_sizes_and_strata_nearly() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 200, 2000)
    strata = random.integers(0, 2, 2000)
    split = split_rows(2000, SplitConfig(), seed=0, strata=strata, groups=groups)
    largest = np.bincount(groups).max()
    for part, share in zip(parts(split), (0.6, 0.2, 0.2), strict=True):
        assert abs(len(part) - share * 2000) <= 2 * largest
        assert abs(strata[part].mean() - strata.mean()) < 0.03


def test_strata_of_a_regression_are_bins_of_equal_count(dataset: Callable[..., Dataset]) -> None:
    strata = strata_of(dataset(source="diabetes"))
    assert np.bincount(strata).tolist() == pytest.approx([44.2] * 10, abs=4)  # ties share a bin
    target = dataset(source="diabetes").target
    for below, above in zip(range(9), range(1, 10), strict=True):
        assert target[strata == below].max() < target[strata == above].min()
    assert len(np.unique(strata_of(dataset(source="blood_fat")))) == 5


def test_strata_of_classes(dataset: Callable[..., Dataset]) -> None:
    iris = dataset(source="iris")
    split = split_rows(150, SplitConfig(), seed=1, strata=strata_of(iris))
    for part, count in zip(parts(split), (30, 10, 10), strict=True):
        assert np.bincount(iris.target[part]).tolist() == [count] * 3
