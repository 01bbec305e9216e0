from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from dlrun.data import Scaling, fit_scaling, fit_scalings
from dlrun.data import scaling as scaling_module

PLAIN = np.zeros(4, dtype=bool)


def fit(features: Any, rows: Any = None, **options: Any) -> Scaling:
    features = np.asarray(features, dtype=np.float64)
    rows = np.arange(len(features)) if rows is None else rows
    given = {"normalize": "standard", "missing": "error", "categorical": np.zeros(features.shape[1], bool)}
    return fit_scaling(features, rows, **(given | options))


@pytest.fixture
def features() -> np.ndarray:
    random = np.random.default_rng(0)
    return random.normal([0, 1e9, -3, 5], [1, 2, 1e-3, 100], (300, 4))


def test_standard_equals_scikit_learn_on_the_training_rows_alone(features: np.ndarray) -> None:
    rows = np.arange(0, 300, 2)
    theirs = StandardScaler().fit(features[rows])
    ours = fit(features, rows)
    np.testing.assert_allclose(ours.shift, theirs.mean_, rtol=1e-14)
    np.testing.assert_allclose(ours.scale, 1 / theirs.scale_, rtol=1e-7)  # theirs at 1e9 ± 2
    np.testing.assert_allclose(ours.apply(features), theirs.transform(features), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(1 / ours.scale[1], features[rows, 1].astype(np.longdouble).std(), rtol=1e-12)


def test_minmax_equals_scikit_learn(features: np.ndarray) -> None:
    rows = np.arange(100)
    ours = fit(features, rows, normalize="minmax")
    theirs = MinMaxScaler().fit(features[rows]).transform(features)
    np.testing.assert_allclose(ours.apply(features), theirs, rtol=1e-6, atol=1e-6)
    assert ours.apply(features[rows]).min() == 0
    assert ours.apply(features[rows]).max() == pytest.approx(1)


def test_none_leaves_everything_and_repeated_rows_count_twice() -> None:
    x = np.array([[1.0], [2.0], [6.0]])
    none = fit(x, normalize="none")
    np.testing.assert_array_equal(none.apply(x), x)
    assert none.fill[0] == 3
    resample = fit(x, [0, 0, 2, 2])
    assert (resample.shift[0], resample.scale[0]) == (3.5, 0.4)


@pytest.mark.parametrize("value", [0.1, -1e149, 1e-300, 12345.678])
@pytest.mark.parametrize("normalize", ["standard", "minmax"])
def test_a_constant_column_becomes_zero(value: float, normalize: str) -> None:
    scaling = fit(np.full((7, 1), value), normalize=normalize)
    assert scaling.scale[0] == 1
    np.testing.assert_array_equal(scaling.apply(np.full((2, 1), value)), 0)


def test_gaps_are_filled_with_the_mean_of_the_training_rows() -> None:
    x = np.array([[1, 1.0, 0], [np.nan, np.nan, np.nan], [3, 0, 1], [100, 0, 1]])
    categorical = np.array([False, True, True])
    scaling = fit(x, [0, 1, 2], missing="mean", categorical=categorical)
    np.testing.assert_array_equal(scaling.fill, [2, 0.5, 0.5])
    np.testing.assert_array_equal(scaling.shift, [2, 0, 0])
    np.testing.assert_array_equal(scaling.scale, [1, 1, 1])
    np.testing.assert_array_equal(scaling.apply(x), [[-1, 1, 0], [0, 0.5, 0.5], [1, 0, 1], [98, 0, 1]])


@pytest.mark.parametrize("normalize", ["standard", "minmax", "none"])
def test_what_no_training_row_has_is_switched_off(normalize: str) -> None:
    x = np.array([[np.nan, 0, 1], [np.nan, 0, 1], [7.0, 1, 0]])
    scaling = fit(x, [0, 1], normalize=normalize, missing="mean", categorical=np.array([False, True, True]))
    np.testing.assert_array_equal(scaling.scale[:2], 0)
    np.testing.assert_array_equal(scaling.apply(x)[:, :2], 0)
    np.testing.assert_array_equal(scaling.apply(x)[:, 2], [1, 1, 0])


@pytest.mark.parametrize("normalize", ["standard", "minmax", "none"])
def test_a_stack_has_bit_for_bit_what_each_replica_has_alone(features: np.ndarray, normalize: Any) -> None:
    random = np.random.default_rng(1)
    features = np.where(random.random(features.shape) < 0.1, np.nan, features)
    rows = [random.integers(0, 300, size) for size in (300, 17, 1, 299)]
    options: dict[str, Any] = {"normalize": normalize, "missing": "mean", "categorical": PLAIN}
    stack = fit_scalings(features, rows, **options)
    assert stack.scale.shape == (4, 4)
    scaled = stack.apply(features)
    for replica, chosen in enumerate(rows):
        alone = fit_scaling(features, chosen, **options)
        for name in ("fill", "shift", "scale"):
            np.testing.assert_array_equal(getattr(stack[replica], name), getattr(alone, name))
        np.testing.assert_array_equal(scaled[replica], alone.apply(features))


def test_blocks_of_any_height_agree(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    features[3, 2] = np.nan
    whole = [fit(features, normalize=name, missing="mean") for name in ("standard", "minmax")]
    monkeypatch.setattr(scaling_module, "_BLOCK", 4 * 7)
    for first, name in zip(whole, ("standard", "minmax"), strict=True):
        pieces = fit(features, normalize=name, missing="mean")
        np.testing.assert_allclose(pieces.shift, first.shift, rtol=1e-14)
        np.testing.assert_allclose(pieces.scale, first.scale, rtol=1e-12)


@given(arrays(np.float64, st.tuples(st.integers(2, 30), st.just(2)), elements=st.floats(-1e6, 1e6)))
def test_scaled_training_rows_have_mean_0_and_deviation_1_or_0(x: np.ndarray) -> None:
    scaled = fit(x).apply(x)
    spread = np.ptp(x, axis=0) > 1e-6 * (1 + np.abs(x).max(axis=0))
    np.testing.assert_allclose(scaled[:, spread].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled[:, spread].std(axis=0), 1, rtol=1e-9)
    assert np.isfinite(scaled).all()
