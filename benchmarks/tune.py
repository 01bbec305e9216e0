"""A search of 64 trials × 5 folds, beside Optuna and scikit-learn. Writes results/tune.md and .json.

    python -m benchmarks.tune [--rounds 5]

Whole processes, from their start to their exit, in turns. All search the same space (learning rate and L2 penalty,
both on a log scale) for the same network on the same 569 rows: breast cancer, 30-32-1, ReLU, Adam, batches of 32,
30 epochs, inputs standardized per fold, five stratified folds, random draws. The peers train scikit-learn's
`MLPClassifier`: `RandomizedSearchCV` with n_jobs=2 processes, Optuna with n_jobs=2 threads and a random sampler.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.quiet import busy_seconds, own_seconds
from benchmarks.report import machine, save, table
from benchmarks.rounds import AS_USED, ROOT

TRIALS, FOLDS, EPOCHS, BATCH, HIDDEN, JOBS = 64, 5, 30, 32, 32, 2
RATES, PENALTIES = (1e-4, 1e-1), (1e-3, 10.0)
DLRUN, SKLEARN, OPTUNA = "dlrun tune", "scikit-learn RandomizedSearchCV", "Optuna over cross_val_score"
GOAL = 10.0


def dlrun_command(folder: str) -> list[str]:
    """The search as a command line. Without a test part all rows are dealt into folds, as the peers do."""
    settings = [
        "data.split.train=0.8", "data.split.dev=0.2", "data.split.test=0.0", f"model.hidden=[{HIDDEN}]",
        f"training.epochs={EPOCHS}", f"training.batch_size={BATCH}", "training.early_stopping=", "tune.space=",
        f'tune.space."optimizer.learning_rate"={{log_uniform=[{RATES[0]}, {RATES[1]}]}}',
        f'tune.space."regularization.l2"={{log_uniform=[{PENALTIES[0]}, {PENALTIES[1]}]}}',
    ]  # fmt: skip
    options = [part for each in settings for part in ("--set", each)]
    search = ["--trials", str(TRIALS), "--folds", str(FOLDS), "--jobs", str(JOBS), "--out", folder, "--overwrite"]
    return [sys.executable, "-m", "dlrun", "tune", "breast_cancer", *search, *options, "--json"]


def rows() -> tuple[Any, Any]:
    """Features and target of the packaged table."""
    import pandas as pd

    found = pd.read_csv(ROOT / "datasets" / "breast_cancer.csv")
    return found.drop(columns="diagnosis").to_numpy(), found["diagnosis"].to_numpy()


def classifier() -> Any:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    epochs = {"max_iter": EPOCHS, "tol": 0.0, "n_iter_no_change": EPOCHS + 1}
    network = MLPClassifier((HIDDEN,), batch_size=BATCH, random_state=0, **epochs)
    return make_pipeline(StandardScaler(), network)


def splitter() -> Any:
    from sklearn.model_selection import StratifiedKFold

    return StratifiedKFold(FOLDS, shuffle=True, random_state=0)


def sklearn_search() -> float:
    """The best cross-validated error."""
    from scipy.stats import loguniform
    from sklearn.model_selection import RandomizedSearchCV

    space = {"mlpclassifier__learning_rate_init": loguniform(*RATES), "mlpclassifier__alpha": loguniform(*PENALTIES)}
    search = RandomizedSearchCV(
        classifier(), space, n_iter=TRIALS, cv=splitter(), n_jobs=JOBS, refit=False, random_state=0
    )
    search.fit(*rows())
    return 1 - float(search.best_score_)


def optuna_search() -> float:
    """The best cross-validated error."""
    import optuna
    from sklearn.model_selection import cross_val_score

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    x, y = rows()

    def score(trial: Any) -> float:
        values = {
            "mlpclassifier__learning_rate_init": trial.suggest_float("rate", *RATES, log=True),
            "mlpclassifier__alpha": trial.suggest_float("alpha", *PENALTIES, log=True),
        }
        return float(cross_val_score(classifier().set_params(**values), x, y, cv=splitter()).mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(score, n_trials=TRIALS, n_jobs=JOBS)
    return 1 - study.best_value


PEERS = {SKLEARN: sklearn_search, OPTUNA: optuna_search}


def answer(peer: str) -> None:
    """What a peer's process does and prints."""
    warnings.simplefilter("ignore")
    try:
        error = PEERS[peer]()
        import sklearn

        print(json.dumps({"best": error, "versions": {"scikit-learn": sklearn.__version__}}))
    except ImportError as missing:
        print(json.dumps({"absent": str(missing)}))


def measured(peer: str, folder: str) -> dict[str, Any]:
    """Wall-clock seconds of a whole process, and the share of the machine that others took meanwhile."""
    environment = {**os.environ, **AS_USED}
    if peer != DLRUN:  # one thread of the BLAS for each of the two jobs, which is fastest for them
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = dlrun_command(folder) if peer == DLRUN else [sys.executable, "-m", "benchmarks.tune", "--answer", peer]
    before, mine, began = busy_seconds(), own_seconds(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    seconds = time.perf_counter() - began
    after, mine = busy_seconds(), own_seconds() - mine
    if done.returncode:
        return {"absent": (done.stderr.strip().splitlines() or ["its process ended"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout if peer == DLRUN else done.stdout.strip().splitlines()[-1])
    if "absent" in found:
        return found
    others = None if before is None or after is None else (after - before - mine) / (seconds * (os.cpu_count() or 1))
    best = found["best"]["score"] if peer == DLRUN else found["best"]
    versions = {"numpy": found["versions"]["numpy"]} if peer == DLRUN else found["versions"]
    return {"seconds": seconds, "cpu": mine, "others": others, "best": best, "versions": versions}


def page(results: dict[str, list[dict[str, Any]]]) -> str:
    """The Markdown page."""
    lines, versions = [], dict[str, str]()
    verdicts = []
    for peer, found in results.items():
        good = [each for each in found if "seconds" in each]
        if not good:
            lines.append([peer, "absent", "", "", found[0].get("absent", "")])
            continue
        versions |= good[0]["versions"]
        seconds = sorted(each["seconds"] for each in good)
        ratios = sorted(
            each["seconds"] / own["seconds"] for each, own in zip(found, results[DLRUN], strict=True)
            if "seconds" in each
        )  # fmt: skip
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        ratio = statistics.median(ratios)
        lines.append(
            [
                peer,
                f"{statistics.median(seconds):.2f} s ({seconds[0]:.2f} … {seconds[-1]:.2f})",
                f"{statistics.median(each['cpu'] for each in good):.1f} s",
                f"{ratio:.1f} ({low:.1f} … {high:.1f})",
                f"{100 * statistics.median(each['best'] for each in good):.2f} %",
            ]
        )
        if peer != DLRUN:
            own = statistics.median(each["cpu"] for each in results[DLRUN])
            cpu = statistics.median(each["cpu"] for each in good) / own
            reached = "reached" if ratio >= GOAL else "NOT reached"
            verdicts.append(f"{peer} {reached} ({ratio:.1f}; {cpu:.1f} by processor time)")
    others = [each["others"] for found in results.values() for each in found if each.get("others") is not None]
    return "\n".join(
        [
            "# The speed of a search",
            "",
            f"`python -m benchmarks.tune`: {TRIALS} trials × {FOLDS} folds, breast cancer (569 rows), 30-{HIDDEN}-1,",
            f"Adam, batches of {BATCH}, {EPOCHS} epochs; learning rate and L2 drawn at random on log scales. Whole",
            f"processes, {JOBS} jobs each; medians of {len(results[DLRUN])} rounds in which the peers take turns, with",
            "the extremes; ratios within rounds with their quartiles.",
            "",
            *table(["", "wall clock", "processor time", "times dlrun's", "best error found"], lines),
            "",
            f"The goal is {GOAL:.0f} times the speed: {'; '.join(verdicts)}.",
            "",
            f"Other processes took {100 * statistics.median(others):.0f} % of the machine meanwhile (median), which"
            " the ratio of processor times suffers from least."
            if others
            else "",
            "",
            machine(versions),
            "",
        ]
    )


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--answer", choices=list(PEERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(options.answer)
        return
    results: dict[str, list[dict[str, Any]]] = {peer: [] for peer in (DLRUN, *PEERS)}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for peer in results:
                results[peer].append(measured(peer, str(Path(folder) / "search")))
    text = page(results)
    save("tune", text, results)
    print(text)


if __name__ == "__main__":
    main()
