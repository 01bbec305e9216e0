"""What a search may claim: optimism and nested error by hand and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dlrun.tuning.outcome import nested_error, optimism_of
from dlrun.tuning.trials import Trial, best_of, ranked


def trial(number: int, *folds: float, **given: object) -> Trial:
    score = float(np.mean(folds)) if folds else None
    return Trial(number=number, values={}, score=score, cost=score, folds=folds, **given)  # type: ignore[arg-type]


def test_the_bias_of_the_best_by_hand() -> None:
    """Fold by fold the best is 0.1, 0.1, 0.2, and the chosen trial has 0.1, 0.3, 0.2: (0 + 0.2 + 0)/3."""
    trials = {0: trial(0, 0.1, 0.3, 0.2), 1: trial(1, 0.4, 0.1, 0.3), 2: trial(2, 0.0, 0.0, 0.0, status="diverged")}
    found = optimism_of(trials)
    assert found is not None
    assert found.bias == pytest.approx(0.2 / 3)
    assert found.corrected == pytest.approx(0.2 + 0.2 / 3)


def test_there_is_no_bias_without_a_choice_and_none_to_tell_without_folds() -> None:
    one = optimism_of({0: trial(0, 0.1, 0.3)})
    assert one is not None
    assert one.bias == 0
    assert optimism_of({0: trial(0, 0.1), 1: trial(1, 0.2)}) is None
    assert optimism_of({0: trial(0, status="diverged")}) is None


def test_the_correction_undoes_most_of_the_optimism() -> None:
    """Twenty trials that all err at 30 %: their minimum looks better, and the correction brings it near again."""
    random = np.random.default_rng(0)
    raw, corrected = [], []
    for _ in range(200):
        folds = random.binomial(20, 0.3, (20, 5)) / 20
        found = optimism_of({number: trial(number, *row) for number, row in enumerate(folds)})
        assert found is not None
        corrected.append(found.corrected)
        raw.append(found.corrected - found.bias)
    assert np.mean(raw) < 0.24
    assert abs(np.mean(corrected) - 0.3) < 0.06


def test_nested_error_is_a_mean_with_students_interval() -> None:
    errors = [0.1, 0.2, 0.15, 0.25]
    winners = [trial(number, error) for number, error in enumerate(errors)]
    found = nested_error(winners, [0.1, 0.1, 0.1, 0.2], [10, 10, 10, 30], task="classification")
    assert found is not None
    interval = stats.t.interval(0.95, 3, loc=np.mean(errors), scale=stats.sem(errors))
    assert found.mean == pytest.approx(0.175)
    assert found.std == pytest.approx(np.std(errors, ddof=1))
    assert (found.ci_low, found.ci_high) == pytest.approx(interval)
    assert found.pooled == pytest.approx((1 + 2 + 1.5 + 7.5) / 60)
    assert found.inner == pytest.approx(0.125)


def test_nested_error_of_a_regression_pools_squares() -> None:
    found = nested_error([trial(0, 3.0), trial(1, 4.0)], [1.0, 1.0], [1, 3], task="regression")
    assert found is not None
    assert found.pooled == pytest.approx(np.sqrt((9 + 3 * 16) / 4))


def test_winners_that_diverged_are_left_out() -> None:
    found = nested_error([trial(0, 0.5), trial(1, status="diverged")], [0.2, 0.9], [10, 10], task="classification")
    assert found is not None
    assert (found.mean, found.ci_low, found.inner, found.lost) == (0.5, None, 0.2, 1)
    assert nested_error([trial(0, status="failed")], [0.2], [10], task="classification") is None


def test_the_order_of_trials() -> None:
    trials = [
        Trial(number=0, values={}, status="diverged"),
        Trial(number=1, values={}, status="pruned", score=0.0, epochs=3),
        Trial(number=2, values={}, status="pruned", score=0.5, epochs=9),
        Trial(number=3, values={}, score=0.2, cost=0.7),
        Trial(number=4, values={}, score=0.2, cost=0.6),
        Trial(number=5, values={}, score=0.2, cost=None),
        Trial(number=6, values={}, score=0.2, cost=0.6),
    ]
    assert [each.number for each in ranked(trials)] == [4, 6, 3, 5, 2, 1, 0]
    best = best_of(trials[:3])
    assert best is None
