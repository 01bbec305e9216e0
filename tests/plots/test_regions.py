"""Borders of linear models are straight, and lie where the weights in the model's file put them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.contour import QuadContourSet
from plots.made_runs import Draw
from safetensors.numpy import load_file

from dlrun.cli.app import run
from dlrun.reporting.plots.regions import lead


def border(figure: object) -> npt.NDArray[np.float64]:
    """The points of all borders, (k, 2)."""
    axes = figure.axes[0]  # type: ignore[attr-defined]
    drawn = [each for each in axes.collections if isinstance(each, QuadContourSet) and not each.filled]
    return np.concatenate([path.vertices for each in drawn for path in each.get_paths()])


def trained(folder: Path, experiment: str, *options: str) -> Path:
    assert run(["train", experiment, "--out", str(folder), "--quiet", "--device", "cpu", *options]) == 0
    return folder


def test_the_border_of_logistic_regression_is_its_line(tmp_path: Path, draw: Draw) -> None:
    folder = trained(tmp_path / "line", "gaussians_2d")
    tensors = load_file(folder / "model.safetensors")
    w, b = tensors["W1"].astype(float)[:, 0], float(tensors["b1"][0])
    with draw("regions", folder) as figure:
        points = border(figure)
    distance = (points @ w + b) / np.linalg.norm(w)
    assert len(points) > 100
    assert np.abs(distance).max() < 1e-4  # the axes span 16


def test_softmax_borders_are_straight_in_three_classes(tmp_path: Path, draw: Draw) -> None:
    keys = {
        "data.source": "blobs",
        "model.hidden": "[]",
        "model.loss": "cross_entropy",
        "data.target": "class",
        "training.epochs": "30",
        "optimizer.learning_rate": "0.05",
    }
    options = [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
    folder = trained(tmp_path / "three", "gaussians_2d", *options)
    tensors = load_file(folder / "model.safetensors")
    scores = tensors["W1"].astype(float), tensors["b1"].astype(float)
    with draw("regions", folder) as figure:
        points = border(figure)
    z = np.sort(points @ scores[0] + scores[1], axis=1)
    slope = np.abs(scores[0]).max()
    assert np.abs(z[:, -1] - z[:, -2]).max() / slope < 0.15  # the two best classes tie on every border
    assert np.median(np.abs(z[:, -1] - z[:, -2])) / slope < 1e-4  # only where three meet it is rounded by the grid


def test_one_feature_shows_the_sigmoid(tmp_path: Path, draw: Draw) -> None:
    folder = trained(tmp_path / "one", "gaussians_1d", "--set", "training.epochs=3")
    tensors = load_file(folder / "model.safetensors")
    with draw("line", folder) as figure:
        x, p = figure.axes[0].lines[1].get_data()
    scaled = (np.asarray(x) - tensors["scaling.shift"][0]) * tensors["scaling.scale"][0]
    z = scaled * float(tensors["W1"][0, 0]) + float(tensors["b1"][0])
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), atol=1e-6)


def test_a_model_without_its_data_is_drawn_without_rows(tmp_path: Path, draw: Draw) -> None:
    rows = "\n".join(f"{x},{y},{'ab'[x > y]}" for x in range(6) for y in range(6) if x != y)
    (tmp_path / "own.csv").write_text(f"u,v,c\n{rows}\n")
    folder = tmp_path / "run"
    table = str(tmp_path / "own.csv")
    status = run(
        ["train", "--data", table, "--target", "c", "--out", str(folder), "--quiet", "--set=training.epochs=1"]
    )
    assert status == 0
    with draw("regions", folder) as figure:
        with_rows = len(figure.axes[0].lines)
    (tmp_path / "own.csv").unlink()
    with draw("regions", folder) as figure:
        assert len(figure.axes[0].lines) == with_rows - 2


@pytest.mark.parametrize("C", [2, 3, 5])
def test_lead_is_above_zero_for_the_answer_alone(C: int) -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(C), 100)
    found = lead(p)
    np.testing.assert_array_equal(found.argmax(axis=1), p.argmax(axis=1))
    assert ((found > 0).sum(axis=1) == 1).all()
    if C == 2:
        np.testing.assert_allclose(found[:, 1], np.log(p[:, 1] / p[:, 0]))
