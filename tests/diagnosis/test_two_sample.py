"""Can rows of two tables be told apart?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dlrun.backend import Backend
from dlrun.diagnosis.two_sample import TwoSample, area_under_curve, two_sample
from dlrun.errors import DataError

NAMES = ("a", "b", "c", "d")


def compared(first: object, second: object, seed: int = 0) -> TwoSample:
    return two_sample(np.asarray(first, float), np.asarray(second, float), NAMES, Backend(), seed=seed, jobs=1)


def test_area_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    negative, positive = random.integers(0, 6, 50) / 5, random.integers(1, 8, 31) / 5  # many ties
    area, _ = area_under_curve(negative, positive)
    labels = np.repeat([0, 1], [50, 31])
    assert area == pytest.approx(roc_auc_score(labels, np.concatenate([negative, positive])), rel=1e-12)


def test_standard_error_is_that_of_repeated_draws() -> None:
    random = np.random.default_rng(1)
    draws = [area_under_curve(random.standard_normal(80), 0.8 + random.standard_normal(40)) for _ in range(400)]
    areas, errors = np.array(draws).T
    assert errors.mean() == pytest.approx(areas.std(), rel=0.1)


def test_a_shift_is_found_and_its_feature_named() -> None:
    random = np.random.default_rng(2)
    first, second = random.standard_normal((200, 4)), random.standard_normal((120, 4))
    second[:, 2] += 1.0
    found = compared(first, second)
    assert found.differ
    assert found.auc > 0.65
    assert found.features[0][0] == "c"
    assert found.features[0][1] == pytest.approx(0.9, abs=0.25)
    assert found.rows == (200, 120)


def test_a_difference_that_no_mean_shows_is_found() -> None:
    """Both columns are standard normal in both tables; their correlation is +0.95 in one and −0.95 in the other."""
    random = np.random.default_rng(3)
    first, second = (random.standard_normal((400, 4)) for _ in range(2))
    first[:, 1] = 0.95 * first[:, 0] + np.sqrt(1 - 0.95**2) * first[:, 1]
    second[:, 1] = -0.95 * second[:, 0] + np.sqrt(1 - 0.95**2) * second[:, 1]
    found = compared(first, second)
    assert found.differ
    assert all(abs(shift) < 0.3 for _, shift in found.features)


def test_rows_of_one_distribution_cannot_be_told_apart() -> None:
    random = np.random.default_rng(4)
    alarms = sum(
        compared(random.standard_normal((150, 4)), random.standard_normal((60, 4)), seed).differ for seed in range(8)
    )
    assert alarms <= 1


def test_missing_values_and_empty_columns() -> None:
    random = np.random.default_rng(5)
    first, second = random.standard_normal((60, 4)), random.standard_normal((60, 4))
    first[:10, 0] = np.nan
    second[:, 3] = np.nan
    first[:, 3] = np.nan
    assert np.isfinite(compared(first, second).auc)


def test_too_few_rows() -> None:
    with pytest.raises(DataError, match="10 or more"):
        compared(np.zeros((9, 4)), np.zeros((50, 4)))
