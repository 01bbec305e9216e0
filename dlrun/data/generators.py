"""Synthetic tables (C5), each a pure function of (rows, noise, seed).

Labels alternate 0, 1, 0, 1, … (0, 1, 2, … for `blobs`), so that classes are balanced within one row.
`noise` is the standard deviation of the normal noise on each coordinate; with 0 the points lie
exactly on the shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dlrun.data.table import Column, FloatArray, IntArray, Table
from dlrun.errors import ConfigError
from dlrun.rng import generator

# The decision function of B3, x2 + 1.23·x1 − 0.55 = w·x + b.
_W, _B = np.array([1.23, 1.0]), -0.55

Points = Callable[[IntArray, np.random.Generator], FloatArray]


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A generator: `points(label, random)` places a point (n, d) for each label, noise not yet added."""

    description: str
    points: Points
    noise: float
    classes: int = 2
    rows: int = 200
    target: str = "class"
    task: Literal["classification", "regression"] = "classification"
    shape: tuple[int, ...] | None = None  # of a row that is a picture (H, W, C) or a sequence (T, d)
    answers: Callable[[FloatArray], FloatArray] | None = None  # a regression's target, from the points


def _gaussians_1d(label: IntArray, random: np.random.Generator) -> FloatArray:
    return np.array([[5.0], [-5.0]])[label]


def _gaussians_2d(label: IntArray, random: np.random.Generator) -> FloatArray:
    # Means m ± 2w, m on the line: at variance 4 the log odds of class 1 are (μ1−μ0)·(x−m)/4 = w·x + b.
    middle = -_B * _W / (_W @ _W)
    return np.stack([middle - 2 * _W, middle + 2 * _W])[label]


def _blobs(label: IntArray, random: np.random.Generator) -> FloatArray:
    angle = math.pi / 2 + label * (2 * math.pi / 3)
    return np.stack([4 * np.cos(angle), 4 * np.sin(angle)], axis=1)


def _xor_clouds(label: IntArray, random: np.random.Generator) -> FloatArray:
    x1 = np.arange(len(label)) // 2 % 2
    return 2.0 * np.stack([x1, x1 ^ label], axis=1) - 1


def _circles(label: IntArray, random: np.random.Generator) -> FloatArray:
    angle = random.uniform(0, 2 * math.pi, len(label))
    radius = np.where(label == 0, 1.0, 0.5)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _moons(label: IntArray, random: np.random.Generator) -> FloatArray:
    angle = random.uniform(0, math.pi, len(label))
    x, y = np.cos(angle), np.sin(angle)
    return np.stack([np.where(label == 0, x, 1 - x), np.where(label == 0, y, 0.5 - y)], axis=1)


def _spirals(label: IntArray, random: np.random.Generator) -> FloatArray:
    # r = t over one and a half turns, the second arm half a turn behind; √ spreads points along the arm.
    t = np.sqrt(random.uniform(0.02, 1, len(label)))
    angle = 3 * math.pi * t + math.pi * label
    return np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1)


def _pinwheel(label: IntArray, random: np.random.Generator) -> FloatArray:
    # Three arms that turn by 1.8 radians per unit of radius: no straight borders part them.
    radius = random.uniform(0.4, 2.0, len(label))
    angle = 2 * math.pi / 3 * label + 1.8 * radius + random.normal(0, 0.18, len(label))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _random_labels(label: IntArray, random: np.random.Generator) -> FloatArray:
    return np.zeros((len(label), 2))


SIDE, SIZE = 16, 7  # of a picture, and of the shape in it
STEPS = 50


def _shapes(label: IntArray, random: np.random.Generator) -> FloatArray:
    """A frame, a plus, a cross or a disc of one colour, anywhere on a ground of another: no place tells the class."""
    i, j = np.indices((SIZE, SIZE)) - SIZE // 2
    edge, half = np.maximum(abs(i), abs(j)), SIZE // 2
    forms = np.stack([edge == half, (i == 0) | (j == 0), abs(i) == abs(j), i**2 + j**2 <= half**2 + 1])
    n = len(label)
    pictures = np.empty((n, SIDE, SIDE, 3))
    ground, ink = random.uniform(0, 1, (2, n, 3))
    near = np.abs(ground - ink).max(axis=1) < 0.4  # too alike to be seen
    ink[near] = np.where(ground[near] > 0.5, ground[near] - 0.5, ground[near] + 0.5)
    top, left = random.integers(0, SIDE - SIZE + 1, (2, n))
    pictures[:] = ground[:, None, None, :]
    for k in range(n):
        window = pictures[k, top[k] : top[k] + SIZE, left[k] : left[k] + SIZE]
        window[forms[label[k]]] = ink[k]
    return pictures.reshape(n, -1)


def _adding(label: IntArray, random: np.random.Generator) -> FloatArray:
    """Numbers from 0 to 1, and marks at two steps, one in either half (Hochreiter and Schmidhuber 1997)."""
    n, half = len(label), STEPS // 2
    sequences = np.zeros((n, STEPS, 2))
    sequences[:, :, 0] = random.uniform(0, 1, (n, STEPS))
    rows = np.arange(n)
    for start, stop in ((0, half), (half, STEPS)):
        sequences[rows, random.integers(start, stop, n), 1] = 1
    return sequences.reshape(n, -1)


def _sum_of_marked(points: FloatArray) -> FloatArray:
    values, marks = points.reshape(len(points), STEPS, 2).transpose(2, 0, 1)
    return np.asarray((values * (marks > 0.5)).sum(axis=1))


GENERATORS = {
    "gaussians_1d": Generated(
        description="one feature: class 0 from N(5, 3), class 1 from N(−5, 3)",
        points=_gaussians_1d,
        noise=3.0,
    ),
    "gaussians_2d": Generated(
        description="two features: two round Gaussians, best told apart by x2 + 1.23·x1 = 0.55",
        points=_gaussians_2d,
        noise=2.0,
    ),
    "blobs": Generated(description="three round Gaussians in two features", points=_blobs, noise=1.0, classes=3),
    "xor_clouds": Generated(
        description="four clouds at the corners of a square, opposite corners alike",
        points=_xor_clouds,
        noise=0.3,
    ),
    "circles": Generated(description="a circle within a circle", points=_circles, noise=0.1),
    "moons": Generated(description="two half circles that reach into each other", points=_moons, noise=0.1),
    "spirals": Generated(description="two spiral arms of one and a half turns", points=_spirals, noise=0.02, rows=400),
    "pinwheel": Generated(
        description="three bent arms about a centre", points=_pinwheel, noise=0.08, classes=3, rows=300
    ),
    "shapes": Generated(
        description="colour pictures of 16 × 16: a frame, a plus, a cross or a disc, anywhere",
        points=_shapes,
        noise=0.05,
        classes=4,
        rows=2000,
        target="shape",
        shape=(SIDE, SIDE, 3),
    ),
    "adding": Generated(
        description="sequences of 50 numbers, two of them marked, whose sum is asked for",
        points=_adding,
        noise=0.0,
        classes=1,
        rows=4000,
        target="sum",
        task="regression",
        shape=(STEPS, 2),
        answers=_sum_of_marked,
    ),
    "random_labels": Generated(
        description="balanced labels that the two features say nothing about",
        points=_random_labels,
        noise=1.0,
    ),
}


def generate(name: str, *, rows: int | None = None, noise: float | None = None, seed: int = 0) -> Table:
    """The table of GENERATORS[name]: columns x (or x1, x2) and class; rows and noise default to its own.

    `gaussians_1d` is B2 (100 rows a class); in `gaussians_2d` the true probability of class 1 is
    σ(1.23·x1 + x2 − 0.55), the fixed decision function of B3.
    """
    chosen = GENERATORS[name]
    rows = chosen.rows if rows is None else rows
    noise = chosen.noise if noise is None else noise
    if rows < 2 * chosen.classes:
        raise ConfigError(
            f"data.rows = {rows} is too few for {name}: its {chosen.classes} classes need at least "
            f"{2 * chosen.classes} rows."
        )
    if not (math.isfinite(noise) and noise >= 0):
        raise ConfigError(f"data.noise = {noise} must be a finite number, 0 or more.")
    random = generator(seed, 0, f"data:{name}")
    label = np.arange(rows, dtype=np.int64) % chosen.classes
    points = chosen.points(label, random)
    clean = points
    points = points + noise * random.standard_normal(points.shape)
    names = ["x"] if points.shape[1] == 1 else [f"x{number + 1}" for number in range(points.shape[1])]
    columns: dict[str, Column] = {key: points[:, index].copy() for index, key in enumerate(names)}
    columns[chosen.target] = label.astype(np.float64) if chosen.answers is None else chosen.answers(clean)
    numbers = np.arange(1, rows + 1, dtype=np.int64)
    return Table(name, columns, numbers, "row", chosen.target, shape=chosen.shape)
