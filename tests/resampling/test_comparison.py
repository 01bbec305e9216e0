"""Paired comparisons against hand-computed examples, scipy, and the false-alarm rate they promise."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dlrun.errors import RunError
from dlrun.resampling.comparison import RunLosses, compare, compare_all
from dlrun.resampling.difference_tests import corrected_t, holm, mcnemar, naive_t, paired_rows


def run(
    name: str,
    losses: list[np.ndarray] | np.ndarray,
    *,
    task: str = "classification",
    split: str = "s",
    n_train: int = 90,
) -> RunLosses:
    parts = tuple(np.asarray(x, dtype=float) for x in losses)
    return RunLosses(
        name=name,
        task=task,  # type: ignore[arg-type]
        data_hash="d",
        split_hash=split,
        n_train=np.full(len(parts), n_train),
        losses=parts,
    )


def test_corrected_t_by_hand() -> None:
    """d = 1, 2, 3, 4, 5 (·0.01), n_test/n_train = 1/4: d̄ = 0.03, s² = 2.5e-4, variance (1/5 + 1/4)·s²
    = 1.125e-4, so t = 0.03/0.0106066 = 2.828427 = 2√2 with 4 degrees of freedom."""
    result = corrected_t(np.array([1, 2, 3, 4, 5]) / 100, test_to_train=0.25)
    assert result.statistic == pytest.approx(2 * np.sqrt(2))
    assert result.degrees == 4
    # for 4 degrees of freedom P(|T| > t) = 1 − (3/2)·s + s³/2 with s = t/√(4 + t²)
    s = 2 * np.sqrt(2) / np.sqrt(12)
    assert result.p_value == pytest.approx(1 - 1.5 * s + s**3 / 2)
    half = stats.t.ppf(0.975, 4) * np.sqrt(1.125e-4)
    assert (result.ci_low, result.ci_high) == pytest.approx((0.03 - half, 0.03 + half))
    assert result.effect_size == pytest.approx(0.03 / np.sqrt(2.5e-4))


def test_naive_t_is_scipy_s_paired_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(10), rng.random(10)
    expected = stats.ttest_rel(a, b)
    result = naive_t(a - b)
    assert (result.statistic, result.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    corrected = corrected_t(a - b, test_to_train=1 / 9)
    assert corrected.p_value is not None
    assert result.p_value is not None
    assert corrected.p_value > result.p_value


def tables(b: int, c: int, both: int = 10, none: int = 30) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([1.0, 0.0, 1.0, 0.0], [b, c, both, none])
    return a, np.repeat([0.0, 1.0, 1.0, 0.0], [b, c, both, none])


@pytest.mark.parametrize(("b", "c"), [(1, 9), (5, 5), (0, 4), (12, 12), (24, 0)])
def test_mcnemar_exact(b: int, c: int) -> None:
    result = mcnemar(*tables(b, c))
    assert result.test == "McNemar's exact test"
    assert result.p_value == pytest.approx(stats.binomtest(b, b + c).pvalue)
    assert result.value == pytest.approx((b - c) / (b + c + 40))


def test_mcnemar_with_many_discordant_rows() -> None:
    """b = 121, c = 59: χ² = (62 − 1)²/180 = 20.672."""
    result = mcnemar(*tables(121, 59))
    assert result.statistic == pytest.approx(61**2 / 180)
    assert result.p_value == pytest.approx(stats.chi2.sf(61**2 / 180, 1))
    assert result.effect_size == pytest.approx(121 / 180 - 0.5)
    n, p, q = 220, 122 / 222, 60 / 222
    half = stats.norm.ppf(0.975) * np.sqrt((p + q - (p - q) ** 2) / (n + 2))
    assert (result.ci_low, result.ci_high) == pytest.approx((p - q - half, p - q + half))


def test_paired_rows_is_a_t_test_of_the_linearized_roots() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.chisquare(1, 500), 1.4 * rng.chisquare(1, 500)
    result = paired_rows(a, b)
    assert result.value == pytest.approx(np.sqrt(a.mean()) - np.sqrt(b.mean()))
    draws = rng.integers(0, 500, (2000, 500))  # its standard error by brute force
    spread = np.std(np.sqrt(a[draws].mean(axis=1)) - np.sqrt(b[draws].mean(axis=1)))
    assert result.statistic is not None
    assert result.value / result.statistic == pytest.approx(spread, rel=0.08)


def test_holm_by_hand() -> None:
    """0.01·4, 0.02·3, 0.03·2, 0.04·1, each no less than the one before."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    adjusted = np.array(holm(p_values), dtype=float)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= np.minimum(1, len(p_values) * np.array(p_values)) + 1e-12).all()  # Bonferroni is above
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()


def test_folds_are_compared_by_the_corrected_test() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((10, 10)) < 0.2, rng.random((10, 10)) < 0.6
    result = compare(run("A", a), run("B", b))
    expected = corrected_t(a.mean(axis=1) - b.mean(axis=1), test_to_train=10 / 90)
    assert result.difference == expected
    assert result.significant
    assert result.verdict.startswith(f"A errs less than B: {100 * a.mean():.2f} % against")
    turned = compare(run("B", b), run("A", a))
    assert turned.verdict.startswith("B errs more than A")
    assert turned.difference.value == -result.difference.value


def test_a_difference_that_is_not_shown_is_not_called_equality() -> None:
    rng = np.random.default_rng(2)
    result = compare(run("A", rng.random((10, 10)) < 0.3), run("B", rng.random((10, 10)) < 0.3))
    assert not result.significant
    assert result.verdict.startswith("No difference is shown between A and B")
    assert result.verdict.endswith("That does not show that they are equal.")


def test_a_single_holdout_and_leave_one_out_are_compared_by_rows() -> None:
    a, b = tables(1, 9)
    one = compare(run("A", [a]), run("B", [b]))
    each = compare(run("A", a[:, None]), run("B", b[:, None]))
    assert one.difference == each.difference == mcnemar(a, b)
    squared = compare(run("A", [a + 0.1], task="regression"), run("B", [b], task="regression"))
    assert squared.difference.test == "paired t-test over rows"


def test_identical_runs() -> None:
    a = (np.random.default_rng(0).random((5, 10)) < 0.3).astype(float)
    result = compare(run("A", a), run("B", a))
    assert result.identical
    assert result.p == 1.0
    assert not result.significant
    assert "nothing tells them apart" in result.verdict


def test_equal_fold_errors_of_different_rows_have_no_interval() -> None:
    result = compare(run("A", [[1, 0], [0, 1]]), run("B", [[0, 1], [1, 0]]))
    assert not result.identical
    assert (result.p, result.difference.ci_low) == (1.0, None)
    assert result.verdict.startswith("No difference is shown")


def test_a_constant_difference_cannot_be_tested() -> None:
    result = compare(run("A", [[1, 0], [0, 1]]), run("B", [[1, 1], [1, 1]]))
    assert result.difference.value == -0.5
    assert result.p is None
    assert not result.significant
    assert "the same in every fold" in result.verdict


def test_diverged_folds_are_left_out_of_both() -> None:
    a = [np.array([1.0, 0]), np.array([np.nan, np.nan]), np.array([0.0, 0]), np.empty(0)]
    b = [np.array([1.0, 1]), np.array([0.0, 0]), np.array([0.0, 1]), np.empty(0)]
    result = compare(run("A", a), run("B", b))
    assert result.folds == 2
    assert result.warnings == (
        "1 of 4 folds diverged in one of the runs and is left out, which flatters the run that diverged",
    )
    one_left = compare(run("A", a[:2]), run("B", b[:2]))
    assert "two folds or more, not 1" in one_left.verdict
    none_left = compare(run("A", a[1:2]), run("B", b[1:2]))
    assert "no test part that both" in none_left.verdict


def test_different_splits_are_refused() -> None:
    a = run("A", np.zeros((2, 3)))
    with pytest.raises(RunError, match=r"different splits.*same command and the same --seed"):
        compare(a, run("B", np.zeros((2, 3)), split="t"))
    with pytest.raises(RunError, match="classification and B is regression"):
        compare(a, run("B", np.zeros((2, 3)), task="regression"))
    with pytest.raises(RunError, match="different data"):
        compare(a, RunLosses(**(vars(a) | {"data_hash": "other"})))
    with pytest.raises(RunError, match="1 run given"):
        compare_all([a])


def test_several_runs_are_corrected_after_holm() -> None:
    rng = np.random.default_rng(3)
    runs = [run(name, rng.random((10, 20)) < share) for name, share in (("A", 0.2), ("B", 0.3), ("C", 0.5))]
    pairs = compare_all(runs)
    assert [(p.name_a, p.name_b) for p in pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert [p.p_adjusted for p in pairs] == holm([p.difference.p_value for p in pairs])
    assert "corrected after Holm" in pairs[0].verdict
    assert compare_all(runs[:2])[0].p_adjusted is None


def test_no_interval_of_a_difference_of_shares_reaches_beyond_1() -> None:
    rng = np.random.default_rng(5)
    a, b = [rng.random((3, 9)) < share for share in (0.02, 0.9)]
    a[0], b[0] = False, False  # one fold in which both are right widens the interval
    result = compare(run("A", a), run("B", b)).difference
    assert result.ci_low == -1.0
    assert result.ci_high is not None
    assert -1 <= result.value <= result.ci_high <= 1
    free = compare(run("A", a, task="regression"), run("B", b, task="regression")).difference
    assert free.ci_low is not None
    assert free.ci_low < -1


def test_large_errors_have_no_exponent_in_the_verdict() -> None:
    rng = np.random.default_rng(1)
    a, b = [rng.normal(level, 500, (5, 20)) ** 2 for level in (16_000, 50_000)]
    result = compare(run("A", a, task="regression"), run("B", b, task="regression"))
    assert result.error_a > 1e4
    assert "e+" not in result.verdict
    told = [float(number) for number in re.findall(r"[+-]\d{5}", result.verdict)]
    d = result.difference
    assert told == pytest.approx([d.value, d.ci_low, d.ci_high], rel=5e-4)  # four digits of each
