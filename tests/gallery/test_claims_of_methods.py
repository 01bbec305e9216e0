"""What the gallery claims of optimizers on surfaces, averages, searches, checks and estimates, by the numbers."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.cli.app import run as command_line
from dlrun.errors import AnswerIsNoError
from dlrun.optim.descent import optimizer_settings
from dlrun.optim.path import follow, read_cost

RAVINE = "x**2/200 + y**2"
SADDLE = "x**2 - y**2 + y**4/4"
PLATEAU = "1 - exp(-(x**2 + y**2)/2)"
OPTIMIZERS = {
    "gradient_descent": (),
    "momentum": (),
    "rmsprop": ("optimizer.beta2=0.9",),
    "adam": (),
}
RATES = tuple(10 ** (power / 4) for power in range(-8, 5))  # 0.01 to 10


def costs(cost: str, start: dict[str, float], optimizer: str, rate: float, steps: int) -> list[float]:
    """The cost before each step and after the last, up to where it is no number."""
    node, variables = read_cost(cost, start=start, dtype="float64")
    settings = optimizer_settings({"name": optimizer, "learning_rate": rate}, OPTIMIZERS[optimizer])
    found: list[float] = []
    with suppress(AnswerIsNoError):  # it diverged, which is an answer here
        found.extend(record.cost for record in follow(node, variables, settings, steps=steps))
        return found
    return [*found, math.inf]


def best(cost: str, start: dict[str, float], steps: int) -> dict[str, float]:
    """The least final cost of each optimizer over the learning rates of one grid: none is tuned more than another."""
    return {name: min(costs(cost, start, name, rate, steps)[-1] for rate in RATES) for name in OPTIMIZERS}


def test_on_the_ravine_all_three_beat_gradient_descent() -> None:
    found = best(RAVINE, {"x": -8.0, "y": 2.0}, 100)
    assert found["gradient_descent"] > 0.03
    for name in ("momentum", "rmsprop", "adam"):
        assert found[name] < 0.05 * found["gradient_descent"], name


def test_on_the_ravine_gradient_descent_is_held_up_by_the_steep_side() -> None:
    """y ← (1 − 2α)y explodes for α > 1, and x ← (1 − α/100)x then shrinks by 1 % a step at best."""
    assert costs(RAVINE, {"x": -8.0, "y": 2.0}, "gradient_descent", 1.05, 100)[-1] > 1e3
    slow = costs(RAVINE, {"x": -8.0, "y": 0.0}, "gradient_descent", 0.9, 100)
    assert slow[-1] == pytest.approx(64 / 200 * (1 - 0.9 / 100) ** 200)


def test_from_the_saddle_scaled_steps_get_away_sooner() -> None:
    """Steps until the cost is below −0.5, at α = 0.05; the saddle has 0, the minima have −1."""
    away = {}
    for name in OPTIMIZERS:
        path = costs(SADDLE, {"x": 2.0, "y": 0.001}, name, 0.05, 400)
        away[name] = next(step for step, cost in enumerate(path) if cost < -0.5)
    assert max(away["rmsprop"], away["adam"]) < 0.5 * min(away["gradient_descent"], away["momentum"])


def test_across_the_plateau_only_scaled_steps_come_home() -> None:
    found = {name: costs(PLATEAU, {"x": -3.0, "y": 1.5}, name, 0.05, 150)[-1] for name in OPTIMIZERS}
    assert min(found["gradient_descent"], found["momentum"]) > 0.99
    assert max(found["rmsprop"], found["adam"]) < 0.01


@pytest.mark.parametrize(("rate", "ends"), [(0.05, "nearer"), (0.9, "nearer"), (1.02, "farther")])
def test_overshooting_is_as_the_closed_form_says(rate: float, ends: str) -> None:
    """J(w) = (w − 5)²: w − 5 is multiplied by 1 − 2α at each step; below 0 it changes sides, below −1 it grows."""
    path = costs("w**2 - 10*w + 25", {"w": 0.0}, "gradient_descent", rate, 12)
    assert path == pytest.approx([25 * (1 - 2 * rate) ** (2 * step) for step in range(13)])
    assert (path[-1] < path[0]) == (ends == "nearer")


# -- the commands ----------------------------------------------------------------------------------


def told(*arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert command_line([*arguments, "--json", "--quiet"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(path: Path, name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows(path)])


def test_the_averages_of_a_year(tmp_path: Path) -> None:
    table = Path(__file__).parents[2] / "experiments/data/temperatures.csv"
    out = tmp_path / "smooth.csv"
    betas = (0.5, 0.9, 0.98)
    options = [each for beta in betas for each in ("--beta", str(beta))]
    assert command_line(["smooth", str(table), "--column", "temperature_c", *options, "--out", str(out)]) == 0
    series = column(out, "temperature_c")
    assert len(series) == 365
    rough = [np.abs(np.diff(column(out, f"temperature_c_beta_{beta}"))).mean() for beta in betas]
    assert rough[0] > 2 * rough[1] > 4 * rough[2]  # a larger β is smoother …
    late = []
    for beta in betas:  # … and later: the shift of days at which it fits the series best
        smooth = column(out, f"temperature_c_beta_{beta}")
        late.append(max(range(60), key=lambda days: np.corrcoef(smooth[days:], series[: 365 - days])[0, 1]))
    assert late[0] <= late[1] < late[2]


def test_without_bias_correction_the_first_values_are_far_too_low(tmp_path: Path) -> None:
    table = Path(__file__).parents[2] / "experiments/data/temperatures.csv"
    found = []
    for extra in ((), ("--no-bias-correction",)):
        out = tmp_path / f"smooth{len(extra)}.csv"
        command_line(["smooth", str(table), "--column", "temperature_c", "--beta", "0.98", "--out", str(out), *extra])
        found.append(column(out, "temperature_c_beta_0.98"))
    corrected, plain = found
    assert plain == pytest.approx(corrected * (1 - 0.98 ** np.arange(1, 366)))
    assert plain[1] / corrected[1] == pytest.approx(0.0396)
    assert plain[-1] == pytest.approx(corrected[-1], rel=1e-3)


def test_the_error_of_a_gradient_check_has_its_slopes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """O(ε) one-sided and O(ε²) two-sided for large ε, rounding below; at ε = 1e-7 the gradient is called great."""
    summary = told("gradcheck", "gradient_check", "--epsilon-sweep", "--out", str(tmp_path / "run"), capsys=capsys)
    assert summary["verdict"] == "great"
    table = rows(tmp_path / "run/epsilon_sweep.csv")
    epsilon = np.array([float(row["epsilon"]) for row in table])
    for name, slope in (("one_sided", 1), ("two_sided", 2)):
        key = next(key for key in table[0] if key.startswith(name))
        error = np.array([float(row[key]) for row in table])
        large = (epsilon >= 1e-3) & (epsilon <= 1e-1)
        assert np.polyfit(np.log(epsilon[large]), np.log(error[large]), 1)[0] == pytest.approx(slope, abs=0.15)
        smallest = epsilon <= 1e-9
        assert np.polyfit(np.log(epsilon[smallest]), np.log(error[smallest]), 1)[0] == pytest.approx(-1, abs=0.3)


# -- estimates of a memorizer's error on random labels ----------------------------------------------

SMALL = ("--set", "data.rows=100")


def means(
    command: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], seeds: int = 8
) -> dict[str, float]:
    """Estimates averaged over several draws of the data."""
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        out = str(tmp_path / f"{command[0]}-{seed}")
        summary = told(
            command[0], "random_labels", *command[1:], *SMALL, "--seed", str(seed), "--out", out, capsys=capsys
        )
        estimates = summary.get("estimates") or {"mean": {"value": summary["error"]["mean"]}}
        for name, value in estimates.items():
            found.setdefault(name, []).append(value["value"] if isinstance(value, dict) else value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def test_632_says_a_third_where_the_truth_is_a_half(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = means(("bootstrap", "--samples", "60"), tmp_path, capsys)
    assert found["apparent"] == 0
    assert found["oob"] == pytest.approx(0.5, abs=0.06)
    assert found["632"] == pytest.approx(0.632 * found["oob"])  # 0.368 of nothing
    assert found["632"] == pytest.approx(0.316, abs=0.04)
    assert abs(found["632plus"] - 0.5) < 0.06


@pytest.mark.parametrize("command", [("holdout", "--repeats", "10"), ("crossval", "--folds", "10")])
def test_held_out_rows_say_a_half(command: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert means(command, tmp_path, capsys)["mean"] == pytest.approx(0.5, abs=0.06)


def test_leaving_one_out_the_majority_is_always_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of balanced classes the one left out is in the minority of the rest."""
    command = ("crossval", "--leave-one-out", "--set", "model.kind=majority")
    assert means(command, tmp_path, capsys, seeds=2)["mean"] == 1


# -- searches --------------------------------------------------------------------------------------


def trials(name: str, sampler: str, count: int, *overrides: str, seed: int = 0) -> dict[str, np.ndarray]:
    """The points that a sampler tries, before anything is known."""
    from dlrun.config import load_experiment
    from dlrun.tuning.samplers import make_sampler
    from dlrun.tuning.space import Space

    chosen = load_experiment(name, overrides=overrides).experiment
    space = Space.of(chosen)
    drawn = make_sampler(sampler, space, trials=count, seed=seed, rounds=1).ask({})
    return {key: np.array([draw.values[key] for draw in drawn]) for key in chosen.tune.space}


def test_on_the_linear_scale_nine_tenths_are_above_a_tenth() -> None:
    linear = "tune.space.optimizer.learning_rate={uniform=[1e-4,1.0]}"
    shares = {}
    for name, overrides in (("log", ()), ("linear", (linear,))):
        rates = np.concatenate(
            [trials("scales", "random", 25, *overrides, seed=s)["optimizer.learning_rate"] for s in range(40)]
        )
        shares[name] = np.mean(rates > 0.1)
    assert shares["linear"] == pytest.approx(0.9, abs=0.03)
    assert shares["log"] == pytest.approx(0.25, abs=0.045)


def test_of_25_trials_a_grid_tries_five_learning_rates_and_random_search_25() -> None:
    grid, random = (trials("random_and_grid", sampler, 25)["optimizer.learning_rate"] for sampler in ("grid", "random"))
    assert len(np.unique(grid)) == 5
    assert len(np.unique(random)) == 25


def test_few_trials_find_more_on_the_log_scale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The best of eight trials, over ten seeds: of these, on the linear scale, a quarter try no rate below 0.15."""
    options = ("--trials", "8", "--set", "training.epochs=3")
    linear = ("--set", "tune.space.optimizer.learning_rate={uniform=[1e-4,1.0]}")
    found: dict[str, list[float]] = {"log": [], "linear": []}
    for seed in range(10):
        for name, how in (("log", ()), ("linear", linear)):
            out = tmp_path / f"{name}-{seed}"
            told("tune", "scales", *options, *how, "--seed", str(seed), "--out", str(out), capsys=capsys)
            found[name].append(np.nanmin(column(out / "trials.csv", "score")))
    assert np.mean(found["log"]) < 0.7 * np.mean(found["linear"])


def test_coarse_to_fine_narrows_the_key_that_matters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    options = ("--sampler", "coarse-to-fine", "--trials", "18", "--rounds", "2", "--set", "training.epochs=3")
    told("tune", "random_and_grid", *options, "--out", str(out), capsys=capsys)
    first, second = ([row for row in rows(out / "trials.csv") if row["round"] == number] for number in ("0", "1"))
    spread = [np.ptp([math.log10(float(row["optimizer.learning_rate"])) for row in part]) for part in (first, second)]
    assert spread[1] < 0.6 * spread[0]
    scores = [np.mean([float(row["score"]) for row in part if row["score"]]) for part in (first, second)]
    assert scores[1] < scores[0]


def test_k_means_finds_the_three_clouds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [
        told("kmeans", "k_means", "--clusters", "1-6", "--seed", str(s), "--out", str(tmp_path / str(s)), capsys=capsys)
        for s in range(4)
    ]
    assert [each["clusters"] for each in chosen] == [3] * 4
    assert min(each["rand_index"] for each in chosen) > 0.9
    for each in chosen:
        inertia = [row["inertia"] for row in each["choices"]]
        falls = -np.diff(inertia)
        assert falls[1] > 5 * falls[2]  # the elbow: from 2 to 3 clusters much is gained, from 3 to 4 little
