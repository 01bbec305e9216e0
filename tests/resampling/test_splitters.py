"""Splitters: partition, balance, groups whole, determinism; beside scikit-learn's guarantees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, StratifiedShuffleSplit

from dlrun.errors import ConfigError, DataError
from dlrun.resampling.inner_split import inner_split
from dlrun.resampling.resamples import Resamples, drawn_counts, split_hash
from dlrun.resampling.splitters import bootstrap, holdout, k_fold, leave_one_out

quick = settings(max_examples=40, deadline=None)
sizes = st.integers(4, 60)
seeds = st.integers(0, 2**31)


def labels_of(draw_seed: int, n: int, kinds: int) -> np.ndarray:
    return np.random.default_rng(draw_seed).integers(0, kinds, n)


def assert_partition(splits: Resamples, folds: int) -> None:
    """In each repeat the test parts divide the rows, and each training part is the rest."""
    everything = np.arange(splits.rows)
    parts = list(splits)
    for start in range(0, len(parts), folds):
        tested = np.concatenate([split.test for split in parts[start : start + folds]])
        np.testing.assert_array_equal(np.sort(tested), everything)
    for split in parts:
        assert split.train.dtype == split.test.dtype == np.int64
        np.testing.assert_array_equal(np.union1d(split.train, split.test), everything)
        assert not np.intersect1d(split.train, split.test).size


@quick
@given(n=sizes, folds=st.integers(2, 10), repeats=st.integers(1, 3), seed=seeds, kinds=st.integers(1, 5))
def test_k_fold_partitions_and_balances(n: int, folds: int, repeats: int, seed: int, kinds: int) -> None:
    assume(folds <= n)
    strata = labels_of(seed, n, kinds)
    splits = k_fold(n, folds=folds, repeats=repeats, seed=seed, strata=strata)
    assert_partition(splits, folds)
    assert [(s.repeat, s.fold) for s in splits] == [(r, f) for r in range(repeats) for f in range(folds)]
    for repeat in range(repeats):
        tests = [splits[repeat * folds + fold].test for fold in range(folds)]
        lengths = [len(test) for test in tests]
        assert max(lengths) - min(lengths) <= 1
        for code in np.unique(strata):
            counts = [int((strata[test] == code).sum()) for test in tests]
            assert max(counts) - min(counts) <= 1


def test_k_fold_is_as_balanced_as_scikit_learn() -> None:
    n, folds = 103, 7
    strata = labels_of(3, n, 4)
    ours = k_fold(n, folds=folds, seed=1, strata=strata)
    theirs = list(StratifiedKFold(folds, shuffle=True, random_state=1).split(np.zeros(n), strata))
    tables = [
        np.sort([np.bincount(strata[test], minlength=4) for test in tests], axis=0)
        for tests in ([s.test for s in ours], [test for _, test in theirs])
    ]
    np.testing.assert_array_equal(tables[0], tables[1])  # each class: as many folds with one row more
    plain = sorted(len(s.test) for s in k_fold(n, folds=folds, seed=1))
    assert plain == sorted(len(test) for _, test in KFold(folds).split(np.zeros(n)))


@quick
@given(n=st.integers(6, 80), folds=st.integers(2, 5), seed=seeds, kinds=st.integers(1, 4))
def test_groups_are_never_cut(n: int, folds: int, seed: int, kinds: int) -> None:
    groups = labels_of(seed, n, 12)
    assume(len(np.unique(groups)) >= folds)
    strata = labels_of(seed + 1, n, kinds)
    splits = k_fold(n, folds=folds, repeats=2, seed=seed, strata=strata, groups=groups)
    assert_partition(splits, folds)
    for split in (*splits, *holdout(n, seed=seed, groups=groups, strata=strata, repeats=2)):
        assert not np.intersect1d(groups[split.train], groups[split.test]).size
        assert len(split.train)
        assert len(split.test)
    for split in bootstrap(n, samples=3, seed=seed, groups=groups):
        assert not np.intersect1d(groups[split.train], groups[split.test]).size


@quick
@given(n=st.integers(10, 200), folds=st.integers(2, 5), seed=seeds)
def test_group_folds_differ_by_one_group_at_most(n: int, folds: int, seed: int) -> None:
    groups = labels_of(seed, n, 15)
    largest = int(np.bincount(groups).max())
    assume(len(np.unique(groups)) >= folds)
    lengths = [len(s.test) for s in k_fold(n, folds=folds, seed=seed, groups=groups)]
    assert max(lengths) - min(lengths) <= largest
    theirs = [len(test) for _, test in GroupKFold(folds).split(np.zeros(n), groups=groups)]
    assert max(lengths) <= max(theirs) + largest


def test_stratified_groups_keep_the_classes_balanced() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 100, 600)
    strata = rng.integers(0, 3, 600)
    for split in k_fold(600, folds=5, strata=strata, groups=groups):
        share = np.bincount(strata[split.test]) / len(split.test)
        np.testing.assert_allclose(share, np.bincount(strata) / 600, atol=0.04)
        assert abs(len(split.test) - 120) <= 6
    for split in holdout(600, test_size=0.25, strata=strata, groups=groups, repeats=3):
        share = np.bincount(strata[split.test]) / len(split.test)
        np.testing.assert_allclose(share, np.bincount(strata) / 600, atol=0.04)
        assert abs(len(split.test) - 150) <= 6


def test_repeats_of_groups_differ() -> None:
    groups = np.repeat(np.arange(20), np.arange(1, 21))  # all sizes different
    splits = k_fold(len(groups), folds=4, repeats=2, groups=groups)
    first, second = ({tuple(s.test) for s in list(splits)[i : i + 4]} for i in (0, 4))
    assert first != second


@quick
@given(n=st.integers(4, 200), share=st.floats(0.1, 0.9), seed=seeds, kinds=st.integers(1, 5))
def test_holdout_sizes(n: int, share: float, seed: int, kinds: int) -> None:
    assume(1 <= np.floor(n * share + 0.5) < n)
    strata = labels_of(seed, n, kinds)
    splits = holdout(n, test_size=share, repeats=3, seed=seed, strata=strata)
    for split in splits:
        assert abs(len(split.test) - n * share) <= 0.5 + 1e-9
        np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(n))
        exact = np.bincount(strata) * (len(split.test) / n)
        counts = np.bincount(strata[split.test], minlength=len(exact))
        assert (np.abs(counts - exact) < 1 + 1e-9).all()


def test_holdout_shares_classes_as_scikit_learn_does() -> None:
    strata = np.repeat([0, 1, 2], [50, 30, 20])
    (split,) = holdout(100, test_size=0.3, strata=strata)
    ((_, theirs),) = StratifiedShuffleSplit(1, test_size=0.3, random_state=0).split(np.zeros(100), strata)
    np.testing.assert_array_equal(np.bincount(strata[split.test]), np.bincount(strata[theirs]))


def test_one_third_for_testing_by_custom() -> None:
    (split,) = holdout(150)
    assert len(split.test) == 50
    assert len(split.train) == 100


SCHEMES: dict[str, Callable[[int], Resamples]] = {
    "holdout": lambda seed: holdout(40, repeats=3, seed=seed),
    "k_fold": lambda seed: k_fold(40, folds=5, repeats=2, seed=seed),
    "bootstrap": lambda seed: bootstrap(40, samples=5, seed=seed),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_split_is_a_function_of_its_arguments(scheme: str) -> None:
    make = SCHEMES[scheme]
    assert split_hash(make(1)) == split_hash(make(1))
    assert split_hash(make(1)) != split_hash(make(2))
    again = make(1)
    for index in reversed(range(len(again))):  # asked for in another order
        np.testing.assert_array_equal(again[index].train, list(make(1))[index].train)
    repeats = {tuple(s.test) for s in make(1) if s.fold == 0}
    assert len(repeats) == again.repeats


def test_more_repeats_leave_the_first_as_they_were() -> None:
    few, many = k_fold(30, folds=3, repeats=2), k_fold(30, folds=3, repeats=5)
    for index in range(len(few)):
        np.testing.assert_array_equal(few[index].test, many[index].test)


def test_leave_one_out() -> None:
    splits = leave_one_out(7)
    assert_partition(splits, 7)
    assert [list(s.test) for s in splits] == [[i] for i in range(7)]
    by_group = leave_one_out(7, groups=np.array([4, 4, 9, 9, 9, 1, 1]))
    assert [list(s.test) for s in by_group] == [[5, 6], [0, 1], [2, 3, 4]]


def test_majority_predictor_errs_always_in_leave_one_out_of_a_balanced_set() -> None:
    classes = np.random.default_rng(5).permutation(np.repeat([0, 1], 25))
    wrong = [np.bincount(classes[s.train]).argmax() != classes[s.test[0]] for s in leave_one_out(50)]
    assert np.mean(wrong) == 1.0


def test_bootstrap_draws_n_rows_and_leaves_the_rest() -> None:
    splits = bootstrap(50, samples=20, seed=3)
    counts = drawn_counts(splits)
    assert counts.shape == (20, 50)
    assert (counts.sum(axis=1) == 50).all()
    for row, split in zip(counts, splits, strict=True):
        np.testing.assert_array_equal(split.test, np.flatnonzero(row == 0))
    assert [s.repeat for s in splits] == list(range(1, 21))


def test_a_share_of_one_over_e_is_left_out() -> None:
    n, samples = 100, 2000
    left_out = (drawn_counts(bootstrap(n, samples=samples, seed=0)) == 0).mean(axis=1)
    expected = (1 - 1 / n) ** n  # 0.366; the limit is 0.368
    variance = (expected + (n - 1) * (1 - 2 / n) ** n) / n - expected**2  # of one sample's share
    assert abs(left_out.mean() - expected) < 4 * np.sqrt(variance / samples)
    assert 1 - left_out.mean() == pytest.approx(0.632, abs=0.005)


def test_stratified_bootstrap_keeps_the_class_counts() -> None:
    strata = np.repeat([0, 1], [30, 10])
    for split in bootstrap(40, samples=5, strata=strata):
        np.testing.assert_array_equal(np.bincount(strata[split.train]), [30, 10])


def test_bootstrap_of_groups_draws_as_many_groups_as_there_are() -> None:
    groups = np.repeat(np.arange(10), np.arange(1, 11))
    first = np.unique(groups, return_index=True)[1]
    counts = drawn_counts(bootstrap(55, samples=6, groups=groups))
    assert (counts[:, first].sum(axis=1) == 10).all()
    np.testing.assert_array_equal(counts, counts[:, first][:, groups])


def test_empty_out_of_bag_parts_are_kept_and_told() -> None:
    splits = bootstrap(2, samples=400, seed=0)
    empty = sum(not len(s.test) for s in splits)
    assert abs(empty / 400 - 0.5) < 0.1  # 2!/2² of the samples hold both rows
    assert splits.warnings[0].startswith(f"{empty} of 400 samples")
    assert not bootstrap(200, samples=10).warnings


def test_small_classes_go_on_with_a_warning() -> None:
    strata = np.array([0] * 17 + [1] * 3)
    splits = k_fold(20, folds=5, strata=strata, names=["fine", "rare"])
    assert len(splits.warnings) == 1
    assert "'rare' has 3 rows, fewer than the 5 folds" in splits.warnings[0]
    assert_partition(splits, 5)
    lonely = holdout(20, strata=np.array([0] * 19 + [1]), repeats=4)
    assert "no row to test on in 4 of 4 repeats" in lonely.warnings[0]
    assert not holdout(20, strata=strata).warnings


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: k_fold(5, folds=6), DataError, "6 parts cannot be made of 5 rows"),
        (lambda: k_fold(5, folds=1), ConfigError, "folds: 1"),
        (lambda: k_fold(5, folds=2, repeats=0), ConfigError, "repeats: 0"),
        (lambda: k_fold(6, folds=4, groups=np.array([0, 0, 1, 1, 2, 2])), DataError, "3 groups"),
        (lambda: k_fold(6, folds=2, strata=np.zeros(5, int)), DataError, "shape \\(5,\\)"),
        (lambda: leave_one_out(1), DataError, "1 row cannot"),
        (lambda: leave_one_out(3, groups=np.zeros(3, int)), DataError, "1 groups"),
        (lambda: holdout(10, test_size=0.0), ConfigError, "test size: 0.0"),
        (lambda: holdout(10, test_size=1.5), ConfigError, "test size: 1.5"),
        (lambda: holdout(10, test_size=0.01), DataError, "no row to test on"),
        (lambda: holdout(10, test_size=0.99), DataError, "no row to train on"),
        (lambda: holdout(4, groups=np.zeros(4, int)), DataError, "one group"),
        (lambda: bootstrap(1), DataError, "1 row cannot"),
        (lambda: bootstrap(5, samples=0), ConfigError, "samples: 0"),
        (lambda: inner_split(np.arange(3), share=0.1, seed=0, replica=0), DataError, "leaves 0 to watch"),
        (lambda: inner_split(np.arange(3), share=2, seed=0, replica=0), ConfigError, "dev share: 2"),
        (
            lambda: inner_split(np.arange(4), share=0.5, seed=0, replica=0, groups=np.ones(9, int)),
            DataError,
            "one group",
        ),
    ],
)
def test_what_cannot_be_split_says_so(call: Callable[[], object], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


@quick
@given(n=st.integers(10, 80), share=st.floats(0.15, 0.6), seed=seeds)
def test_inner_split_leaves_no_copy_on_both_sides(n: int, share: float, seed: int) -> None:
    strata = labels_of(seed, n, 3)
    train = bootstrap(n, samples=1, seed=seed)[0].train
    fit, dev = inner_split(train, share=share, seed=seed, replica=1, strata=strata)
    assert not np.intersect1d(fit, dev).size
    assert len(np.unique(dev)) == len(dev)
    counts = np.bincount(train, minlength=n)
    kept = np.setdiff1d(train, dev)
    np.testing.assert_array_equal(np.bincount(fit, minlength=n)[kept], counts[kept])  # all copies stay
    np.testing.assert_array_equal(np.union1d(fit, dev), np.unique(train))
    assert abs(len(dev) - share * len(np.unique(train))) <= 0.5 + 1e-9
    again = inner_split(train, share=share, seed=seed, replica=1, strata=strata)
    np.testing.assert_array_equal(again[1], dev)


def test_inner_split_keeps_groups_whole() -> None:
    groups = np.repeat(np.arange(10), 4)
    train = k_fold(40, folds=5, groups=groups)[0].train
    fit, dev = inner_split(train, share=0.25, seed=0, replica=0, groups=groups)
    assert not np.intersect1d(groups[fit], groups[dev]).size
    assert len(dev) == 8
