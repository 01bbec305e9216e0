"""What every sampler must do, and what each does in its own way."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tuning.tuning_cases import experiment

from dlrun.config import with_values
from dlrun.errors import ConfigError
from dlrun.tuning.samplers import EXTENSIBLE, SAMPLERS, Sampler, make_sampler
from dlrun.tuning.samplers.coarse_to_fine import CoarseToFine
from dlrun.tuning.samplers.grid import axis, grid_levels
from dlrun.tuning.space import Space
from dlrun.tuning.trials import Draw, Trial

SPACE = {
    "optimizer.learning_rate": {"log_uniform": [1e-4, 1.0]},
    "optimizer.beta1": {"one_minus_log": [0.9, 0.999]},
    "regularization.l2": {"uniform": [0.0, 1.0]},
    "training.epochs": {"int_uniform": [2, 5]},
    "training.batch_size": {"int_log_uniform": [8, 64]},
    "model.hidden": {"choice": [[4], [8, 4], []]},
    "optimizer.decay": {"choice": [{"name": "constant"}, {"name": "manual", "values": {"3": 0.01}}]},
}
PURE = [name for name in SAMPLERS if name != "optuna"]
Score = Callable[[Draw], float | None]


def quadratic(draw: Draw) -> float:
    """Least at a learning rate of 0.01."""
    return (math.log10(draw.values["optimizer.learning_rate"]) + 2) ** 2


def sampler(name: str, trials: int = 12, seed: int = 3, space: dict[str, Any] | None = None) -> Sampler:
    if name == "optuna":
        pytest.importorskip("optuna")
    return make_sampler(name, Space.of(experiment(space or SPACE)), trials=trials, seed=seed, rounds=3)


def told_by(draw: Draw, score: float | None) -> Trial:
    status = "diverged" if score is None else "done"
    return Trial(number=draw.number, values=draw.values, round=draw.round, status=status, score=score, cost=score)


def run(asked: Sampler, score: Score, told: dict[int, Trial] | None = None) -> dict[int, Trial]:
    """The trials of a whole search; `told` are those known before."""
    told = dict(told or {})
    for _ in range(100):
        draws = asked.ask(told)
        if not draws:
            return told
        fresh = [draw for draw in draws if draw.number not in told]
        assert fresh, "asked again for what is told"
        told |= {draw.number: told_by(draw, score(draw)) for draw in fresh}
    raise AssertionError("the search does not end")


@pytest.mark.parametrize("name", SAMPLERS)
class TestEverySampler:
    def test_trials_are_numbered_from_zero_and_end(self, name: str) -> None:
        asked = sampler(name)
        assert sorted(run(asked, quadratic)) == list(range(asked.total))
        assert asked.total <= 12

    def test_values_fit_the_experiment_and_the_journal(self, name: str) -> None:
        chosen = experiment(SPACE)
        for trial in run(sampler(name), quadratic).values():
            assert set(trial.values) == set(SPACE)
            with_values(chosen, trial.values)
            assert Trial.from_json(json.loads(json.dumps(trial.to_json(), sort_keys=True))) == trial
            for each in Space.of(chosen).dimensions:
                if each.ordered:
                    assert each.range.low <= trial.values[each.key] <= each.range.high  # type: ignore[operator]
                else:
                    assert trial.values[each.key] in each.range.choices

    def test_the_same_seed_draws_the_same(self, name: str) -> None:
        assert run(sampler(name), quadratic) == run(sampler(name), quadratic)

    def test_another_seed_draws_others(self, name: str) -> None:
        same = run(sampler(name), quadratic) == run(sampler(name, seed=4), quadratic)
        assert same == (name == "grid")

    def test_a_search_in_which_all_diverge_ends(self, name: str) -> None:
        asked = sampler(name)
        assert len(run(asked, lambda draw: None)) == asked.total

    def test_a_search_goes_on_from_what_is_told(self, name: str) -> None:
        whole = run(sampler(name), quadratic)
        some = {number: trial for number, trial in whole.items() if number % 2 == 0 or number < 4}
        resumed = run(sampler(name), quadratic, told=some)
        assert sorted(resumed) == sorted(whole)
        if name in PURE:
            assert resumed == whole

    def test_one_trial_is_a_search(self, name: str) -> None:
        assert list(run(sampler(name, trials=1), quadratic)) == [0]


@pytest.mark.parametrize("name", EXTENSIBLE)
def test_more_trials_keep_the_first(name: str) -> None:
    few, many = run(sampler(name, trials=5), quadratic), run(sampler(name, trials=20), quadratic)
    assert {number: many[number] for number in few} == few


def test_a_new_key_changes_no_other_keys_draws() -> None:
    more = {"model.keep_prob": {"uniform": [0.5, 1.0]}, **SPACE}
    before, after = run(sampler("random"), quadratic), run(sampler("random", space=more), quadratic)
    assert all(before[t].values[key] == after[t].values[key] for t in before for key in SPACE)


def test_an_unknown_sampler_is_an_error() -> None:
    with pytest.raises(ConfigError, match="should be one of random, grid, coarse-to-fine, sobol, optuna"):
        sampler("sobel")


# -- the grid ----------------------------------------------------------------------------------

TWO = {"optimizer.learning_rate": {"log_uniform": [1e-4, 1.0]}, "optimizer.beta1": {"one_minus_log": [0.9, 0.999]}}


def test_the_grid_is_every_combination() -> None:
    asked = sampler("grid", trials=9, space=TWO)
    points = [draw.values for draw in asked.ask({})]
    rates = sorted({point["optimizer.learning_rate"] for point in points})
    betas = sorted({point["optimizer.beta1"] for point in points})
    assert rates == pytest.approx([1e-4, 1e-2, 1.0])
    assert betas == pytest.approx([0.9, 0.99, 0.999])
    assert len(points) == 9
    assert "3 × 3 = 9 points" in asked.notes[0]


@pytest.mark.parametrize(("trials", "levels"), [(1, [1, 1, 1]), (4, [2, 2, 1]), (12, [3, 2, 2]), (48, [4, 4, 3])])
def test_levels_are_as_equal_as_the_trials_allow(trials: int, levels: list[int]) -> None:
    space = {**TWO, "model.hidden": {"choice": [[4], [8], [16]]}}
    assert grid_levels(Space.of(experiment(space)), trials) == levels


def test_a_key_has_no_more_levels_than_values() -> None:
    space = Space.of(experiment({"training.epochs": {"int_uniform": [2, 4]}, "model.hidden": {"choice": [[4], []]}}))
    assert grid_levels(space, 100) == [3, 2]
    assert [space.dimensions[0].value(u) for u in axis(space.dimensions[0], 3)] == [2, 3, 4]


def test_a_key_held_at_one_value_is_told() -> None:
    assert "holds optimizer.beta1 at one value" in sampler("grid", trials=3, space=TWO).notes[1]


# -- Sobol -------------------------------------------------------------------------------------


def test_sobol_points_are_one_in_each_part_of_each_axis() -> None:
    """The defining evenness of the sequence: 16 points, one in each sixteenth of every axis."""
    space = Space.of(experiment(TWO))
    draws = make_sampler("sobol", space, trials=16, seed=5, rounds=3).ask({})
    units = np.array([space.units(draw.values) for draw in draws])
    for column in units.T:
        assert sorted(np.floor(column * 16).astype(int)) == list(range(16))
    quarters = np.floor(units * 4).astype(int)  # and one in each cell of a 4 × 4 grid of the first two axes
    assert len({tuple(cell) for cell in quarters}) == 16


# -- coarse to fine ----------------------------------------------------------------------------


def test_boxes_narrow_around_the_best() -> None:
    space = Space.of(experiment(TWO))
    asked = CoarseToFine(space, trials=60, seed=1, rounds=3)
    told = run(asked, quadratic)
    rounds = asked.rounds(told)
    assert [len(each.trials) for each in rounds] == [20, 20, 20]
    widths = [each.sides[0].high - each.sides[0].low for each in rounds]
    assert widths[0] == 1
    assert widths[2] < widths[1] < 0.6
    assert rounds[2].sides[1].high - rounds[2].sides[1].low > widths[2]  # β does not matter here
    low, high = rounds[2].bounds(space)["optimizer.learning_rate"]
    assert low < 1e-2 < high
    assert all(low <= told[t].values["optimizer.learning_rate"] <= high for t in rounds[2].trials)
    assert "around the best 8 of 40 trials" in rounds[2].reason


def test_the_box_is_that_of_the_best_and_half_their_distance() -> None:
    """Learning rates 10^−4, …, 10^−1 by hand: u = 0, ¼, ½, ¾; the best three are ¼, ½, ¾, half their distance ⅛."""
    space = Space.of(experiment({"optimizer.learning_rate": {"log_uniform": [1e-4, 1.0]}}))
    asked = CoarseToFine(space, trials=8, seed=1, rounds=2)
    told = {
        t: Trial(number=t, values={"optimizer.learning_rate": 10.0 ** (t - 4)}, score=score)
        for t, score in enumerate([0.9, 0.2, 0.1, 0.3])
    }
    side = asked.rounds(told)[1].sides[0]
    assert (side.low, side.high) == pytest.approx((0.125, 0.875))


def test_choices_of_the_best_are_left() -> None:
    space = Space.of(experiment({"model.hidden": {"choice": [[4], [8], [16], []]}}))
    asked = CoarseToFine(space, trials=12, seed=1, rounds=2)
    told = run(asked, lambda draw: float(len(draw.values["model.hidden"]) * 10 + sum(draw.values["model.hidden"])))
    kept = asked.rounds(told)[1].sides[0].choices
    assert kept is not None
    assert () in kept
    assert (16,) not in kept


def test_a_best_on_the_edge_of_its_box_is_told() -> None:
    asked = CoarseToFine(Space.of(experiment(TWO)), trials=8, seed=1, rounds=2)
    rates = [1e-3, 1e-2, 1e-1, 0.99]  # the last within 2 % of the end
    told = {
        t: Trial(number=t, values={"optimizer.learning_rate": rate, "optimizer.beta1": 0.99}, score=1 - rate)
        for t, rate in enumerate(rates)
    }
    after = asked.rounds(told)[1]
    assert after.reason.endswith("the best lies on the edge of the box before in optimizer.learning_rate")
    assert after.sides[0].high == 1.0


def test_optuna_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'dlrun\[optuna\]'"):
        make_sampler("optuna", Space.of(experiment(SPACE)), trials=4, seed=0, rounds=1)
