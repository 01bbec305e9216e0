"""Ranges as axes of a unit cube: the scales of the texts, against SciPy and closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tuning.tuning_cases import experiment

from dlrun.config import Range
from dlrun.errors import ConfigError
from dlrun.tuning.samplers.random import uniform_units
from dlrun.tuning.space import Dimension, Space, edges

DRAWS = 2000


def dimension(**given: Any) -> Dimension:
    return Dimension("optimizer.learning_rate", Range.model_validate(given))


def drawn(each: Dimension) -> np.ndarray[Any, Any]:
    space = Space((each,))
    return np.array([each.value(uniform_units(space, 7, trial)[0]) for trial in range(DRAWS)])


def test_learning_rates_are_even_in_the_exponent() -> None:
    """α in [1e-4, 1]: α = 10^r with r even in [−4, 0]."""
    r = np.log10(drawn(dimension(log_uniform=[1e-4, 1.0])))
    assert stats.kstest(r, stats.uniform(-4, 4).cdf).pvalue > 0.01


def test_betas_are_even_in_the_exponent_of_what_is_missing_to_one() -> None:
    """β in [0.9, 0.999]: 1 − β = 10^r with r even in [−3, −1]."""
    r = np.log10(1 - drawn(dimension(one_minus_log=[0.9, 0.999])))
    assert stats.kstest(r, stats.uniform(-3, 2).cdf).pvalue > 0.01


def test_uniform_is_even_in_the_value() -> None:
    assert stats.kstest(drawn(dimension(uniform=[-1, 3])), stats.uniform(-1, 4).cdf).pvalue > 0.01


def test_whole_numbers_are_equally_frequent() -> None:
    counts = np.bincount(drawn(dimension(int_uniform=[2, 6])))[2:]
    assert len(counts) == 5
    assert stats.chisquare(counts).pvalue > 0.01


def test_whole_numbers_on_a_log_scale() -> None:
    """P(k) = log((k + ½)/(k − ½)) / log((high + ½)/(low − ½))."""
    counts = np.bincount(drawn(dimension(int_log_uniform=[1, 8])))[1:]
    k = np.arange(1, 9)
    share = np.log((k + 0.5) / (k - 0.5)) / math.log(8.5 / 0.5)
    assert stats.chisquare(counts, share * DRAWS).pvalue > 0.01


def test_choices_are_equally_frequent() -> None:
    values = drawn(dimension(choice=["a", "b", "c"]))
    assert stats.chisquare([(values == name).sum() for name in "abc"]).pvalue > 0.01


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ({"uniform": [0, 1]}, 0.0, 1.0),
        ({"log_uniform": [1e-4, 0.3]}, 1e-4, 0.3),
        ({"one_minus_log": [0.9, 0.999]}, 0.9, 0.999),
        ({"int_uniform": [16, 128]}, 16, 128),
        ({"int_log_uniform": [3, 100]}, 3, 100),
        ({"choice": [[16], []]}, (16,), ()),
    ],
)
def test_the_ends_of_the_axis_are_the_ends_of_the_range(given: dict[str, Any], low: Any, high: Any) -> None:
    each = dimension(**given)
    assert (each.value(0.0), each.value(1.0)) == (low, high)
    assert isinstance(each.value(0.3), type(low))


RANGES = [
    {"uniform": [-2.0, 5.0]},
    {"log_uniform": [1e-6, 10.0]},
    {"one_minus_log": [0.0, 0.9999]},
    {"int_uniform": [-3, 40]},
    {"int_log_uniform": [1, 5000]},
    {"choice": [1, 1.0, True, "x", [1, 2]]},
]


@given(st.sampled_from(RANGES), st.floats(0, 1))
def test_a_value_lies_in_its_range_and_keeps_its_place(given: dict[str, Any], u: float) -> None:
    each = dimension(**given)
    value = each.value(u)
    start, stop = each.cell(value)
    assert start - 1e-9 <= u <= stop + 1e-9
    assert repr(each.value(each.unit(value))) == repr(value) or value == pytest.approx(each.value(each.unit(value)))
    if each.ordered:
        assert each.range.low <= value <= each.range.high  # type: ignore[operator]


def test_an_empty_space_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"tune\.space is empty"):
        Space.of(experiment({}))


SPACE = {
    "optimizer.learning_rate": {"log_uniform": [1e-3, 1e-1]},
    "model.keep_prob": {"uniform": [0.5, 1.0]},
    "training.epochs": {"int_uniform": [2, 9]},
    "model.hidden": {"choice": [[4], [8]]},
}


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ({"optimizer.learning_rate": 0.01, "model.keep_prob": 0.7, "training.epochs": 5}, []),
        ({"optimizer.learning_rate": 0.0999, "model.keep_prob": 0.7, "training.epochs": 5}, ["learning_rate"]),
        ({"optimizer.learning_rate": 0.00101, "model.keep_prob": 0.7, "training.epochs": 5}, ["learning_rate"]),
        ({"optimizer.learning_rate": 0.01, "model.keep_prob": 1.0, "training.epochs": 5}, []),  # 1 is the end
        ({"optimizer.learning_rate": 0.01, "model.keep_prob": 0.501, "training.epochs": 5}, ["keep_prob"]),
        ({"optimizer.learning_rate": 0.01, "model.keep_prob": 0.7, "training.epochs": 9}, ["epochs"]),
        ({"optimizer.learning_rate": 0.01, "model.keep_prob": 0.7, "training.epochs": 8}, []),
    ],
)
def test_values_on_the_edge_are_told(values: dict[str, Any], keys: list[str]) -> None:
    chosen = experiment(SPACE)
    told = edges(chosen, Space.of(chosen), {**values, "model.hidden": (4,)})
    assert len(told) == len(keys)
    assert all(key in sentence for key, sentence in zip(keys, told, strict=True))
