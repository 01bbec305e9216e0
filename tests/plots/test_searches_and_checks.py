"""Searches, gradient checks, paths and smoothed series are drawn where their numbers say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from plots.made_runs import Draw, MakeRun

from dlrun.errors import RunError
from dlrun.reporting.plots.key_scale import KeyScale
from dlrun.reporting.plots.path import costs_on
from dlrun.reporting.plots.source import open_source
from dlrun.reporting.plots.trials import trials_of

RATE, HIDDEN = "optimizer.learning_rate", "model.hidden"
TRIALS = ("trial", "status", "score", "epochs", RATE, HIDDEN, "cost", "round", "reason")
ROWS = [
    (0, "done", 0.5, 9, 1e-4, "[8]", 1.0, 0, None),
    (1, "diverged", None, 2, 1.0, "[8, 4]", None, 0, "NaN"),
    (2, "done", 0.1, 9, 1e-2, "[8, 4]", 0.9, 1, None),
    (3, "done", 0.1, 9, 1e-3, "[8]", 0.3, 1, None),
]
ROUNDS = [
    {"round": 0, "box": {RATE: [1e-4, 1.0], HIDDEN: [[8], [8, 4]]}},
    {"round": 1, "box": {RATE: [1e-3, 1e-2], HIDDEN: [[8]]}},
]


@pytest.fixture
def search(make_run: MakeRun) -> Path:
    run = make_run(
        "search", {"command": "tune", "rounds": ROUNDS, "task": "regression"}, **{"trials.csv": (TRIALS, ROWS)}
    )
    space = f'[tune.space]\n"{RATE}" = {{log_uniform = [1e-4, 1.0]}}\n"{HIDDEN}" = {{choice = [[8], [8, 4]]}}\n'
    (run / "config.toml").write_text(f'name = "s"\n[data]\nsource = "diabetes"\n{space}')
    return run


def test_keys_lie_on_their_own_scale(search: Path) -> None:
    found = trials_of(open_source(search))
    np.testing.assert_allclose(found.units[0], [0, 1, 0.5, 0.25])  # r of α = 10^r, over r from −4 to 0
    np.testing.assert_allclose(found.units[1], [0.25, 0.75, 0.75, 0.25])
    assert found.best == 3  # of equal scores the lower cost


def test_one_minus_log_spreads_the_betas_as_the_texts_do() -> None:
    scale = KeyScale("optimizer.beta1", "one_minus_log", 0.9, 0.999)
    np.testing.assert_allclose(scale.unit(["0.9", "0.99", "0.999", ""]), [0, 0.5, 1, np.nan])
    positions, names = scale.ticks()
    np.testing.assert_allclose(sorted(positions), [0, 0.5, 1], atol=1e-9)
    assert set(names) == {"0.9", "0.99", "0.999"}


def test_the_boxes_are_those_of_the_rounds(search: Path, draw: Draw) -> None:
    with draw("rounds", search) as figure:
        boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
        sides = [(b.get_x(), b.get_y(), b.get_width(), b.get_height()) for b in boxes]
    np.testing.assert_allclose(sides, [(0, 0, 1, 1), (0.25, 0, 0.25, 0.5)], atol=1e-9)


def test_every_trial_is_a_line_and_the_best_stands_out(search: Path, draw: Draw) -> None:
    with draw("parallel", search) as figure:
        axes = figure.axes[0]
        best = next(line for line in axes.lines if line.get_label() == "best: 0.1")
        np.testing.assert_allclose(best.get_ydata(), [0.25, 0.25, 0])
        assert "1 not finished" in axes.get_legend_handles_labels()[1]
    with draw("slices", search) as figure:
        assert len(figure.axes) == 2


@pytest.mark.parametrize(("count", "angle"), [(2, 0), (4, 40), (12, 90)])
def test_names_of_choices_do_not_run_into_each_other(count: int, angle: int, make_run: MakeRun, draw: Draw) -> None:
    names = [f"[{128 + i}, 64]" for i in range(count)]
    rows = [(i, "done", 0.1, 9, 10.0 ** -(i % 4), *[name] * 3, 0.3, 0, None) for i, name in enumerate(names)]
    columns = (*TRIALS[:6], "model.other", "model.third", *TRIALS[6:])
    summary = {"command": "tune", "task": "regression"}
    with draw("slices", make_run("crowd", summary, **{"trials.csv": (columns, rows)})) as figure:
        figure.draw_without_rendering()
        title = figure._suptitle.get_window_extent()
        assert figure.axes[0].yaxis.label.get_window_extent().y1 < title.y0
        for axes in figure.axes[1:4]:
            labels = axes.get_xticklabels()
            assert {text.get_rotation() for text in labels} == {angle}
            if angle != 40:
                boxes = [text.get_window_extent() for text in labels]
                assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_large_scores_have_no_exponent(make_run: MakeRun, draw: Draw) -> None:
    rows = [(i, "done", score, 9, 0.1 * (i + 1), "[8]", 1.0, 0, None) for i, score in enumerate((16453.0, 20000.0))]
    with draw("parallel", make_run("large", {"command": "tune"}, **{"trials.csv": (TRIALS, rows)})) as figure:
        texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"16500", "18200", "20000"} <= texts


def test_a_search_without_a_score(make_run: MakeRun, draw: Draw) -> None:
    run = make_run("lost", {"command": "tune"}, **{"trials.csv": (TRIALS, ROWS[1:2])})
    with pytest.raises(RunError, match="no trial was finished"), draw("parallel", run):
        pass


def test_the_sweep_is_on_logarithmic_axes_with_its_best(make_run: MakeRun, draw: Draw) -> None:
    epsilon = 10.0 ** -np.arange(1, 9)
    rows = [(e, e + 1e-15 / e, e**2 + 1e-15 / e) for e in epsilon]
    run = make_run(
        "sweep", {"command": "gradcheck"}, **{"epsilon_sweep.csv": (("epsilon", "one_sided", "two_sided"), rows)}
    )
    with draw("epsilon", run) as figure:
        axes = figure.axes[0]
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        names = axes.get_legend_handles_labels()[1]
        # 1e-15/ε meets ε at ε = √1e-15 ≈ 3e-8 and ε² at ε = 1e-5
        assert names[0] == "one-sided: best ε = 1e-08" or names[0] == "one-sided: best ε = 1e-07"
        assert "two-sided: best ε = 1e-05" in names


def test_verdicts_have_their_own_marker(make_run: MakeRun, draw: Draw) -> None:
    rows = [("W1", 1e-9, "great"), ("b1", 0.0, "great"), ("W2", 0.5, "worry")]
    run = make_run(
        "check", {"command": "gradcheck"}, **{"gradcheck.csv": (("parameter", "relative_difference", "verdict"), rows)}
    )
    with draw("gradcheck", run) as figure:
        axes = figure.axes[0]
        assert [text.get_text() for text in axes.get_yticklabels()] == ["W1", "b1", "W2"]
        assert axes.get_legend_handles_labels()[1] == ["great", "worry"]
        assert axes.get_xlim()[1] > 0.5


PATH = ("step", "learning_rate", "cost", "x", "y", "gradient_x", "gradient_y")


def test_contours_are_of_the_cost_that_was_typed() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    np.testing.assert_allclose(
        costs_on("(1-x)**2/20 + exp(y) + maximum(x, 0)", {"x": x, "y": y}),
        (1 - x) ** 2 / 20 + np.exp(y) + np.maximum(x, 0),
    )
    with pytest.raises(RunError, match="no variable 'z'"):
        costs_on("z**2", {"x": x})


def test_a_path_lies_over_its_contours(make_run: MakeRun, draw: Draw) -> None:
    rows = [(i, 0.1, 4.0**-i, 2.0**-i, 0.0, 1.0, 0.0) for i in range(5)]
    run = make_run("down", {"command": "minimize", "expression": "x**2 + y**2"}, **{"path.csv": (PATH, rows)})
    with draw("path", run) as figure:
        space, costs = figure.axes
        assert space.collections  # the contours
        np.testing.assert_allclose(space.lines[0].get_xdata(), 2.0 ** -np.arange(5))
        np.testing.assert_allclose(costs.lines[0].get_ydata(), 4.0 ** -np.arange(5))
        assert figure.get_suptitle() == "minimize x**2 + y**2"


def test_paths_of_other_variables_do_not_mix(make_run: MakeRun, draw: Draw) -> None:
    a = make_run("a", {"command": "minimize"}, **{"path.csv": (PATH, [(0, 0.1, 1.0, 1.0, 1.0, 0.0, 0.0)])})
    columns = ("step", "learning_rate", "cost", "w", "gradient_w")
    b = make_run("b", {"command": "minimize"}, **{"path.csv": (columns, [(0, 0.1, 1.0, 1.0, 0.0)])})
    with pytest.raises(RunError, match="a path of w"), draw("path", a, b):
        pass


def test_a_smoothed_series_over_its_dates(tmp_path: Path, draw: Draw) -> None:
    file = tmp_path / "s.csv"
    file.write_text("day,t,t_beta_0.5\n2023-01-01,1,1\n2023-01-02,,1\n2023-01-03,3,2.2\n")
    with draw("smooth", file) as figure:
        axes = figure.axes[0]
        assert axes.get_xlabel() == "day"
        assert axes.get_legend_handles_labels()[1] == ["t", "β = 0.5, about 2 values"]
