"""Intervals against SciPy, and the estimates of cross-validation against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dlrun.errors import AnswerIsNoError, ConfigError, DataError
from dlrun.resampling import intervals
from dlrun.resampling.estimates import error_of, estimate_error, row_losses
from dlrun.resampling.resamples import Resamples
from dlrun.resampling.row_sampling import row_sampling
from dlrun.resampling.splitters import k_fold, leave_one_out


@pytest.mark.parametrize(("wrong", "n"), [(0, 20), (1, 20), (7, 50), (20, 20)])
def test_wilson(wrong: int, n: int) -> None:
    expected = stats.binomtest(wrong, n).proportion_ci(0.95, method="wilson")
    ours = intervals.wilson(wrong / n, n, 0.95)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_rows_of_a_share_s_own_standard_error_are_its_rows() -> None:
    assert intervals.effective_rows(0.2, np.sqrt(0.2 * 0.8 / 80), 7) == pytest.approx(80)
    assert intervals.effective_rows(0.0, 0.1, 7) == intervals.effective_rows(0.5, 0.0, 7) == 7


@pytest.mark.parametrize("gap", [0.0, 0.3, 1.0, 5.0])
def test_the_confidence_over_a_gap_is_imbens_and_manski_s(gap: float) -> None:
    z = stats.norm.ppf((1 + intervals.confidence_over_a_gap(gap, 0.9)) / 2)
    assert stats.norm.cdf(z + gap) - stats.norm.cdf(-z) == pytest.approx(0.9, abs=1e-9)


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
    """Folds of 4 rows with 1, 2, 0, 1 wrong: mean ¼, s²/4 = 1/96 is less than ¼·¾/16 = 1/85 of the rows."""
    losses = [np.array(x, float) for x in ([1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0])]
    result = estimate_error(losses, n_train=np.full(4, 12), repeats=1, task="classification")
    s = np.sqrt(1 / 24)
    assert result.mean == result.pooled == 0.25
    assert result.std == pytest.approx(s)
    expected = stats.binomtest(4, 16).proportion_ci(0.95, method="wilson")
    assert (result.ci_low, result.ci_high) == pytest.approx((expected.low, expected.high))
    assert result.interval == "Wilson, variance of the tested rows"
    assert set(result.summary()) == {"mean", "std", "ci_low", "ci_high", "pooled"}


def wilson(p: float, n: float, z: float) -> tuple[float, float]:
    """As in the article, with any number of rows."""
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def test_folds_that_differ_more_than_their_rows_explain_say_so() -> None:
    """Five folds of 10 rows, one all wrong: s²/k = 0.2/5 against 0.2·0.8/50 of the rows."""
    losses = [np.full(10, float(fold == 0)) for fold in range(5)]
    result = estimate_error(losses, n_train=np.full(5, 40), repeats=1, task="classification")
    assert (result.ci_low, result.ci_high) == pytest.approx(wilson(0.2, 0.16 / 0.04, stats.norm.ppf(0.975)))
    assert result.interval == "Wilson, variance of the folds, s²/k"


def test_overfitting_widens_k_fold_but_not_one_holdout() -> None:
    losses = [np.tile([0.0, 1.0], 10)] * 5
    result = estimate_error(losses, n_train=np.full(5, 80), repeats=1, task="classification", overfitting=0.6)
    assert (result.ci_low, result.ci_high) == pytest.approx(wilson(0.5, 100 / 1.6, stats.norm.ppf(0.975)))
    assert result.interval == "Wilson, variance of the tested rows × 1.6 for overfitting"
    one = estimate_error(losses[:1], n_train=np.full(1, 80), repeats=1, task="classification", overfitting=0.6)
    assert (one.ci_low, one.ci_high) == pytest.approx(wilson(0.5, 20, stats.norm.ppf(0.975)))


def test_the_variance_of_rows_that_are_tested_again_and_again() -> None:
    """Rows 0 to 3 twice: sums 2, 1, 0, 0 about 2·3/8; V = (25 + 1 + 9 + 9)/16/64, less than p(1 − p)/4."""
    losses = [np.array([1.0, 1, 0, 0]), np.array([1.0, 0, 0, 0])]
    rows = [np.arange(4), np.arange(4)]
    found = row_sampling(losses, rows, repeats=2, shares=True)
    assert (found.mean, found.units) == (0.375, 4)
    assert found.variance == pytest.approx(max(44 / 16 / 64, 0.375 * 0.625 / 4))


def test_the_variance_of_groups() -> None:
    """Groups of 2, 2 and 4 rows, wrong as a whole or not at all: Σ (S − m·½)² = 1 + 1 + 4, times 3/2, over 8²."""
    groups = np.array([0, 0, 1, 1, 2, 2, 2, 2])
    losses = [np.array([1.0, 1, 1, 1]), np.zeros(4)]
    found = row_sampling(losses, [np.arange(4), np.arange(4, 8)], groups=groups, shares=True)
    assert found.units == 3
    assert found.variance == pytest.approx(6 * 1.5 / 64)
    result = estimate_error(
        losses, n_train=np.full(2, 4), repeats=1, task="classification", rows=[np.arange(4), np.arange(4, 8)],
        groups=groups,
    )  # fmt: skip
    folds = np.var([1, 0], ddof=1) / 2
    assert (result.ci_low, result.ci_high) == pytest.approx(wilson(0.5, 0.25 / folds, stats.t.ppf(0.975, 2)))


def test_repeated_k_fold_widens_by_the_overlap() -> None:
    """10 folds ten times: variance (1/100 + 1/9)·s², not s²/100."""
    rng = np.random.default_rng(0)
    splits = k_fold(100, folds=10, repeats=10)
    losses = [rng.integers(0, 2, 10).astype(float) for _ in splits]
    result = estimate_error(losses, n_train=sizes(splits), repeats=10, task="classification", confidence=0.9)
    means = np.array([x.mean() for x in losses])
    p, variance = means.mean(), (1 / 100 + 1 / 9) * means.var(ddof=1)
    assert variance > p * (1 - p) / 100
    assert (result.ci_low, result.ci_high) == pytest.approx(wilson(p, p * (1 - p) / variance, stats.norm.ppf(0.95)))
    assert "n_test/n_train" in result.interval


def test_regression_folds_are_roots_and_pooling_is_not_their_mean() -> None:
    losses = [np.array([1.0, 1.0]), np.array([9.0, 9.0])]
    result = estimate_error(losses, n_train=np.array([2, 2]), repeats=1, task="regression")
    np.testing.assert_array_equal(result.fold_errors, [1, 3])
    assert result.mean == 2.0
    assert result.pooled == pytest.approx(np.sqrt(5))
    half = stats.t.ppf(0.975, 3) * np.sqrt(np.var([1, 9], ddof=1) / 2) / 5
    assert (result.ci_low, result.ci_high) == pytest.approx((np.sqrt(5 * np.exp(-half)), np.sqrt(5 * np.exp(half))))


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
    m, spread = np.mean(e**2), np.var(e**2, ddof=1) / np.mean(e**2) ** 2
    assert spread < 2  # less than that of normal errors, 2, which counts as 20 rows
    half = stats.t.ppf(0.975, 4) * np.sqrt((5 * spread + 20 * 2) / 25 / 5)
    assert result.ci_low == pytest.approx(np.sqrt(m * np.exp(-half)))
    assert result.ci_high == pytest.approx(np.sqrt(m * np.exp(half)))


def test_single_holdout_has_an_interval_and_no_deviation() -> None:
    result = estimate_error([np.array([1.0, 0, 0, 0, 0])], n_train=np.array([10]), repeats=1, task="classification")
    expected = stats.binomtest(1, 5).proportion_ci(0.95, method="wilson")
    assert result.std is None
    assert (result.ci_low, result.ci_high) == pytest.approx((expected.low, expected.high))
    alone = estimate_error([np.array([2.0])], n_train=np.array([10]), repeats=1, task="regression")
    assert (alone.ci_low, alone.ci_high) == (None, None)


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


def test_intervals_cover_the_truth_where_stratified_folds_agree_by_construction() -> None:
    """Errors of 10 % and 80 % on two classes of half the rows: 45 %, while folds of equal shares differ by little."""
    rng = np.random.default_rng(7)
    held = 0
    for seed in range(300):
        y = rng.integers(0, 2, 300)
        wrong = (rng.random(300) < np.where(y == 0, 0.1, 0.8)).astype(float)
        folds = list(k_fold(300, folds=10, seed=seed, strata=y))
        result = estimate_error(
            [wrong[each.test] for each in folds],
            n_train=np.full(10, 270),
            repeats=1,
            task="classification",
            rows=[each.test for each in folds],
        )
        assert result.ci_low is not None
        assert result.ci_high is not None
        held += result.ci_low <= 0.45 <= result.ci_high
    assert abs(held / 300 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 300)


@pytest.mark.parametrize("rows", [20, 200])
def test_intervals_cover_the_root_mean_square_of_normal_errors(rows: int) -> None:
    rng = np.random.default_rng(9)
    held = 0
    for _ in range(400):
        result = estimate_error([rng.normal(size=rows) ** 2], n_train=np.array([40]), repeats=1, task="regression")
        assert result.ci_low is not None
        assert result.ci_high is not None
        held += result.ci_low <= 1 <= result.ci_high
    assert abs(held / 400 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 400)
