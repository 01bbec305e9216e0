"""How often do the 95 % intervals hold the true error? Writes results/interval_coverage.md.

    python benchmarks/interval_coverage.py [DATA_SETS]

Data are drawn afresh many times; the truth is the mean error of models trained on n rows, measured on
fresh rows. One process, one thread, a minute or so.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: the matrices are tiny

import datetime
import platform
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from fast_learners import least_squares, nearest_centroid, nearest_neighbor

import dlrun
from dlrun.resampling.bootstrap_estimates import bootstrap_estimates
from dlrun.resampling.estimates import estimate_error
from dlrun.resampling.resamples import drawn_counts
from dlrun.resampling.splitters import bootstrap, k_fold, leave_one_out

RESULTS = Path(__file__).parent / "results" / "interval_coverage.md"
SAMPLES = 200
SETTINGS = {  # learner, rows, features, distance between the class means
    "nearest centroid, n = 60, d = 5": (nearest_centroid, 60, 5, 2.0),
    "nearest neighbour, n = 60, d = 5": (nearest_neighbor, 60, 5, 2.0),
    "nearest neighbour, n = 60, random labels": (nearest_neighbor, 60, 5, 0.0),
    "least squares, n = 60, d = 15": (least_squares, 60, 15, 1.5),
    "least squares, n = 200, d = 10": (least_squares, 200, 10, 2.0),
}


def draw(rng: np.random.Generator, n: int, features: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    y = rng.integers(0, 2, n)
    X = rng.normal(size=(n, features))
    X[:, 0] += distance * y
    return X, y


def intervals_of(setting: str, rng: np.random.Generator, seed: int) -> tuple[float, dict[str, tuple]]:
    """The error on fresh rows of a model fitted to one data set; (value, low, high) of each estimate."""
    predict, n, features, distance = SETTINGS[setting]
    X, y = draw(rng, n, features, distance)
    fresh, labels = draw(rng, 1000, features, distance)
    truth = float((predict(X, y, np.ones((1, n)), fresh)[0] != labels).mean())
    found: dict[str, tuple] = {}
    schemes = {
        "10 folds, stratified": k_fold(n, folds=10, seed=seed, strata=y),
        "5 × 10 folds, stratified": k_fold(n, folds=10, repeats=5, seed=seed, strata=y),
        "leave-one-out": leave_one_out(n),
    }
    for name, splits in schemes.items():
        parts = list(splits)
        W = np.ones((len(parts), n))
        for row, split in zip(W, parts, strict=True):
            row[split.test] = 0
        wrong = (predict(X, y, W, X) != y).astype(float)
        result = estimate_error(
            [row[split.test] for row, split in zip(wrong, parts, strict=True)],
            n_train=np.array([len(split.train) for split in parts]),
            repeats=splits.repeats,
            task="classification",
        )
        found[name] = (result.mean, result.ci_low, result.ci_high)
    counts = drawn_counts(bootstrap(n, samples=SAMPLES, seed=seed))
    predictions = predict(X, y, np.vstack([np.ones((1, n)), counts]), X)
    for name, e in bootstrap_estimates(y, predictions, counts, task="classification").estimates.items():
        found[f"{name}, percentile"] = (e.value, e.ci_low, e.ci_high)
        if e.standard_error is not None:
            found[f"{name}, standard error"] = (e.value, e.se_low, e.se_high)
    return truth, found


def main() -> None:
    data_sets = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    start = time.perf_counter()
    lines = [
        "# Coverage of the 95 % intervals",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}; dlrun {dlrun.__version__}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}; "
        f"`python benchmarks/interval_coverage.py {data_sets}`.",
        "",
        f"{data_sets} data sets in each setting, {SAMPLES} bootstrap samples. Bias: mean of the estimate "
        "minus the true error of models trained on all n rows, in points. Coverage: per cent of the "
        "intervals that hold the true error (Monte-Carlo standard error at 95: "
        f"{100 * np.sqrt(0.95 * 0.05 / data_sets):.1f}). Width: mean, in points.",
    ]
    for number, setting in enumerate(SETTINGS):
        rng = np.random.default_rng(number)
        truths, all_found = [], defaultdict(list)
        for seed in range(data_sets):
            truth, found = intervals_of(setting, rng, seed)
            truths.append(truth)
            for name, triple in found.items():
                all_found[name].append(triple)
        truth = float(np.mean(truths))
        lines += ["", f"## {setting}: true error {100 * truth:.1f} %", ""]
        lines += ["| interval | bias | coverage | width |", "|---|---:|---:|---:|"]
        for name, triples in all_found.items():
            value, low, high = np.array(triples, dtype=float).T
            held, bias = 100 * np.mean((low <= truth) & (truth <= high)), 100 * (value.mean() - truth)
            lines.append(f"| {name} | {bias:+.1f} | {held:.1f} | {100 * (high - low).mean():.1f} |")
    lines += ["", f"It took {time.perf_counter() - start:.0f} s."]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
