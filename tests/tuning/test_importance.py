"""Importance against Kruskal and Wallis's test, Spearman's correlation and random data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from tuning.tuning_cases import experiment

from dlrun.config import Range
from dlrun.tuning.importance import average_ranks, between_share, bins_of, importances
from dlrun.tuning.space import Dimension, Space
from dlrun.tuning.trials import Trial

SPACE = {
    "optimizer.learning_rate": {"log_uniform": [1e-3, 1e-1]},
    "optimizer.beta1": {"uniform": [0.0, 0.9]},
    "model.activation": {"choice": ["relu", "tanh", "sigmoid"]},
}


def trials_of(scores: Sequence[float | None], seed: int = 0) -> list[Trial]:
    """Trials at random places of the space with the given scores; None has diverged."""
    random = np.random.default_rng(seed)
    space = Space.of(experiment(SPACE))
    return [
        Trial(
            number=number,
            values=space.values(random.random(3)),
            score=score,
            cost=score,
            status="done" if score is not None else "diverged",
        )
        for number, score in enumerate(scores)
    ]


def test_the_share_between_bins_is_kruskal_and_walliss() -> None:
    random = np.random.default_rng(4)
    values, bins = random.integers(0, 9, 40).astype(float), random.integers(0, 4, 40)
    ranks = average_ranks([(value,) for value in values])
    assert ranks == pytest.approx(stats.rankdata(values))
    statistic = stats.kruskal(*(values[bins == b] for b in range(4))).statistic
    assert between_share(ranks, bins) * 39 == pytest.approx(statistic)


def test_trend_is_spearmans_correlation() -> None:
    trials = trials_of(list(np.random.default_rng(1).random(30)))
    found = {each.key: each for each in importances(Space.of(experiment(SPACE)), trials, seed=0)}
    rates = [trial.values["optimizer.learning_rate"] for trial in trials]
    expected = stats.spearmanr(rates, [trial.score for trial in trials]).statistic
    assert found["optimizer.learning_rate"].trend == pytest.approx(expected)
    assert found["model.activation"].trend is None


def test_the_key_that_decides_is_the_most_important() -> None:
    trials = trials_of([0.0] * 64)
    rated = [
        Trial(number=t.number, values=t.values, score=abs(np.log10(t.values["optimizer.learning_rate"]) + 2))
        for t in trials
    ]
    found = importances(Space.of(experiment(SPACE)), rated, seed=0)
    assert found[0].key == "optimizer.learning_rate"
    assert found[0].importance > 0.8
    assert found[0].p == pytest.approx(0.001)
    assert max(each.importance for each in found[1:]) < 0.2


def test_without_any_effect_importance_is_near_zero_and_p_even() -> None:
    space = Space.of(experiment(SPACE))
    shares, ps = [], []
    for seed in range(60):
        scores = list(np.random.default_rng(1000 + seed).random(30))
        for each in importances(space, trials_of(scores, seed), seed=seed):
            shares.append(each.importance)
            ps.append(each.p)
    assert np.mean(shares) < 0.06
    assert stats.kstest(ps, "uniform").pvalue > 0.01


def test_diverged_trials_are_the_worst_and_all_alike() -> None:
    scores: list[float | None] = [0.3, 0.1, None, None, 0.2, None, 0.4]
    trials = trials_of(scores)
    ranks = average_ranks([trial.order()[:-1] for trial in trials])
    assert list(ranks) == [3, 1, 6, 6, 2, 6, 4]


def test_bins_have_equal_counts_and_choices_their_own() -> None:
    units = np.random.default_rng(0).random(64)
    ordered = Dimension("a", Range.model_validate({"uniform": [0, 1]}))
    chosen = Dimension("a", Range.model_validate({"choice": [1, 2, 3]}))
    assert list(np.bincount(bins_of(ordered, units))) == [8] * 8
    assert list(bins_of(chosen, np.array([0.5, 1 / 6, 5 / 6, 0.5]))) == [1, 0, 2, 1]


@pytest.mark.parametrize("scores", [[0.1] * 20, [0.1, 0.2, 0.3]])
def test_nothing_is_said_about_equal_or_few_trials(scores: list[float]) -> None:
    trials = [Trial(number=t.number, values=t.values, score=t.score) for t in trials_of(scores)]
    assert importances(Space.of(experiment(SPACE)), trials, seed=0) == []
