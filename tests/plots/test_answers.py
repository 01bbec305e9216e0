"""Confusion, reliability and answers against targets, from predictions whose right pictures are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from plots.made_runs import Draw, MakeRun
from sklearn.calibration import calibration_curve

from dlrun.errors import RunError
from dlrun.reporting.plots.answers import answers_of
from dlrun.reporting.plots.reliability import reliability
from dlrun.reporting.plots.source import open_source

COLUMNS = ("row", "repeat", "fold", "target", "prediction", "p_=a", "p_b")
ROWS = [  # three of class "=a", of which one is called b; one of class b, called b; one without a target
    (0, 0, 0, "=a", "=a", 0.9, 0.1),
    (1, 0, 0, "=a", "=a", 0.8, 0.2),
    (2, 0, 1, "=a", "b", 0.3, 0.7),
    (3, 0, 1, "b", "b", 0.4, 0.6),
    (4, 0, 1, None, "b", 0.4, 0.6),
]


def test_the_matrix_counts_rows_of_each_class_by_answer(make_run: MakeRun, draw: Draw) -> None:
    run = make_run("two", {"command": "crossval", "task": "classification"}, **{"predictions.csv": (COLUMNS, ROWS)})
    with draw("confusion", run) as figure:
        axes = figure.axes[0]
        written = {text.get_position(): text.get_text() for text in axes.texts}
        assert written == {(0, 0): "2", (1, 0): "1", (1, 1): "1"}
        assert "25 % wrong" in axes.get_title(loc="left")
        np.testing.assert_allclose(axes.images[0].get_array(), [[2 / 3, 1 / 3], [0, 1]])


def test_a_class_that_a_spreadsheet_would_run_is_found_again(make_run: MakeRun) -> None:
    run = make_run("two", {"command": "crossval"}, **{"predictions.csv": (COLUMNS, ROWS)})
    found = answers_of(open_source(run))
    assert found.classes == ("=a", "b")
    np.testing.assert_array_equal(found.codes, [0, 0, 0, 1])


def test_the_curve_is_scikit_learns() -> None:
    random = np.random.default_rng(1)
    probability = random.uniform(0, 1, 500)
    so = random.uniform(0, 1, 500) < probability**2
    found = reliability(probability, so)
    share, mean = calibration_curve(so, probability, n_bins=10)
    np.testing.assert_allclose(found.share, share)
    np.testing.assert_allclose(found.mean, mean)
    assert (found.low <= found.share).all()
    assert (found.share <= found.high).all()
    np.testing.assert_allclose(found.error, np.sum(found.counts / 500 * np.abs(share - mean)))


def test_probabilities_of_exactly_one_stay_in_the_last_bin() -> None:
    found = reliability(np.array([0.0, 1.0, 1.0]), np.array([False, True, True]))
    np.testing.assert_allclose(found.share, [0, 1])
    np.testing.assert_allclose(found.error, 0)


def test_two_classes_show_the_probability_of_the_second(make_run: MakeRun, draw: Draw) -> None:
    run = make_run("two", {"command": "crossval", "task": "classification"}, **{"predictions.csv": (COLUMNS, ROWS)})
    with draw("reliability", run) as figure:
        assert figure.axes[1].get_xlabel() == "probability of b"


def test_answers_against_targets(make_run: MakeRun, draw: Draw) -> None:
    rows = [(i, 0, 0, float(i), i + 3.0) for i in range(5)]
    summary = {"command": "crossval", "task": "regression", "target": "price"}
    run = make_run("numbers", summary, **{"predictions.csv": (COLUMNS[:5], rows)})
    with draw("predicted", run) as figure:
        axes = figure.axes[0]
        assert "root mean squared error 3" in axes.get_legend_handles_labels()[1][0]
        assert axes.get_xlabel() == "price"
    with pytest.raises(RunError, match="a regression has no confusion matrix"), draw("confusion", run):
        pass


def test_no_target_no_comparison(make_run: MakeRun, draw: Draw) -> None:
    run = make_run("blind", {"command": "predict"}, **{"predictions.csv": (COLUMNS, ROWS[4:])})
    with pytest.raises(RunError, match="targets are not known"), draw("confusion", run):
        pass
