"""Bootstrap estimates: hand-made samples, the memorizer, and standard errors by brute force."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy import optimize, stats

from dlrun.errors import AnswerIsNoError, DataError
from dlrun.resampling.bootstrap_estimates import BootstrapEstimates, bootstrap_estimates, no_information
from dlrun.resampling.influence import BagErrors, standard_error
from dlrun.resampling.resamples import drawn_counts
from dlrun.resampling.splitters import bootstrap


def two_halves() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ten rows, five of each class; sample 1 drew the first half twice, sample 2 the second half.

    The fit on all rows gets row 0 wrong (err = 0.1). Sample 1 gets rows 5 and 6 wrong, sample 2 row 0:
    Err¹ = 3/10. Both get one row of their own wrong as well.
    """
    target = np.tile([0, 1], 5)
    counts = np.repeat([[2, 0], [0, 2]], 5, axis=1)
    predictions = np.tile(target, (3, 1))
    for sample, rows in enumerate(([0], [5, 6, 1], [0, 9])):
        predictions[sample, rows] = 1 - predictions[sample, rows]
    return target, predictions, counts


def test_the_paper_s_formulas_by_hand() -> None:
    """err 0.1, Err¹ 0.3, γ 0.5: R = 0.5, w = 0.632/(1 − 0.184), .632+ = (1 − w)·0.1 + w·0.3."""
    result = bootstrap_estimates(*two_halves(), task="classification")
    weight = 0.632 / (1 - 0.368 * 0.5)
    values = {name: estimate.value for name, estimate in result.estimates.items()}
    assert values == pytest.approx(
        {"apparent": 0.1, "oob": 0.3, "632": 0.2264, "632plus": (1 - weight) * 0.1 + weight * 0.3}
    )
    assert result.no_information == pytest.approx(0.5)
    assert result.overfitting_rate == pytest.approx(0.5)
    assert result.weight == pytest.approx(weight)
    np.testing.assert_allclose(result.oob_error, [0.4, 0.2])
    np.testing.assert_allclose(result.train_error, [0.2, 0.2])
    np.testing.assert_array_equal(result.n_unique, [5, 5])
    np.testing.assert_array_equal(result.n_oob, [5, 5])
    np.testing.assert_array_equal(result.row_losses, [1, 0, 0, 0, 0, 1, 1, 0, 0, 0])


def test_out_of_bag_is_averaged_by_row_not_by_sample() -> None:
    """Row 0 is left out three times and missed twice, row 1 once and hit: Err¹ = (2/3 + 0)/2."""
    target = np.array([0, 1])
    counts = np.array([[0, 2], [0, 2], [0, 2], [2, 0]])
    predictions = np.array([[0, 1], [1, 1], [1, 1], [0, 1], [0, 1]])
    result = bootstrap_estimates(target, predictions, counts, task="classification")
    assert result.estimates["oob"].value == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("apparent_wrong", "oob_wrong", "rate", "plus"),
    [
        (4, 3, 0.0, 0.368 * 0.4 + 0.632 * 0.3),  # Err¹ ≤ err: no overfitting, .632+ is .632
        (1, 5, 1.0, 0.5),  # Err¹ = γ: all weight on it
        # Err¹ = 0.8 > γ = 0.5: .632 + (γ − err)·.368·.632/(1 − .368)
        (1, 8, 1.0, 0.368 * 0.1 + 0.632 * 0.8 + 0.4 * 0.368),
        (5, 8, 0.0, 0.368 * 0.5 + 0.632 * 0.8),  # γ ≤ err
    ],
)
def test_overfitting_rate_is_kept_within_0_and_1(apparent_wrong: int, oob_wrong: int, rate: float, plus: float) -> None:
    target, _, counts = two_halves()
    predictions = np.tile(target, (3, 1))
    predictions[0, :apparent_wrong] ^= 1
    predictions[1:, :oob_wrong] ^= 1
    result = bootstrap_estimates(target, predictions, counts, task="classification")
    assert result.no_information == pytest.approx(0.5)
    assert result.overfitting_rate == pytest.approx(rate)
    assert result.estimates["632plus"].value == pytest.approx(plus)


def nearest(X: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Predictions (R, n) of one nearest neighbour among the rows drawn."""
    distance = ((X[:, None] - X[None]) ** 2).sum(-1)
    return np.array([y[np.where(drawn > 0, distance, np.inf).argmin(axis=1)] for drawn in counts])


@pytest.fixture(scope="module")
def memorizer() -> BootstrapEstimates:
    rng = np.random.default_rng(11)
    n = 400
    X, y = rng.normal(size=(n, 3)), rng.permutation(np.repeat([0, 1], n // 2))
    counts = drawn_counts(bootstrap(n, samples=100, seed=4))
    predictions = nearest(X, y, np.vstack([np.ones((1, n), int), counts]))
    return bootstrap_estimates(y, predictions, counts, task="classification")


def test_a_memorizer_on_random_labels(memorizer: BootstrapEstimates) -> None:
    values = {name: estimate.value for name, estimate in memorizer.estimates.items()}
    assert values["apparent"] == 0
    assert values["oob"] == pytest.approx(0.5, abs=0.06)
    assert values["632"] == pytest.approx(0.316, abs=0.04)
    assert values["632plus"] == pytest.approx(0.5, abs=0.06)
    assert memorizer.no_information == pytest.approx(0.5, abs=0.01)
    assert any(".632 is optimistic" in warning for warning in memorizer.warnings)


def test_a_memorizer_s_intervals(memorizer: BootstrapEstimates) -> None:
    plus = memorizer.estimates["632plus"]
    for low, high in ((plus.ci_low, plus.ci_high), (plus.se_low, plus.se_high)):
        assert low is not None
        assert high is not None
        assert low < 0.5 < high < low + 0.3
    for name in ("apparent", "632"):  # biased, and known to be: the interval reaches over the bias, chance does not
        optimist = memorizer.estimates[name]
        assert optimist.ci_low is not None
        assert optimist.ci_high is not None
        assert optimist.se_high is not None
        assert optimist.ci_low <= optimist.value < optimist.se_high < 0.5 < optimist.ci_high


def test_the_interval_reaches_from_632plus_to_out_of_bag() -> None:
    """Of both: .632+ = 0.2549 … and Err¹ = 0.3, z of Imbens and Manski, Wilson with Err¹(1 − Err¹)/SE² rows."""
    target, predictions, counts = two_halves()
    result = bootstrap_estimates(target, np.repeat(predictions, [1, 9, 9], axis=0), np.repeat(counts, 9, axis=0),
                                 task="classification")  # fmt: skip
    plus, oob = result.estimates["632plus"], result.estimates["oob"]
    se = oob.standard_error
    assert se is not None
    gap = (oob.value - plus.value) / se
    z = optimize.brentq(lambda z: stats.norm.cdf(z + gap) - stats.norm.cdf(-z) - 0.95, 1, 2)
    n = oob.value * (1 - oob.value) / se**2
    ends = []
    for p, sign in ((plus.value, -1), (oob.value, 1)):
        half = z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
        ends.append((p + z * z / (2 * n) + sign * half) / (1 + z * z / n))
    assert (plus.ci_low, plus.ci_high) == pytest.approx(ends)
    assert (oob.ci_low, oob.ci_high) == pytest.approx(ends)


def test_an_interpolating_model_is_told_though_it_hardly_overfits() -> None:
    target, predictions, counts = two_halves()
    predictions[:] = target
    predictions[2, 0] ^= 1  # Err¹ = 0.1, err = 0
    result = bootstrap_estimates(target, predictions, counts, task="classification")
    assert result.overfitting_rate == pytest.approx(0.2)
    assert "almost no error of its own" in result.warnings[0]


def test_no_information_rate_is_the_mean_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 4, 30), rng.integers(0, 3, 30)
    weight = rng.integers(0, 3, 30).astype(float)
    pairs = np.outer(weight, weight) / weight.sum() ** 2
    assert no_information(y, z, weight, task="classification") == pytest.approx((pairs * (y[:, None] != z)).sum())
    u, v = rng.normal(100, 1, 30), rng.normal(98, 2, 30)
    assert no_information(u, v, weight, task="regression") == pytest.approx((pairs * (u[:, None] - v) ** 2).sum())


def test_regression_combines_squares_and_takes_the_root_last() -> None:
    """err² = 1, Err¹ = 9 in squares; γ = var y + var ŷ + (ȳ − mean ŷ)²."""
    target = np.array([0.0, 10.0, 20.0, 30.0])
    counts = np.array([[2, 2, 0, 0], [0, 0, 2, 2]])
    predictions = target + np.array([[1.0], [3.0], [3.0]])
    result = bootstrap_estimates(target, predictions, counts, task="regression")
    gamma = 125 + 125 + 1
    rate = 8 / (gamma - 1)
    weight = 0.632 / (1 - 0.368 * rate)
    assert {name: e.value for name, e in result.estimates.items()} == pytest.approx(
        {
            "apparent": 1.0,
            "oob": 3.0,
            "632": np.sqrt(0.368 + 0.632 * 9),
            "632plus": np.sqrt((1 - weight) + weight * 9),
        }
    )
    assert result.no_information == pytest.approx(np.sqrt(gamma))
    np.testing.assert_allclose(result.oob_error, 3.0)


def mean_losses(y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Squared errors (B, n) of the model that predicts the mean of the rows drawn."""
    means = counts @ y / counts.sum(axis=1)
    return (y - means[:, None]) ** 2


def all_samples(members: list[np.ndarray]) -> np.ndarray:
    """Every bootstrap sample there is, as counts of units; a stratum of m members gets m draws."""
    units = sum(len(m) for m in members)
    choices = [product(m, repeat=len(m)) for m in members]
    return np.array([np.bincount(np.concatenate(draw), minlength=units) for draw in product(*choices)])


def brute_force(unit_counts: np.ndarray, members: list[np.ndarray], unit: np.ndarray, losses: np.ndarray) -> float:
    """SE from numerical derivatives of Err¹(p) under unequal drawing probabilities p of the units."""
    size = np.empty(len(unit_counts[0]))
    for m in members:
        size[m] = len(m)
    rows = np.bincount(unit)

    def error(p: np.ndarray) -> float:
        chance = np.exp(unit_counts @ np.log(p * size))  # relative to equal probabilities
        out = (unit_counts == 0)[:, unit] * chance[:, None]
        by_row = (out * losses).sum(axis=0) / out.sum(axis=0)
        total = 0.0
        for m in members:  # a stratum keeps its share of the rows
            held = np.isin(unit, m)
            total += rows[m].sum() * (p[unit] * by_row)[held].sum() / p[unit][held].sum()
        return total / len(unit)

    step, squares = 1e-5, 0.0
    for m in members:
        for u in m:
            values = []
            for sign in (1, -1):
                p = 1 / size
                p[m] *= 1 - sign * step
                p[u] += sign * step
                values.append(error(p))
            squares += ((values[0] - values[1]) / (2 * step) / len(m)) ** 2
    return float(np.sqrt(squares))


@pytest.mark.parametrize(
    ("unit", "members"),
    [
        (np.arange(5), [np.arange(5)]),
        (np.arange(6), [np.array([0, 1, 2]), np.array([3, 4, 5])]),
        (np.array([0, 1, 1, 2, 2, 2, 3, 3]), [np.arange(4)]),
    ],
    ids=["rows", "strata", "groups"],
)
def test_standard_error_is_the_derivative_of_the_estimate(unit: np.ndarray, members: list[np.ndarray]) -> None:
    y = np.random.default_rng(3).normal(size=len(unit))
    unit_counts = all_samples(members)
    counts = unit_counts[:, unit]
    losses = mean_losses(y, counts)
    many = 200  # the same samples over and over: no noise is left to take off
    strata = np.zeros(len(unit), int)
    for code, m in enumerate(members):
        strata[np.isin(unit, m)] = code
    ours = standard_error(
        BagErrors.of(np.tile(losses, (many, 1)), np.tile(counts, (many, 1))),
        np.tile(counts, (many, 1)),
        strata=strata if len(members) > 1 else None,
        groups=unit if len(unit) != len(unit_counts[0]) else None,
    )
    within = brute_force(unit_counts, members, unit, losses)
    # the samples keep the strata's shares, but the data did not: Σ_c n_c (Ē_c − Ē)²/n² comes on top
    by_row = np.where(counts == 0, losses, 0).sum(axis=0) / (counts == 0).sum(axis=0)
    between = sum(
        ((by_row[strata == c].mean() - by_row.mean()) / len(unit)) ** 2 * (strata == c).sum() for c in {*strata}
    )
    assert ours == pytest.approx(np.sqrt(within**2 + between), rel=1e-3)


def test_standard_error_needs_few_samples() -> None:
    y = np.random.default_rng(3).normal(size=40)
    errors = []
    for samples in (100, 8000):
        counts = drawn_counts(bootstrap(40, samples=samples, seed=1))
        errors.append(standard_error(BagErrors.of(mean_losses(y, counts), counts), counts))
    assert errors[0] == pytest.approx(errors[1], rel=0.15)


def test_standard_error_of_regression_is_on_the_scale_of_the_error() -> None:
    y = np.random.default_rng(3).normal(size=40)
    counts = drawn_counts(bootstrap(40, samples=100, seed=1))
    means = np.concatenate([[y.mean()], counts @ y / 40])
    result = bootstrap_estimates(y, np.tile(means[:, None], 40), counts, task="regression")
    oob = result.estimates["oob"]
    of_square = standard_error(BagErrors.of(mean_losses(y, counts), counts), counts)
    assert of_square is not None
    assert oob.standard_error == pytest.approx(of_square / (2 * oob.value))
    assert oob.se_low is not None
    assert oob.se_high is not None
    assert oob.se_low < oob.value < oob.se_high


@pytest.mark.parametrize("break_it", [lambda p: p.__setitem__((2, 3), -1)])
def test_diverged_samples_are_left_out_and_told(break_it: Callable[[np.ndarray], None]) -> None:
    target, predictions, counts = two_halves()
    break_it(predictions)
    result = bootstrap_estimates(target, predictions, counts, task="classification")
    assert np.isnan(result.oob_error[1])
    assert result.estimates["oob"].value == pytest.approx(0.4)  # of the rows that sample 1 left out
    assert result.warnings[0].startswith("1 of 2 samples diverged")
    assert result.warnings[1].startswith("5 of 10 rows were left out by no sample")
    assert result.estimates["oob"].standard_error is None
    predictions[1:] = -1
    with pytest.raises(AnswerIsNoError, match="every fit diverged"):
        bootstrap_estimates(target, predictions, counts, task="classification")
    predictions[0] = -1
    with pytest.raises(AnswerIsNoError, match="fit on all rows"):
        bootstrap_estimates(target, predictions, counts, task="classification")


def test_nothing_out_of_bag_and_wrong_shapes() -> None:
    target, predictions, counts = two_halves()
    with pytest.raises(DataError, match="nothing is out of bag"):
        bootstrap_estimates(target, predictions, np.ones_like(counts), task="classification")
    with pytest.raises(DataError, match=r"\(B \+ 1, 10\)"):
        bootstrap_estimates(target, predictions[:2], counts, task="classification")


def test_a_sample_that_drew_every_row_adds_nothing() -> None:
    target, predictions, counts = two_halves()
    more = bootstrap_estimates(
        target,
        np.vstack([predictions, predictions[:1]]),
        np.vstack([counts, np.ones((1, 10), int)]),
        task="classification",
    )
    assert more.estimates["oob"].value == pytest.approx(0.3)
    assert np.isnan(more.oob_error[2])
    assert more.n_oob[2] == 0
