"""Layers and learning curves show what the files hold."""

from __future__ import annotations

import numpy as np
import pytest
from plots.made_runs import Draw, MakeRun

from dlrun.errors import RunError

LAYERS = ("initialization", "layer", "units", "mean", "spread", "dead", "saturated", "signal", "gradient_norm")
CURVE = ("rows", "repeat", "train_error", "dev_error", "status")


def test_layers_are_lines_by_initialization(make_run: MakeRun, draw: Draw) -> None:
    rows = [("he", i, 8, 0.0, 1.5**i, 0.1, 0.3, 1.0, 2.0**-i) for i in (1, 2, 3)]
    rows += [("zeros", i, 8, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0) for i in (1, 2, 3)]
    run = make_run("deep", {"command": "diagnose"}, **{"layers.csv": (LAYERS, rows)})
    with draw("layers", run) as figure:
        spread, gradient, lost = figure.axes
        assert spread.get_yscale() == gradient.get_yscale() == "log"
        np.testing.assert_allclose(spread.lines[0].get_ydata(), [1.5, 2.25, 3.375])
        np.testing.assert_allclose(gradient.lines[0].get_ydata(), [0.5, 0.25, 0.125])
        np.testing.assert_allclose(lost.lines[0].get_ydata(), [0.3] * 3)
        np.testing.assert_allclose(lost.lines[1].get_ydata(), [1.0] * 3)
        assert [text.get_text() for text in lost.get_legend().get_texts()] == ["he", "zeros"]


def test_layers_without_any_signal(make_run: MakeRun, draw: Draw) -> None:
    rows = [("zeros", i, 8, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0) for i in (1, 2)]
    with draw("layers", make_run("dead", {"command": "diagnose"}, **{"layers.csv": (LAYERS, rows)})) as figure:
        assert figure.axes[0].get_yscale() == "linear"


def test_a_learning_curve_is_the_mean_of_the_repeats(make_run: MakeRun, draw: Draw) -> None:
    rows = [
        (10, 0, 0.0, 0.4, "done"),
        (10, 1, 0.2, 0.6, "done"),
        (40, 0, 0.2, 0.3, "done"),
        (40, 1, None, None, "diverged"),
    ]
    run = make_run("grow", {"command": "diagnose", "task": "classification"}, **{"learning_curve.csv": (CURVE, rows)})
    with draw("learning_curve", run, log=True) as figure:
        named = {each.get_label(): each for each in figure.axes[0].lines}
        np.testing.assert_allclose(named["train"].get_ydata(), [0.1, 0.2])
        np.testing.assert_allclose(named["dev"].get_ydata(), [0.5, 0.3])
        np.testing.assert_allclose(named["dev"].get_xdata(), [10, 40])
        assert figure.axes[0].get_xscale() == "log"


def test_a_learning_curve_that_diverged(make_run: MakeRun, draw: Draw) -> None:
    rows = [(10, 0, None, None, "diverged")]
    run = make_run("lost", {"command": "diagnose"}, **{"learning_curve.csv": (CURVE, rows)})
    with pytest.raises(RunError, match="every model diverged"), draw("learning_curve", run):
        pass
