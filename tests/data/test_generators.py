from __future__ import annotations

import numpy as np
import pytest

from dlrun.data import GENERATORS, generate
from dlrun.data.table import Table
from dlrun.errors import ConfigError


def points(table: Table) -> tuple[np.ndarray, np.ndarray]:
    names = [name for name in table.names if name != table.default_target]
    return np.stack([table.columns[name] for name in names], axis=1), table.columns[table.default_target or ""]


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_keeps_the_contract(name: str) -> None:
    chosen = GENERATORS[name]
    table = generate(name)
    X, y = points(table)
    assert len(table) == chosen.rows
    assert np.isfinite(X).all()
    if chosen.task == "classification":
        assert np.ptp(np.bincount(y.astype(int), minlength=chosen.classes)) <= 1
        assert set(y) == set(range(chosen.classes))
    assert generate(name).hash == table.hash
    assert generate(name, seed=1).hash != table.hash
    assert generate(name, noise=chosen.noise / 2 + 0.001).hash != table.hash
    assert len(generate(name, rows=37)) == 37
    assert chosen.description
    with pytest.raises(ConfigError, match="too few"):
        generate(name, rows=2 * chosen.classes - 1)
    for noise in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="noise"):
            generate(name, noise=noise)


def test_adding_asks_for_the_sum_of_the_marked_numbers() -> None:
    """The mean as the answer errs by 2/12 = 0.167 in squares, the variance of two uniform numbers."""
    X, y = points(generate("adding", rows=20_000))
    values, marks = X.reshape(-1, 50, 2).transpose(2, 0, 1)
    assert (marks.reshape(-1, 2, 25).sum(axis=2) == 1).all()
    np.testing.assert_allclose(y, values[marks == 1].reshape(-1, 2).sum(axis=1))
    assert y.var() == pytest.approx(2 / 12, rel=0.03)


def test_a_shape_may_be_anywhere_and_in_any_colour() -> None:
    """Without noise a picture has two colours; the places of the ink are those of its class, moved about."""
    X, y = points(generate("shapes", rows=400, noise=0))
    sizes = {0: 24, 1: 13, 2: 13, 3: 37}  # the frame of 7 × 7, two bars of 7 across each other, a disc
    corners = set()
    for picture, label in zip(X.reshape(-1, 16, 16, 3), y, strict=True):
        colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
        assert len(colours) == 2
        assert counts.min() == sizes[int(label)]
        ink = np.argwhere((picture == colours[counts.argmin()]).all(axis=2))
        corners.add(tuple(ink.min(axis=0)))
    assert len(corners) > 80  # of 100


def test_gaussians_1d_are_those_of_the_text() -> None:
    X, y = points(generate("gaussians_1d", rows=20_000))
    assert X[y == 0].mean() == pytest.approx(5, abs=0.15)  # 5 standard errors of 3/100
    assert X[y == 1].mean() == pytest.approx(-5, abs=0.15)
    assert X[y == 0].std() == pytest.approx(3, abs=0.11)
    assert len(generate("gaussians_1d")) == 200


def test_gaussians_2d_have_the_texts_line_as_their_best() -> None:
    # log N(x; μ1, 4I)/N(x; μ0, 4I) = (|x−μ0|² − |x−μ1|²)/8 must be 1.23·x1 + x2 − 0.55 everywhere.
    means = points(generate("gaussians_2d", noise=0))
    mu0, mu1 = means[0][means[1] == 0][0], means[0][means[1] == 1][0]
    x = np.random.default_rng(0).normal(size=(50, 2)) * 5
    log_odds = (((x - mu0) ** 2).sum(axis=1) - ((x - mu1) ** 2).sum(axis=1)) / 8
    np.testing.assert_allclose(log_odds, 1.23 * x[:, 0] + x[:, 1] - 0.55)
    assert GENERATORS["gaussians_2d"].noise == 2


def test_shapes_without_noise() -> None:
    X, y = points(generate("circles", noise=0))
    np.testing.assert_allclose(np.hypot(*X.T), np.where(y == 0, 1, 0.5))
    X, y = points(generate("moons", noise=0))
    np.testing.assert_allclose(np.hypot(*X[y == 0].T), 1)
    np.testing.assert_allclose(np.hypot(X[y == 1, 0] - 1, X[y == 1, 1] - 0.5), 1)
    assert X[y == 0, 1].min() >= 0
    assert X[y == 1, 1].max() <= 0.5
    X, y = points(generate("spirals", noise=0))
    radius = np.hypot(*X.T)
    turn = np.angle((X[:, 0] + 1j * X[:, 1]) * np.exp(-1j * (3 * np.pi * radius + np.pi * y)))
    np.testing.assert_allclose(turn, 0, atol=1e-9)
    X, y = points(generate("blobs", noise=0))
    np.testing.assert_allclose(np.hypot(*X.T), 4)
    assert len(np.unique(X.round(9), axis=0)) == 3
    X, y = points(generate("xor_clouds", noise=0))
    np.testing.assert_array_equal((X[:, 0] > 0) ^ (X[:, 1] > 0), y == 1)
    assert np.bincount(2 * (X[:, 0] > 0) + (X[:, 1] > 0)).tolist() == [50] * 4


def test_random_labels_say_nothing_and_have_no_equal_rows() -> None:
    X, y = points(generate("random_labels", rows=4000))
    assert abs(X[y == 0].mean(axis=0) - X[y == 1].mean(axis=0)).max() < 5 * np.sqrt(2 / 2000)
    assert len(np.unique(X, axis=0)) == 4000
