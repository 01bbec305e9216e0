"""How often do the 95 % intervals hold the true error? Writes results/interval_coverage.md.

    python benchmarks/interval_coverage.py [DATA_SETS]

Data are drawn afresh many times; the truth is the mean error of models trained on n rows, measured on
fresh rows. One process, one thread, some minutes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: the matrices are tiny

import datetime
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fast_learners import constant, least_squares, linear_regression, nearest_centroid, nearest_neighbor

import dlrun
from dlrun.resampling.bootstrap_estimates import bootstrap_estimates, no_information, overfitting_rate
from dlrun.resampling.estimates import Task, estimate_error, row_losses
from dlrun.resampling.resamples import Resamples, drawn_counts
from dlrun.resampling.splitters import bootstrap, holdout, k_fold

RESULTS = Path(__file__).parent / "results" / "interval_coverage.md"
SAMPLES = 200
FRESH = 2000  # rows that each model's true error is measured on
LARGEST_BOOTSTRAP = 300  # rows; above it every fourth data set is enough of the time
Learner = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """A learner on n rows with d features; `signal` is the distance between the class means, or the slope.

    size   rows of a group, which have one class and a common part in their features; 1 for no groups
    """

    learner: Learner
    n: int
    d: int
    signal: float
    task: Task = "classification"
    size: int = 1

    def draw(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features (n, d), targets (n,) and groups (n,)."""
        groups = np.repeat(np.arange(-(-n // self.size)), self.size)[:n]
        common = rng.normal(size=(groups[-1] + 1, self.d))[groups]
        X = rng.normal(size=(n, self.d)) if self.size == 1 else 0.6 * rng.normal(size=(n, self.d)) + 0.8 * common
        if self.task == "regression":
            noise = rng.normal(size=n) + (rng.normal(size=groups[-1] + 1)[groups] if self.size > 1 else 0)
            return X, self.signal * X[:, 0] + noise, groups
        y = rng.integers(0, 2, groups[-1] + 1)[groups]
        X[:, 0] += self.signal * y
        return X, y, groups


SETTINGS = {
    "least squares, weak, n = 60": Setting(least_squares, 60, 5, 0.3),
    "least squares, middling, n = 60": Setting(least_squares, 60, 15, 1.5),
    "least squares, strong, n = 60": Setting(least_squares, 60, 5, 3.5),
    "least squares, weak, n = 200": Setting(least_squares, 200, 10, 0.4),
    "least squares, middling, n = 200": Setting(least_squares, 200, 10, 2.0),
    "least squares, strong, n = 200": Setting(least_squares, 200, 10, 4.0),
    "least squares, weak, n = 1000": Setting(least_squares, 1000, 5, 0.3),
    "least squares, middling, n = 1000": Setting(least_squares, 1000, 5, 1.5),
    "least squares, strong, n = 1000": Setting(least_squares, 1000, 5, 4.0),
    "nearest centroid, n = 60": Setting(nearest_centroid, 60, 5, 2.0),
    "nearest neighbour, n = 60": Setting(nearest_neighbor, 60, 5, 2.0),
    "nearest neighbour, random labels, n = 60": Setting(nearest_neighbor, 60, 5, 0.0),
    "nearest neighbour, n = 200": Setting(nearest_neighbor, 200, 5, 1.5),
    "majority, n = 60": Setting(constant, 60, 1, 0.0),
    "majority, n = 1000": Setting(constant, 1000, 1, 0.0),
    "least squares, 40 groups of 5 rows": Setting(least_squares, 200, 5, 1.5, size=5),
    "nearest centroid, 200 groups of 5 rows": Setting(nearest_centroid, 1000, 5, 1.5, size=5),
    "linear regression, weak, n = 60": Setting(linear_regression, 60, 5, 0.2, "regression"),
    "linear regression, middling, n = 60": Setting(linear_regression, 60, 15, 1.0, "regression"),
    "linear regression, weak, n = 200": Setting(linear_regression, 200, 5, 0.2, "regression"),
    "linear regression, strong, n = 200": Setting(linear_regression, 200, 10, 3.0, "regression"),
    "linear regression, weak, n = 1000": Setting(linear_regression, 1000, 5, 0.2, "regression"),
    "nearest neighbour of numbers, n = 60": Setting(nearest_neighbor, 60, 3, 2.0, "regression"),
    "mean, n = 60": Setting(constant, 60, 1, 1.0, "regression"),
    "linear regression, 40 groups of 5 rows": Setting(linear_regression, 200, 5, 1.0, "regression", size=5),
}


def schemes(setting: Setting, strata: np.ndarray, groups: np.ndarray | None, seed: int) -> dict[str, Resamples]:
    n = setting.n
    return {
        "10 folds, stratified": k_fold(n, folds=10, seed=seed, strata=strata, groups=groups),
        "10 folds": k_fold(n, folds=10, seed=seed, groups=groups),
        "5 × 10 folds, stratified": k_fold(n, folds=10, repeats=5, seed=seed, strata=strata, groups=groups),
        "one holdout, stratified": holdout(n, seed=seed, strata=strata, groups=groups),
        "10 holdouts, stratified": holdout(n, repeats=10, seed=seed, strata=strata, groups=groups),
    }


Found = tuple[str, float, float | None, float | None]


def intervals_of(setting: Setting, rng: np.random.Generator, seed: int, *, samples: bool) -> tuple[float, list[Found]]:
    """The mean loss on fresh rows of a model fitted to one data set; name, value and ends of each interval."""
    X, y, group = setting.draw(rng, setting.n)
    fresh, answers, _ = setting.draw(rng, FRESH)
    truth = row_losses(answers, setting.learner(X, y, np.ones((1, setting.n)), fresh)[0], task=setting.task).mean()
    groups = group if setting.size > 1 else None
    strata = y if setting.task == "classification" else np.argsort(np.argsort(y)) * 10 // len(y)
    found = list(folds_of(setting, X, y, groups, schemes(setting, strata, groups, seed)))
    if samples:
        for name, bins in (("stratified", strata), ("", None)):
            found += bootstrap_of(setting, X, y, groups, bins, seed, name)
    return float(truth), found


def folds_of(
    setting: Setting, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None, divided: dict[str, Resamples]
) -> Iterator[Found]:
    for name, splits in divided.items():
        parts = list(splits)
        W = np.ones((len(parts), setting.n))
        for row, split in zip(W, parts, strict=True):
            row[split.test] = 0
        predicted = setting.learner(X, y, W, X)
        losses = row_losses(y, predicted, task=setting.task)
        tested, own = (losses * (1 - W)).sum() / (1 - W).sum(), (losses * W).sum() / W.sum()
        pooled = [np.concatenate([row[s.test] for row, s in zip(a, parts, strict=True)]) for a in
                  (np.broadcast_to(y, predicted.shape), predicted)]  # fmt: skip
        gamma = no_information(*pooled, np.ones(len(pooled[0])), task=setting.task)
        rate = 0.0 if setting.learner is constant else float(overfitting_rate(own, tested, np.array(gamma)))
        result = estimate_error(
            [row[split.test] for row, split in zip(losses, parts, strict=True)],
            n_train=np.array([len(split.train) for split in parts]),
            repeats=splits.repeats,
            task=setting.task,
            rows=[split.test for split in parts],
            groups=groups,
            overfitting=rate,
        )
        yield name, result.mean, result.ci_low, result.ci_high


def bootstrap_of(
    setting: Setting,
    X: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray | None,
    strata: np.ndarray | None,
    seed: int,
    name: str,
) -> Iterator[Found]:
    n = setting.n
    counts = drawn_counts(bootstrap(n, samples=SAMPLES, seed=seed, strata=strata, groups=groups))
    predictions = setting.learner(X, y, np.vstack([np.ones((1, n)), counts]), X)
    estimates = bootstrap_estimates(y, predictions, counts, task=setting.task, strata=strata, groups=groups).estimates
    for key, e in estimates.items():
        yield f"bootstrap{', ' * bool(name)}{name}: {key}", e.value, e.ci_low, e.ci_high


def table(setting: Setting, number: int, data_sets: int) -> list[str]:
    """Bias, coverage and width of all intervals in one setting."""
    rng = np.random.default_rng(number)
    truths, found = [], defaultdict(list)
    for seed in range(data_sets):
        samples = setting.n <= LARGEST_BOOTSTRAP or seed % 4 == 0
        truth, intervals = intervals_of(setting, rng, seed, samples=samples)
        truths.append(truth)
        for name, *rest in intervals:
            found[name].append(rest)
    truth = np.mean(truths) if setting.task == "classification" else np.sqrt(np.mean(truths))
    scale, unit = (100, " %") if setting.task == "classification" else (1, "")
    lines = [f"True error {scale * truth:.3g}{unit}.", ""]
    lines += ["| interval | bias | coverage | width |", "|---|---:|---:|---:|"]
    for name, triples in found.items():
        value, low, high = np.array(triples, dtype=float).T
        held = 100 * np.mean((low <= truth) & (truth <= high))
        figures = f"{scale * (value.mean() - truth):+.2g} | {held:.1f} | {scale * (high - low).mean():.3g}"
        lines.append(f"| {name} | {figures} |")
    return lines


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
        f"{data_sets} data sets in each setting, {SAMPLES} bootstrap samples (of every fourth data set of 1000 rows). "
        "Bias: mean of the estimate minus the true error of models trained on all n rows, in points or in the target's "
        "unit. Coverage: per cent of the intervals that hold the true error (Monte-Carlo standard error at 95: "
        f"{100 * np.sqrt(0.95 * 0.05 / data_sets):.1f}; of the bootstraps of 1000 rows twice that). Width: mean.",
    ]
    for number, (name, setting) in enumerate(SETTINGS.items()):
        lines += ["", f"## {name}", "", *table(setting, number, data_sets)]
        print(name, *lines[-14:], f"{time.perf_counter() - start:.0f} s", sep="\n", flush=True)
    lines += ["", f"It took {time.perf_counter() - start:.0f} s."]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
