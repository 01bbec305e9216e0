"""Intervals against SciPy, and the estimates of cross-validation against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dlrun.errors import AnswerIsNoError, ConfigError, DataError
from dlrun.resampling import intervals
from dlrun.resampling.estimates import error_of, estimate_error, row_losses, rows_interval
from dlrun.resampling.resamples import Resamples
from dlrun.resampling.splitters import k_fold, leave_one_out


@pytest.mark.parametrize(("wrong", "n"), [(0, 20), (1, 20), (7, 50), (20, 20)])
def test_wilson(wrong: int, n: int) -> None:
    expected = stats.binomtest(wrong, n).proportion_ci(0.95, method="wilson")
    ours = intervals.wilson(wrong / n, n, 0.95)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_from_its_own_standard_error_is_wilson() -> None:
    share, n = 0.2, 80
    ours = intervals.wilson_from_error(share, np.sqrt(share * 0.8 / n), n, 0.9)
    plain = intervals.wilson(share, n, 0.9)
    assert (ours.low, ours.high) == pytest.approx((plain.low, plain.high))


def test_root_interval_to_first_order() -> None:
    """√m ± t·SE/(2√m) for a small SE."""
    ours = intervals.root_interval(4.0, 1e-4, 30, 0.95)
    half = stats.t.ppf(0.975, 30) * 1e-4 / (2 * 2.0)
    assert (ours.low, ours.high) == pytest.approx((2 - half, 2 + half), abs=1e-9)


def test_row_losses() -> None:
    classes = row_losses(np.array([0, 1, 2]), np.array([0, 2, -1]), task="classification")
    np.testing.assert_array_equal(classes, [0, 1, np.nan])
    numbers = row_losses(np.array([1.0, 2.0, 3.0]), np.array([3.0, np.inf, 3.0]), task="regression")
    np.testing.assert_array_equal(numbers, [4, np.nan, 0])
    assert error_of(np.array([1.0, 7.0]), task="regression") == 2.0
    assert error_of(np.array([1.0, 0.0]), task="classification") == 0.5


def sizes(splits: Resamples) -> np.ndarray:
    return np.array([len(split.train) for split in splits])


def test_one_k_fold_by_hand() -> None:
    """Folds of 4 rows with 1, 2, 0, 1 wrong: mean ¼, s² = (0 + 1/16 + 1/16 + 0)/3."""
    losses = [np.array(x, float) for x in ([1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0])]
    result = estimate_error(losses, n_train=np.full(4, 12), repeats=1, task="classification")
    s = np.sqrt(1 / 24)
    assert result.mean == result.pooled == 0.25
    assert result.std == pytest.approx(s)
    low, high = stats.t.interval(0.95, 3, 0.25, s / 2)
    assert (result.ci_low, result.ci_high) == pytest.approx((max(0, low), high))
    assert set(result.summary()) == {"mean", "std", "ci_low", "ci_high", "pooled"}


def test_repeated_k_fold_widens_by_the_overlap() -> None:
    """10 folds ten times: variance (1/100 + 1/9)·s², not s²/100."""
    rng = np.random.default_rng(0)
    splits = k_fold(100, folds=10, repeats=10)
    losses = [rng.integers(0, 2, 10).astype(float) for _ in splits]
    result = estimate_error(losses, n_train=sizes(splits), repeats=10, task="classification", confidence=0.9)
    means = np.array([x.mean() for x in losses])
    half = stats.t.ppf(0.95, 99) * np.sqrt((1 / 100 + 1 / 9) * means.var(ddof=1))
    assert (result.ci_low, result.ci_high) == pytest.approx((means.mean() - half, means.mean() + half))
    assert "n_test/n_train" in result.interval


def test_regression_folds_are_roots_and_pooling_is_not_their_mean() -> None:
    losses = [np.array([1.0, 1.0]), np.array([9.0, 9.0])]
    result = estimate_error(losses, n_train=np.array([2, 2]), repeats=1, task="regression")
    np.testing.assert_array_equal(result.fold_errors, [1, 3])
    assert result.mean == 2.0
    assert result.pooled == pytest.approx(np.sqrt(5))
    assert result.ci_low == 0.0  # cut: an error is never below 0


def test_leave_one_out_of_the_majority_predictor_errs_100_percent() -> None:
    classes = np.random.default_rng(1).permutation(np.repeat([0, 1], 20))
    splits = leave_one_out(40)
    losses = [
        row_losses(classes[s.test], np.bincount(classes[s.train]).argmax()[None], task="classification") for s in splits
    ]
    result = estimate_error(losses, n_train=sizes(splits), repeats=1, task="classification")
    assert result.mean == result.pooled == 1.0
    expected = stats.binomtest(40, 40).proportion_ci(0.95, method="wilson")
    assert (result.ci_low, result.ci_high) == pytest.approx((expected.low, 1.0))


def test_leave_one_out_of_numbers_reports_the_root_mean_square() -> None:
    """One row's root mean squared error is |e|, and the mean of |e| is another measure of error."""
    e = np.array([1.0, -2.0, 3.0, 0.5, -1.5])
    result = estimate_error(list((e**2)[:, None]), n_train=np.full(5, 4), repeats=1, task="regression")
    assert result.mean == result.pooled == pytest.approx(np.sqrt(np.mean(e**2)))
    m, se = np.mean(e**2), np.std(e**2, ddof=1) / np.sqrt(5)
    half = stats.t.ppf(0.975, 4) * se / m
    assert result.ci_low == pytest.approx(np.sqrt(m * np.exp(-half)))
    assert result.ci_high == pytest.approx(np.sqrt(m * np.exp(half)))


def test_single_holdout_has_an_interval_and_no_deviation() -> None:
    result = estimate_error([np.array([1.0, 0, 0, 0, 0])], n_train=np.array([10]), repeats=1, task="classification")
    expected = stats.binomtest(1, 5).proportion_ci(0.95, method="wilson")
    assert result.std is None
    assert (result.ci_low, result.ci_high) == pytest.approx((expected.low, expected.high))
    alone = rows_interval(np.array([2.0]), task="regression", confidence=0.95)
    assert (alone.low, alone.high) == (None, None)


def test_folds_without_errors_do_not_prove_that_there_are_none() -> None:
    result = estimate_error([np.zeros(5)] * 10, n_train=np.full(10, 45), repeats=1, task="classification")
    expected = stats.binomtest(0, 50).proportion_ci(0.95, method="wilson")
    assert (result.ci_low, result.ci_high) == pytest.approx((0.0, expected.high))


def test_diverged_folds_are_left_out_and_told() -> None:
    losses = [np.array([0.0, 1.0]), np.array([np.nan, 1.0]), np.array([0.0, 0.0])]
    result = estimate_error(losses, n_train=np.full(3, 4), repeats=1, task="classification")
    assert result.mean == 0.25
    assert np.isnan(result.fold_errors[1])
    assert result.warnings[0].startswith("1 of 3 folds diverged")
    one_left = estimate_error(losses[:2], n_train=np.full(2, 4), repeats=1, task="classification")
    assert (one_left.ci_low, one_left.std) == (None, None)
    with pytest.raises(AnswerIsNoError, match="every model diverged"):
        estimate_error(losses[1:2], n_train=np.full(1, 4), repeats=1, task="classification")


def test_bad_arguments() -> None:
    with pytest.raises(ConfigError, match="confidence: 95"):
        estimate_error([np.zeros(2)], n_train=np.full(1, 4), repeats=1, task="regression", confidence=95)
    with pytest.raises(DataError, match="0 test parts"):
        estimate_error([], n_train=np.empty(0, np.int64), repeats=1, task="regression")


def test_intervals_cover_the_truth() -> None:
    """A rule of known error 0.3 on fresh rows, 400 times: about 95 % of the intervals hold it."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        losses = list((rng.random((10, 20)) < 0.3).astype(float))
        result = estimate_error(losses, n_train=np.full(10, 180), repeats=1, task="classification")
        assert result.ci_low is not None
        assert result.ci_high is not None
        held += result.ci_low <= 0.3 <= result.ci_high
    assert abs(held / 400 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 400)
