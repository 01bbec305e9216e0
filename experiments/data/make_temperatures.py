"""Makes temperatures.csv: a year of daily temperatures that nobody measured, for exponentially weighted averages.

    θ_d = 11 − 7·cos(2π(d − 20)/365) + u_d,    u_d = 0.7·u_{d−1} + 2·ε_d,    ε_d from N(0, 1)

in degrees Celsius, d = 1 … 365: the mean and the swing of a mild northern climate, coldest about January 20, and
weather that lasts for some days. Rounded to a tenth of a degree. The seed is 0.

    python experiments/data/make_temperatures.py    writes the file beside this script
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

MEAN, SWING, COLDEST, LASTING, SPREAD = 11.0, 7.0, 20, 0.7, 2.0
SEED = 0


def temperatures(seed: int = SEED) -> list[float]:
    """365 daily temperatures in °C."""
    noise = np.random.Generator(np.random.Philox(seed)).standard_normal(365)
    weather, found = 0.0, []
    for day, each in enumerate(noise.tolist(), start=1):
        weather = LASTING * weather + SPREAD * each
        season = MEAN - SWING * math.cos(2 * math.pi * (day - COLDEST) / 365)
        found.append(round(season + weather, 1))
    return found


def as_csv(values: list[float]) -> str:
    """The file's content."""
    rows = [f"{day},{value}" for day, value in enumerate(values, start=1)]
    return "\n".join(["day,temperature_c", *rows]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("temperatures.csv").write_text(as_csv(temperatures()), encoding="utf-8")
