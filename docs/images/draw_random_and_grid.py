"""Draw docs/images/random_and_grid.svg: `python docs/images/draw_random_and_grid.py`. Prints the figures beside it.

A function of two keys of which one matters: f = (log10(α) − r*)² + 0.01·(r_β − r_β*)², with r_β = log10(1 − β) and the
least value at a place (r*, r_β*) drawn anew each time. How near do 25 trials of a grid and of a random search come?
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlrun.config import validate
from dlrun.reporting.plots.style import BLUE, FAINT, VERMILLION, drawing, new_figure
from dlrun.tuning.samplers import make_sampler
from dlrun.tuning.space import Space

TRIALS, PLACES = 25, 2000
LOW, HIGH = np.array([-4.0, -3.0]), np.array([0.0, -1.0])  # of r and r_β
WEIGHTS = np.array([1.0, 0.01])
Array = npt.NDArray[np.float64]


def points(sampler: str, seed: int) -> Array:
    """(r, r_β) of all trials (T, 2)."""
    space = {
        "optimizer.learning_rate": {"log_uniform": [1e-4, 1.0]},
        "optimizer.beta1": {"one_minus_log": [0.9, 0.999]},
    }
    chosen = validate({"data": {"source": "iris"}, "tune": {"space": space}}, where="figure")
    drawn = make_sampler(sampler, Space.of(chosen), trials=TRIALS, seed=seed, rounds=1).ask({})
    rates = np.array([draw.values["optimizer.learning_rate"] for draw in drawn])
    betas = np.array([draw.values["optimizer.beta1"] for draw in drawn])
    return np.stack([np.log10(rates), np.log10(1 - betas)], axis=1)


def nearest(found: Array, places: Array) -> Array:
    """The least f among the trials for each place of its least value (P,)."""
    gaps = ((found[None] - places[:, None]) ** 2 * WEIGHTS).sum(axis=-1)
    return np.asarray(gaps.min(axis=1))


def figures(places: Array) -> None:
    """Print what the two come to over all places; each place has random draws of its own."""
    grid = nearest(points("grid", 0), places)
    random = np.array([nearest(points("random", seed), places[seed : seed + 1])[0] for seed in range(len(places))])
    for name, values in (("grid", grid), ("random", random)):
        distinct = len(np.unique(np.round(points(name, 0)[:, 0], 9)))
        off = np.median(np.sqrt(values))
        print(f"{name}: {distinct} learning rates; least f: mean {values.mean():.4f}, median {np.median(values):.4f};")
        print(f"  the best is off by a factor of {10**off:.2f} (median)")
    print(f"random nearer in {100 * (random < grid).mean():.0f} % of {len(places)} places")


def draw(file: Path) -> None:
    """Both searches over the same function."""
    place = np.array([-2.4, -1.8])
    with drawing():
        figure = new_figure((9, 3.8))
        axes = figure.subplots(1, 2, sharey=True)
        shade = np.abs(np.linspace(-4, 0, 64) - place[0])[None]  # f, but for the little that β does
        for panel, sampler, colour in ((axes[0], "grid", VERMILLION), (axes[1], "random", BLUE)):
            found = points(sampler, 0)
            panel.imshow(shade, extent=(-4, 0, -3, -1), aspect="auto", cmap="Greys_r", alpha=0.35, vmin=-2)
            panel.plot(found[:, 0], found[:, 1], "o", color=colour, markersize=5)
            panel.plot(found[:, 0], np.full(len(found), -3.17), "|", color=colour, markersize=12)
            panel.axvline(place[0], color=FAINT, linestyle="--", linewidth=1)
            near = np.abs(found[:, 0] - place[0]).min()
            distinct = len(np.unique(np.round(found[:, 0], 9)))
            panel.set_title(f"{sampler}: {distinct} learning rates, the nearest {10**near:.2f} times off")
            panel.set_xlabel("r = log10 of the learning rate (matters)")
            panel.set_xlim(-4.1, 0.1)
            panel.set_ylim(-3.3, -0.9)
        axes[0].set_ylabel("log10(1 − β) (hardly matters)")
        figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    random = np.random.default_rng(0)
    figures(LOW + (HIGH - LOW) * random.random((PLACES, 2)))
    draw(Path(__file__).with_name("random_and_grid.svg"))
