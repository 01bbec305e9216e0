"""How time grows with the number of replicas, for a small and a middle-sized network. Writes results/growth.*

python -m benchmarks.growth
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.quiet import quietest
from benchmarks.report import RESULTS, machine, save, table

SIZES = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Growing:
    """Replicas of one experiment that differ in their numbers alone: same rows, own weights and orders."""

    name: str
    experiment: str
    hidden: tuple[int, ...]
    batch: int
    epochs: int


CASES = (
    Growing("small: breast cancer, 30-32-1, batch 32", "breast_cancer", (32,), 32, 4),
    Growing("middle-sized: digits, 64-128-64-10, batch 64", "digits", (128, 64), 64, 2),
)


def seconds_of(case: Growing, R: int, jobs: int) -> tuple[float, int]:
    """Seconds that training R replicas takes, and the steps that each made."""
    from dlrun.backend import Backend
    from dlrun.config import load_experiment
    from dlrun.data.dataset import load_dataset
    from dlrun.training.problem import Problem
    from dlrun.training.stacking import StackedTraining
    from dlrun.training.threads import computing_threads

    settings = [
        f"model.hidden={list(case.hidden)}",
        "model.keep_prob=1.0",
        f"training.batch_size={case.batch}",
        f"training.epochs={case.epochs}",
        "training.early_stopping=",
        'optimizer.decay.name="constant"',
        "regularization.l2=0.0",
    ]
    loaded = load_experiment(case.experiment, overrides=settings)
    experiment = loaded.experiment
    data = load_dataset(experiment.data, task=experiment.task, folder=loaded.folder, seed=0)
    problem, every = Problem(experiment, data), np.arange(len(data), dtype=np.int64)
    replicas = [problem.replica(every, number=number) for number in range(R)]

    def call() -> None:
        training = StackedTraining(problem, Backend(), replicas, [every[:1]] * R, jobs=jobs)
        for _ in training:
            pass

    with computing_threads(1):
        begun = time.perf_counter()
        call()
        chunks = 5 if time.perf_counter() - begun < 2 else 2
        seconds, _ = quietest(call, chunks, patience=30)
    return seconds, case.epochs * -(-len(data) // case.batch)


def plot(found: dict[str, Any]) -> None:
    """results/growth.svg, where Matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, by_jobs in found.items():
        for jobs, points in by_jobs.items():
            axes.loglog(*zip(*points, strict=True), marker="o", label=f"{name}, {jobs} jobs" if jobs != "1" else name)
    axes.set(xlabel="replicas", ylabel="µs per replica and step", title="Training R replicas as stacks")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(RESULTS / "growth.svg", metadata={"Date": None})


def main() -> None:
    """Measure and write."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    rows = []
    for case in CASES:
        found[case.name] = {}
        for jobs in (1, 2):
            points = found[case.name][str(jobs)] = []
            for R in SIZES:
                seconds, steps = seconds_of(case, R, jobs)
                points.append((R, seconds / R / steps * 1e6))
            ratios = [f"{b[0] * b[1] / (a[0] * a[1]):.1f}" for a, b in pairwise(points)]
            each = [f"{R * figure * steps / 1e6:.2f} s ({figure:.1f})" for R, figure in points]
            rows.append([case.name, str(jobs), *each, ", ".join(ratios)])
    page = "\n".join(
        [
            "# Growth with the number of replicas",
            "",
            machine({}),
            "",
            "Seconds to train R replicas together, and in brackets µs per replica and step. The last column: how many",
            "times as long ten times as many replicas take. `growth.svg` shows it.",
            "",
            *table(["network", "jobs", *(f"R = {R}" for R in SIZES), "ten times as many"], rows),
            "",
        ]
    )
    print(page)
    save("growth", page, found)
    plot(found)


if __name__ == "__main__":
    main()
