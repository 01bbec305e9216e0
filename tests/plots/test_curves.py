"""Cost curves show the means of metrics.csv, and bands over replicas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plots.made_runs import METRICS, Draw, MakeRun

from dlrun.errors import RunError
from dlrun.reporting.plots.curves import curve
from dlrun.reporting.plots.source import open_source


def test_a_curve_is_the_mean_over_replicas_with_their_percentiles(train_run: Path) -> None:
    found = curve(open_source(train_run), "cost", "train", "epoch")
    assert found is not None
    np.testing.assert_allclose(found.x, [1, 2, 3])
    np.testing.assert_allclose(found.mean, [4, 3, 2])
    # numpy.percentile's linear rule between two values a and b: a + q·(b − a)
    np.testing.assert_allclose(found.low, [3.2, 2.2, 1.2])
    np.testing.assert_allclose(found.high, [4.8, 3.8, 2.8])
    assert found.replicas == 2


def test_what_is_not_finite_is_left_out(train_run: Path) -> None:
    found = curve(open_source(train_run), "cost", "dev", "step")
    assert found is not None
    np.testing.assert_allclose(found.x, [10, 20, 30])
    np.testing.assert_allclose(found.mean, [5, 4, 4])  # of the third epoch, replica 1 alone


def test_the_picture_has_both_parts_their_bands_and_the_kept_epoch(train_run: Path, draw: Draw) -> None:
    with draw("cost", train_run) as figure:
        axes = figure.axes[0]
        names = axes.get_legend_handles_labels()[1]
        assert names[:2] == ["train, mean of 2", "dev, mean of 2"]
        assert "epoch 2, whose weights were kept" in names
        assert len(axes.collections) == 2  # the bands
        assert axes.get_ylabel() == "cost (cross-entropy, nats)"
        assert axes.get_xlabel() == "epoch"
        np.testing.assert_allclose(axes.lines[0].get_ydata(), [4, 3, 2])


def test_several_runs_share_the_axes(train_run: Path, make_run: MakeRun, draw: Draw) -> None:
    rows = [(0, e, e, "train", 0.1, 1 / e, 1 / e, None) for e in (1, 2)]
    other = make_run("other", {"command": "train"}, **{"metrics.csv": (METRICS, rows)})
    with draw("cost", train_run, other, log=True, by="step") as figure:
        axes = figure.axes[0]
        assert axes.get_yscale() == "log"
        assert axes.get_xlabel() == "step"
        names = axes.get_legend_handles_labels()[1]
        assert sum(name.endswith(": train") or ": train," in name for name in names) == 2


def test_the_learning_rate_starts_from_zero(train_run: Path, draw: Draw) -> None:
    with draw("learning_rate", train_run) as figure:
        np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [0.1, 0.05, 0.1 / 3])
        assert figure.axes[0].get_ylim()[0] == 0


def test_a_run_that_diverged_at_once_says_so(make_run: MakeRun, draw: Draw) -> None:
    rows = [(0, 1, 1, "train", 9.0, float("nan"), float("nan"), float("inf"))]
    run = make_run("burst", {"command": "train", "status": "diverged"}, **{"metrics.csv": (METRICS, rows)})
    with pytest.raises(RunError, match="diverged in its first epoch"), draw("cost", run):
        pass


def test_a_logarithmic_axis_needs_something_above_zero(make_run: MakeRun, draw: Draw) -> None:
    rows = [(0, e, e, "train", 0.1, 0.5, 0.0, None) for e in (1, 2)]
    run = make_run("perfect", {"command": "train"}, **{"metrics.csv": (METRICS, rows)})
    with pytest.raises(RunError, match="no error is above 0"), draw("error", run, log=True):
        pass
