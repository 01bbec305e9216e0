"""Boxes of folds and the distribution of bootstrap samples show the files' own figures."""

from __future__ import annotations

import numpy as np
import pytest
from plots.made_runs import Draw, MakeRun

from dlrun.errors import RunError

FOLDS = ("repeat", "fold", "n_train", "n_test", "cost", "error")
ERRORS = [0.1, 0.2, 0.3, 0.4, 0.5]


def folds(errors: list[float]) -> dict[str, tuple[tuple[str, ...], list[tuple[float, ...]]]]:
    return {"folds.csv": (FOLDS, [(0, i, 80, 20, 1.0, e) for i, e in enumerate(errors)])}


def test_the_box_has_the_quartiles_and_every_fold_is_a_point(make_run: MakeRun, draw: Draw) -> None:
    summary = {
        "command": "crossval",
        "task": "classification",
        "error": {"mean": 0.3, "ci_low": 0.1, "ci_high": 0.5},
        "baseline": {"kind": "majority", "error": {"mean": 0.6}},
    }
    with draw("folds", make_run("boxes", summary, **folds(ERRORS))) as figure:
        axes = figure.axes[0]
        box = axes.patches[0].get_path().vertices[:, 1]
        assert sorted({round(float(y), 6) for y in box}) == [0.2, 0.4]  # numpy's quartiles of 0.1 … 0.5
        points = next(line for line in axes.lines if line.get_marker() == "o" and len(line.get_ydata()) == 5)
        np.testing.assert_allclose(points.get_ydata(), ERRORS)
        names = axes.get_legend_handles_labels()[1]
        assert "mean and its interval" in names
        assert "majority baseline" in names
        assert axes.get_ylabel() == "error (share of wrong answers)"


def test_runs_stand_side_by_side(make_run: MakeRun, draw: Draw) -> None:
    runs = [make_run(n, {"command": "crossval"}, **folds([e * k for e in ERRORS])) for k, n in ((1, "a"), (0.5, "b"))]
    with draw("folds", *runs) as figure:
        names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
        assert [name.splitlines()[1] for name in names] == ["5 folds", "5 folds"]


def test_folds_that_all_diverged(make_run: MakeRun, draw: Draw) -> None:
    run = make_run("lost", {"command": "crossval"}, **folds([float("nan")] * 3))
    with pytest.raises(RunError, match="every fold diverged"), draw("folds", run):
        pass


def test_the_four_estimates_are_lines_over_the_samples(make_run: MakeRun, draw: Draw) -> None:
    random = np.random.default_rng(0)
    rows = [(b, 63, 37, e, e / 2) for b, e in enumerate(random.normal(0.3, 0.02, 50))]
    estimates = {
        "apparent": 0.1,
        "oob": {"value": 0.3, "ci_low": 0.25, "ci_high": 0.35},
        "632": {"value": 0.2264, "ci_low": None, "ci_high": None},
        "632plus": {"value": 0.25},
    }
    columns = ("sample", "n_unique", "n_oob", "oob_error", "train_error")
    run = make_run("boot", {"command": "bootstrap", "estimates": estimates}, **{"replicates.csv": (columns, rows)})
    with draw("bootstrap", run) as figure:
        upright = {line.get_label(): line.get_xdata()[0] for line in figure.axes[0].lines}
        assert upright == {"apparent: 0.1": 0.1, "out of bag: 0.3": 0.3, ".632: 0.2264": 0.2264, ".632+: 0.25": 0.25}
        assert "50 bootstrap samples" in figure.axes[0].get_title(loc="left")
        figure.draw_without_rendering()
        below = min(axes.get_tightbbox().y0 for axes in figure.axes)
        assert figure.legends[0].get_window_extent().y1 <= below  # the legend covers no bar


def test_samples_that_are_all_alike(make_run: MakeRun, draw: Draw) -> None:
    run = make_run("same", {"command": "bootstrap"}, **{"replicates.csv": (("sample", "oob_error"), [(0, 0.5)] * 4)})
    with draw("bootstrap", run) as figure:
        assert figure.axes[0].patches
