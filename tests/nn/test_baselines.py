from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from dlrun.nn.baselines import BASELINES, baseline_answers, fit_baseline, nearest_rows


def test_majority_answers_with_the_shares_of_the_classes(rng):
    fitted = fit_baseline("majority", np.zeros((5, 2)), np.array([0, 2, 2, 1, 2]), 4)
    np.testing.assert_allclose(baseline_answers("majority", fitted, np.ones((3, 2))), [[0.2, 0.2, 0.6, 0]] * 3)


def test_mean():
    fitted = fit_baseline("mean", np.zeros((4, 2)), np.array([1.0, 2, 3, 6]), 0)
    np.testing.assert_array_equal(baseline_answers("mean", fitted, np.ones((2, 2))), [[3.0], [3.0]])


@pytest.mark.parametrize("block", [1, 100, 1 << 22])
def test_nearest_neighbour_is_scikit_learns(rng, block):
    x, y = load_iris(return_X_y=True)
    order = rng.permutation(len(x))
    train, test = order[:90], order[90:]
    x = x + rng.normal(size=x.shape) * 1e-3  # iris repeats rows; ties are settled elsewhere
    theirs = KNeighborsClassifier(1).fit(x[train], y[train])
    fitted = fit_baseline("nearest_neighbor", x[train], y[train], 3)
    answers = baseline_answers("nearest_neighbor", fitted, x[test])
    np.testing.assert_array_equal(answers, theirs.predict_proba(x[test]))
    np.testing.assert_array_equal(
        nearest_rows(x[train], x[test], block=block), theirs.kneighbors(x[test], return_distance=False)[:, 0]
    )


def test_nearest_neighbour_regression(rng):
    x, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    fitted = fit_baseline("nearest_neighbor", x, y, 0)
    queries = rng.normal(size=(15, 3))
    theirs = KNeighborsRegressor(1).fit(x, y).predict(queries)
    np.testing.assert_array_equal(baseline_answers("nearest_neighbor", fitted, queries)[:, 0], theirs)


def test_nearest_neighbour_remembers_its_rows_even_far_from_the_origin(rng):
    x = rng.normal(size=(50, 2)) + 1e7
    np.testing.assert_array_equal(nearest_rows(x, x), np.arange(50))


def test_of_rows_equally_near_the_first_counts():
    rows = np.array([[0.0, 0], [2, 0], [2, 0], [-2, 0]])
    np.testing.assert_array_equal(nearest_rows(rows, np.array([[2.0, 0], [1, 0], [-1, 0]])), [1, 0, 0])


def test_every_baseline_has_a_task():
    assert set(BASELINES) == {"majority", "mean", "nearest_neighbor"}
