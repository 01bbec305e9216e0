"""Tests of a paired difference in error, each with its interval and effect size; and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from dlrun.resampling.distributions import binomial_two_sided, chi_squared_tail, normal_quantile, t_two_sided
from dlrun.resampling.intervals import FloatArray, t_interval

EXACT_BELOW = 25  # discordant rows below which McNemar's test is the exact binomial one
NO_SPREAD = 1e-12  # spread relative to the size of the differences that is rounding, not spread


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference in error with its test, all two-sided.

    statistic, p_value, ci_low, ci_high   None where nothing can be tested; `reason` then says why
    degrees      degrees of freedom of Student's t, else None
    effect_size  mean difference / standard deviation of the differences (Cohen's d for pairs);
                 for McNemar b/(b + c) − ½ (Cohen's g, from −½ to ½)
    """

    test: str
    value: float
    statistic: float | None = None
    degrees: int | None = None
    p_value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    effect_size: float | None = None
    reason: str = ""


def corrected_t(differences: FloatArray, *, test_to_train: float, confidence: float = 0.95) -> Difference:
    """Corrected resampled t-test of k differences of fold errors d:

        t = d̄ / √((1/k + n_test/n_train)·s²),  k − 1 degrees of freedom

    Training sets of different folds overlap, so their errors vary together, and the t-test with s²/k
    sees differences where there are none (more of them with every repeat). Nadeau and Bengio 2003,
    "Inference for the Generalization Error"; for repeated k-fold, Bouckaert and Frank 2004.
    """
    return _t_test(
        differences,
        variance_factor=1 / max(len(differences), 1) + test_to_train,
        test="corrected resampled t-test",
        unit="fold",
        confidence=confidence,
    )


def naive_t(differences: FloatArray, *, confidence: float = 0.95) -> Difference:
    """The paired t-test that takes folds for independent: for showing what is wrong with it."""
    return _t_test(
        differences,
        variance_factor=1 / max(len(differences), 1),
        test="paired t-test",
        unit="fold",
        confidence=confidence,
    )


def paired_rows(losses_a: FloatArray, losses_b: FloatArray, *, confidence: float = 0.95) -> Difference:
    """Difference of two root mean squared errors on the same rows, from squared errors (n,).

    To first order √m̂_a − √m̂_b is the mean of u_i = (a_i − m̂_a)/(2√m̂_a) − (b_i − m̂_b)/(2√m̂_b) plus the
    difference itself, so a t-test over rows with the standard deviation of u applies.
    """
    roots = [sqrt(float(x.mean())) if len(x) else 0.0 for x in (losses_a, losses_b)]
    parts = [
        (x - x.mean()) / (2 * root) if root > 0 else np.zeros(len(x))
        for x, root in zip((losses_a, losses_b), roots, strict=True)
    ]
    return _t_test(
        roots[0] - roots[1] + parts[0] - parts[1],
        variance_factor=1 / max(len(losses_a), 1),
        test="paired t-test over rows",
        unit="row",
        confidence=confidence,
    )


def mcnemar(wrong_a: FloatArray, wrong_b: FloatArray, *, confidence: float = 0.95) -> Difference:
    """McNemar's test (1947) of two classifiers on the same rows, from 0/1 losses (n,).

    b rows only A got wrong, c only B. Below 25 of them in all the exact binomial test of b in b + c;
    from there χ² = (|b − c| − 1)²/(b + c) with one degree of freedom (continuity as in Edwards 1948).
    The interval of the difference is Bonett and Price's (2012): p̃ = (b + 1)/(n + 2), q̃ = (c + 1)/(n + 2),
    p̃ − q̃ ± z·√((p̃ + q̃ − (p̃ − q̃)²)/(n + 2)); it can disagree with the test at its edge.
    """
    n = len(wrong_a)
    test = "McNemar's test"
    if n == 0:
        return Difference(test=test, value=float("nan"), reason="no test row is left")
    b = int(np.sum((wrong_a > 0) & (wrong_b == 0)))
    c = int(np.sum((wrong_a == 0) & (wrong_b > 0)))
    discordant = b + c
    if discordant < EXACT_BELOW:
        test, statistic = "McNemar's exact test", float(b)
        p_value = binomial_two_sided(b, discordant) if discordant else 1.0
    else:
        statistic = max(abs(b - c) - 1, 0) ** 2 / discordant
        p_value = chi_squared_tail(statistic)
    p, q = (b + 1) / (n + 2), (c + 1) / (n + 2)
    half = normal_quantile((1 + confidence) / 2) * sqrt((p + q - (p - q) ** 2) / (n + 2))
    return Difference(
        test=test,
        value=(b - c) / n,
        statistic=statistic,
        p_value=p_value,
        ci_low=max(-1.0, p - q - half),
        ci_high=min(1.0, p - q + half),
        effect_size=b / discordant - 0.5 if discordant else 0.0,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (1979): adjusted p-values, in the order given.

    The i-th smallest of m becomes the greatest of min(1, (m − j + 1)·p_j) over j ≤ i. It holds the chance
    of any false alarm, under every dependence. None (no test made) stays None and is not counted.
    """
    tested = [i for i, p in enumerate(p_values) if p is not None]
    order = sorted(tested, key=lambda i: p_values[i] or 0.0)
    adjusted: list[float | None] = [None] * len(p_values)
    greatest = 0.0
    for rank, i in enumerate(order):
        greatest = max(greatest, min(1.0, (len(order) - rank) * (p_values[i] or 0.0)))
        adjusted[i] = greatest
    return adjusted


def _t_test(differences: FloatArray, *, variance_factor: float, test: str, unit: str, confidence: float) -> Difference:
    """t-test of a mean difference whose variance is `variance_factor`·s²."""
    k = len(differences)
    value = float(differences.mean()) if k else float("nan")
    if k < 2:
        return Difference(test=test, value=value, reason=f"it takes two {unit}s or more, not {k}")
    if not differences.any():  # no spread, hence no interval; but nothing speaks against equality either
        return Difference(test=test, value=0.0, statistic=0.0, degrees=k - 1, p_value=1.0, effect_size=0.0)
    deviation = float(differences.std(ddof=1))
    if deviation <= NO_SPREAD * float(np.abs(differences).max()):
        return Difference(
            test=test,
            value=value,
            reason=f"the difference is the same in every {unit}, so its spread is not known",
        )
    error = deviation * sqrt(variance_factor)
    interval = t_interval(value, error, k - 1, confidence)
    return Difference(
        test=test,
        value=value,
        statistic=value / error,
        degrees=k - 1,
        p_value=t_two_sided(value / error, k - 1),
        ci_low=interval.low,
        ci_high=interval.high,
        effect_size=value / deviation,
    )
