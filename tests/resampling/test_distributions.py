"""Quantiles and tails against SciPy, and against closed forms where SciPy is less exact."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from dlrun.resampling.distributions import (
    binomial_two_sided,
    chi_squared_tail,
    normal_quantile,
    t_quantile,
    t_two_sided,
)

PROBABILITIES = [1e-9, 0.0005, 0.025, 0.3, 0.5, 0.5 + 1e-9, 0.6, 0.95, 0.975, 0.9995, 1 - 1e-9]
DEGREES = [1, 2, 3, 9, 57.3, 99, 101, 1797, 1e6]


@pytest.mark.parametrize("p", PROBABILITIES)
def test_normal_quantiles(p: float) -> None:
    assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("p", PROBABILITIES)
def test_t_quantiles(p: float, degrees: float) -> None:
    assert t_quantile(p, degrees) == pytest.approx(stats.t.ppf(p, degrees), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("t", [0.0, 1e-9, 0.3, -1.0, 2.262157, 12.0, -300.0, 1e9])
def test_t_tails(t: float, degrees: float) -> None:
    assert t_two_sided(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=1e-9, abs=1e-300)


def test_t_in_closed_form() -> None:
    """One degree of freedom is Cauchy's distribution, two have (1 + t/√(2 + t²))/2."""
    for p in (0.51, 0.9, 0.975, 0.999999):
        assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-10)
        alpha = 4 * p * (1 - p)
        assert t_quantile(p, 2) == pytest.approx(2 * (p - 0.5) * math.sqrt(2 / alpha), rel=1e-10)
    for t in (0.1, 1.0, 50.0):
        assert t_two_sided(t, 1) == pytest.approx(1 - 2 * math.atan(t) / math.pi, rel=1e-12)
        assert t_two_sided(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-11)


def test_ends() -> None:
    assert t_two_sided(math.inf, 5) == 0
    assert t_quantile(0.5, 3) == normal_quantile(0.5) == 0
    assert normal_quantile(1.0) == math.inf
    assert t_quantile(0.0, 4) == -math.inf


def test_chi_squared_and_binomial_tails() -> None:
    for statistic in (0.0, 0.1, 3.84, 20.0, 700.0):
        assert chi_squared_tail(statistic) == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-10)
    for k, n in ((0, 5), (3, 10), (5, 10), (9, 10), (0, 1), (12, 24), (3, 1000)):
        assert binomial_two_sided(k, n) == pytest.approx(stats.binomtest(k, n).pvalue, rel=1e-10)
