"""Coarse-to-fine and random search at equal cost, on digits, over 20 seeds. Writes results/coarse_to_fine.md and .json.

    python -m benchmarks.coarse_to_fine [--seeds 20] [--trials 36]

Every seed has its own split, initial weights and draws, the same for both searches; the first round of coarse-to-fine
is a third of the trials of random search. Paired differences are random less coarse-to-fine: above 0, the latter is
better.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import machine, save, table

SPACE = {
    "optimizer.learning_rate": {"log_uniform": [1e-4, 1.0]},
    "optimizer.beta1": {"one_minus_log": [0.5, 0.999]},
    "regularization.l2": {"log_uniform": [1e-3, 100.0]},
    "model.keep_prob": {"uniform": [0.3, 1.0]},
}
EPOCHS, HIDDEN = 10, [64]
FIGURES = {
    "dev_error": "dev error of the best",
    "dev_cost": "dev cost of the best by cost",
    "test_error": "test error of the best",
}


def search(sampler: str, seed: int, trials: int) -> dict[str, float]:
    """The best of one search: its dev error, the least dev cost of any trial, and its error on the test part."""
    from dlrun.backend import select_backend
    from dlrun.config import validate
    from dlrun.data.dataset import load_dataset
    from dlrun.training.problem import Problem
    from dlrun.tuning.final import test_figures
    from dlrun.tuning.study import Study, StudyOptions

    document: dict[str, Any] = {
        "seed": seed,
        "data": {"source": "digits", "normalize": "minmax"},
        "model": {"hidden": HIDDEN},
        "training": {"epochs": EPOCHS, "batch_size": 64},
        "tune": {"space": SPACE},
    }
    chosen = validate(document, where="digits")
    data = load_dataset(chosen.data, task=None, folder=Path.cwd(), seed=seed)
    options = StudyOptions(sampler=sampler, trials=trials)
    study = Study(Problem(chosen, data), select_backend("cpu"), options, folder=Path.cwd())
    for _ in study:
        pass
    test = test_figures(study)
    assert study.best is not None
    assert study.best.score is not None
    assert test is not None
    assert not isinstance(test, str)
    costs = [trial.cost for trial in study.trials.values() if trial.cost is not None]
    return {"dev_error": study.best.score, "dev_cost": min(costs), "test_error": test.error}


def compared(random: npt.NDArray[np.float64], fine: npt.NDArray[np.float64]) -> list[str]:
    """Means, the mean difference with its t interval, wins, ties and losses, and Wilcoxon's p."""
    from scipy import stats

    gap = random - fine
    k = len(gap)
    half = float(stats.t.ppf(0.975, k - 1) * gap.std(ddof=1) / np.sqrt(k))
    p = float(stats.wilcoxon(gap).pvalue) if (gap != 0).any() else 1.0
    return [
        f"{random.mean():.4f}",
        f"{fine.mean():.4f}",
        f"{gap.mean():+.4f} ({gap.mean() - half:+.4f} … {gap.mean() + half:+.4f})",
        f"{int((gap > 0).sum())} / {int((gap == 0).sum())} / {int((gap < 0).sum())}",
        f"{p:.2g}",
    ]


def page(results: dict[str, list[dict[str, float]]], trials: int) -> str:
    """The Markdown page."""
    lines = []
    for name, words in FIGURES.items():
        random, fine = (np.array([each[name] for each in results[s]]) for s in ("random", "coarse-to-fine"))
        lines.append([words, *compared(random, fine)])
    head = [
        "mean over seeds",
        "random",
        "coarse to fine",
        "difference (95 %)",
        "better / equal / worse",
        "Wilcoxon's p",
    ]
    return "\n".join(
        [
            "# Coarse-to-fine beside random search",
            "",
            f"`python -m benchmarks.coarse_to_fine`: digits, 64-{HIDDEN[0]}-10, {EPOCHS} epochs, {trials} trials each",
            f"(coarse-to-fine in 3 rounds), {len(results['random'])} seeds; searched: {', '.join(SPACE)}.",
            "",
            *table(head, lines),
            "",
            "Differences are random less coarse-to-fine of the same seed: above 0, coarse-to-fine is better. The dev",
            "error is what the searches minimize, in steps of one row (1/359); its least value flatters both alike.",
            "",
            machine({"numpy": np.__version__}),
            "",
        ]
    )


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=36)
    options = parser.parse_args()
    from dlrun.training.threads import computing_threads

    results: dict[str, list[dict[str, float]]] = {"random": [], "coarse-to-fine": []}
    with computing_threads(1):
        for seed in range(options.seeds):
            for sampler, found in results.items():
                found.append(search(sampler, seed, options.trials))
    text = page(results, options.trials)
    save("coarse_to_fine", text, results)
    print(text)


if __name__ == "__main__":
    main()
