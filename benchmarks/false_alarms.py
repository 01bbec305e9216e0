"""How often do tests at 5 % find a difference where there is none? Writes results/false_alarms.md.

    python benchmarks/false_alarms.py [DATA_SETS]

Two learners of equal expected error meet on many data sets drawn afresh; every "significant" difference
is a false alarm, of which a sound test at 5 % gives 5 %. In a third setting one learner is better, and
the rate is the power. One process, one thread, a minute or less.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: the matrices are tiny

import datetime
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
from fast_learners import least_squares, nearest_centroid

import dlrun
from dlrun.resampling.difference_tests import corrected_t, mcnemar, naive_t
from dlrun.resampling.splitters import holdout, k_fold

ROWS, FEATURES, LEVEL = 100, 10, 0.05
RESULTS = Path(__file__).parent / "results" / "false_alarms.md"

Predict = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # X, y, W (R, n) -> (R, n)
FIRST, SECOND = slice(0, FEATURES // 2), slice(FEATURES // 2, FEATURES)


def centroid_of(features: slice) -> Predict:
    return lambda X, y, W: nearest_centroid(X[:, features], y, W, X[:, features])


def linear(X: np.ndarray, y: np.ndarray, W: np.ndarray) -> np.ndarray:
    return least_squares(X, y, W, X)


def gaussians(shifts: tuple[float, float]) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """Two classes; their means differ by shifts[0] in features of the first half, shifts[1] in the second."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(0, 2, ROWS)
        shift = np.repeat(shifts, FEATURES // 2)
        return rng.normal(size=(ROWS, FEATURES)) + y[:, None] * shift, y

    return draw


SETTINGS = {
    "random labels: nearest centroid, least squares": (
        gaussians((0.0, 0.0)),
        (centroid_of(slice(None)), linear),
    ),
    "equal halves: nearest centroid on features 1–5, on 6–10": (
        gaussians((0.7, 0.7)),
        (centroid_of(FIRST), centroid_of(SECOND)),
    ),
    "a real difference (power): the same, 6–10 weaker": (
        gaussians((0.7, 0.4)),
        (centroid_of(FIRST), centroid_of(SECOND)),
    ),
}
SCHEMES = {
    "10 folds": lambda seed: k_fold(ROWS, folds=10, seed=seed),
    "10 × 10 folds": lambda seed: k_fold(ROWS, folds=10, repeats=10, seed=seed),
    "15 holdouts of 20 %": lambda seed: holdout(ROWS, test_size=0.2, repeats=15, seed=seed),
    "one holdout of 33 %": lambda seed: holdout(ROWS, seed=seed),
}


def p_values(scheme: str, losses: np.ndarray, tests: np.ndarray) -> tuple[float, float]:
    """(naive, sound) p-values from losses (2, R, n) for all rows and test masks (R, n)."""
    if len(tests) == 1:
        sound = mcnemar(*losses[:, 0, tests[0]]).p_value
        return float("nan"), 1.0 if sound is None else sound
    errors = (losses * tests).sum(axis=2) / tests.sum(axis=1)
    differences = errors[0] - errors[1]
    ratio = float((tests.sum(axis=1) / (~tests).sum(axis=1)).mean())
    naive, sound = naive_t(differences), corrected_t(differences, test_to_train=ratio)
    return (
        1.0 if naive.p_value is None else naive.p_value,
        1.0 if sound.p_value is None else sound.p_value,
    )


def rates(setting: str, data_sets: int) -> dict[str, np.ndarray]:
    """Shares of p-values below the level, (naive, sound), for each scheme."""
    draw, learners = SETTINGS[setting]
    alarms: dict[str, list[list[float]]] = {scheme: [] for scheme in SCHEMES}
    for number in range(data_sets):
        X, y = draw(np.random.default_rng([number, list(SETTINGS).index(setting)]))
        for scheme, divide in SCHEMES.items():
            tests = np.zeros((len(splits := divide(number)), ROWS), dtype=bool)
            for row, split in zip(tests, splits, strict=True):
                row[split.test] = True
            losses = np.array([predict(X, y, (~tests).astype(float)) != y for predict in learners], dtype=float)
            alarms[scheme].append([p < LEVEL if p == p else np.nan for p in p_values(scheme, losses, tests)])
    return {scheme: np.mean(values, axis=0) for scheme, values in alarms.items()}


def cell(rate: float, data_sets: int) -> str:
    if np.isnan(rate):
        return "–"
    return f"{100 * rate:.1f} ± {100 * np.sqrt(rate * (1 - rate) / data_sets):.1f}"


def main() -> None:
    data_sets = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    start = time.perf_counter()
    lines = [
        "# False alarms of paired tests at 5 %",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}; dlrun {dlrun.__version__}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}; "
        f"`python benchmarks/false_alarms.py {data_sets}`.",
        "",
        f"{data_sets} data sets of {ROWS} rows and {FEATURES} features in each setting. Per cent of the "
        f"data sets in which p < {LEVEL}, ± the Monte-Carlo standard error. In the first two settings the "
        "expected errors are equal (the labels are random; the features are alike), so 5.0 is wanted, and "
        "less is cautious. In the third one learner is better, and more is better. The sound test is the "
        "corrected resampled t-test, and McNemar's for the single holdout.",
        "",
        "| setting | scheme | paired t-test | sound test |",
        "|---|---|---:|---:|",
    ]
    for setting in SETTINGS:
        for scheme, (naive, sound) in rates(setting, data_sets).items():
            lines.append(f"| {setting} | {scheme} | {cell(naive, data_sets)} | {cell(sound, data_sets)} |")
    lines += ["", f"It took {time.perf_counter() - start:.0f} s."]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
