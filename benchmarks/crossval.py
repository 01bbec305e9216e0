"""Cross-validation and bootstrap of dlrun beside scikit-learn, PyTorch and JAX. Writes results/crossval.md and .json.

    python -m benchmarks.crossval [--rounds 5] [--case TEXT]

Each peer is a process of its own, timed from its start to its exit, imports and compilation included, and the part
that trains and tests is timed within (for JAX: once it is compiled). Peers take turns, so that ratios are of the same
minute; every peer has 1 and 2 jobs or threads, and its best counts.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from typing import Any

from benchmarks.fold_cases import DLRUN, FOLD_CASES, JAX, SKLEARN, TORCH, FoldCase, fold_case
from benchmarks.quiet import disturbed
from benchmarks.report import machine, save, table
from benchmarks.rounds import AS_USED, ROOT, paired_ratio_of, thread_settings

MODULES = {DLRUN: "folds_dlrun", SKLEARN: "folds_sklearn", TORCH: "folds_torch", JAX: "folds_jax"}
JOBS = {TORCH: (1,)}  # networks this small gain nothing from its second thread; the others: 1 and 2
MANY = 50  # divisions: from here on the peers that take them one by one are timed in two rounds only
Run = dict[str, Any]


def answer(peer: str, case: FoldCase, jobs: int, times: int) -> None:
    """What a peer's process does and prints: the error, and the least time of the part that trains."""
    warnings.simplefilter("ignore")
    try:
        module = importlib.import_module(f"benchmarks.peers.{MODULES[peer]}")
        run = module.prepare(case, jobs)
    except ImportError as missing:
        print(json.dumps({"absent": str(missing)}))
        return
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        error = run()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"training": min(seconds), "error": error, "versions": module.VERSIONS}))


def command_line(case: FoldCase, jobs: int, folder: str) -> list[str]:
    """The case as dlrun's command."""
    if case.scheme == "bootstrap":
        scheme = ["bootstrap", case.table, "--samples", str(case.count)]
    else:
        scheme = ["crossval", case.table, *(["--folds", str(case.count)] if case.count else ["--leave-one-out"])]
    options = [part for each in case.settings() for part in ("--set", each)]
    rest = ["--jobs", str(jobs), "--out", folder, "--overwrite", "--json"]
    return [sys.executable, "-m", "dlrun", *scheme, *options, *rest]


def process(arguments: list[str], environment: dict[str, str]) -> Run:
    """Seconds and standard output of a process, and the share of the machine that others took meanwhile."""
    found: Run = {}

    def call() -> None:
        whole = {**os.environ, **AS_USED, **environment}
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, env=whole, check=False)
        lines = (done.stderr if done.returncode else done.stdout).strip().splitlines()
        found.update(failed=bool(done.returncode), text="\n".join(lines), last=lines[-1] if lines else "")

    seconds, others = disturbed(call)
    return {**found, "seconds": seconds, "others": others}


def measure(peer: str, case: FoldCase, jobs: int, folder: str) -> Run:
    """Whole and training seconds of a peer, or why it is absent."""
    environment = thread_settings(jobs if peer in (TORCH, JAX) else 1)
    if peer == DLRUN:
        environment = {"OPENBLAS_THREAD_TIMEOUT": "15"}
    itself = [sys.executable, "-m", "benchmarks.crossval", "--answer", peer, "--case", case.name, "--jobs", str(jobs)]
    inner = process([*itself, "--times", "2" if peer in (DLRUN, JAX) else "1"], environment)
    if inner["failed"]:
        return {"absent": inner["last"]}
    found: Run = json.loads(inner["last"])
    if "absent" in found:
        return found
    whole = inner
    if peer == DLRUN:
        whole = process(command_line(case, jobs, folder), environment)
        if whole["failed"]:
            return {"absent": whole["last"]}
    elif peer == JAX:  # the process above trained twice
        whole = process([*itself, "--times", "1"], environment)
    return {**found, "jobs": jobs, "whole": whole["seconds"], "others": max(inner["others"], whole["others"])}


def best(runs: Sequence[Sequence[Run]], figure: str) -> list[float]:
    """The figure in every round at the number of jobs that suits the peer best."""
    by_jobs: dict[int, list[float]] = {}
    for each in runs:
        for run in each:
            if figure in run:
                by_jobs.setdefault(run["jobs"], []).append(run[figure])
    return min(by_jobs.values(), key=statistics.median, default=[])


def rows_of(results: dict[str, list[list[Run]]]) -> list[list[str]]:
    """A table row per peer."""
    rows = []
    for peer, runs in results.items():
        whole, training = best(runs, "whole"), best(runs, "training")
        if not whole:
            rows.append([peer, "absent", "", "", "", runs[0][0].get("absent", "")])
            continue
        cells = [peer]
        for mine, ours in ((whole, best(results[DLRUN], "whole")), (training, best(results[DLRUN], "training"))):
            low, middle, high = paired_ratio_of(mine, ours[: len(mine)])
            cells += [f"{statistics.median(mine):.2f} s", f"**{middle:.1f}** ({low:.1f} to {high:.1f})"]
        errors = [run["error"] for each in runs for run in each if "error" in run]
        rows.append([*cells, f"{100 * statistics.median(errors):.1f} %"])
    return rows


def goals_of(case: FoldCase, results: dict[str, list[list[Run]]]) -> list[list[str]]:
    """A table row per goal, for whole processes."""
    rows = []
    for peer, goal in case.goals:
        theirs, ours = best(results[peer], "whole"), best(results[DLRUN], "whole")
        if not theirs or not ours:
            rows.append([case.name, peer, f"{goal:g}", "not measured", ""])
            continue
        reached = paired_ratio_of(theirs, ours[: len(theirs)])[1]
        rows.append([case.name, peer, f"{goal:g}", f"{reached:.1f}", "yes" if reached >= goal else "no"])
    return rows


def report(found: dict[str, dict[str, list[list[Run]]]], rounds: int) -> str:
    """The whole page."""
    versions: dict[str, str] = {}
    goals, sections = [], []
    for name, results in found.items():
        for runs in results.values():
            for run in runs[0]:
                versions |= run.get("versions", {})
        goals += goals_of(fold_case(name), results)
        sections += ["", f"## {name}", ""]
        head = ["", "whole process", "times dlrun's", "training and testing alone", "times dlrun's", "error"]
        sections += table(head, rows_of(results))
    made = [run for results in found.values() for runs in results.values() for each in runs for run in each]
    others = [run["others"] for run in made if "others" in run]
    return "\n".join(
        [
            "# Estimates of error",
            "",
            machine(versions),
            f"Other processes took {100 * statistics.median(others or [0]):.0f} % of the machine meanwhile (median).",
            "",
            f"`python -m benchmarks.crossval`: the same rows, layers, batch, epochs and Adam; {rounds} rounds",
            "in which the peers take turns; each at 1 and 2 jobs or threads, the better of which is shown. Medians;",
            "ratios within rounds with their quartiles; above 1, dlrun is faster. PyTorch has 1 thread, which suits it",
            f"best here; it and scikit-learn take more than {MANY} divisions in two rounds only. Errors differ since",
            "every library draws its own weights and orders.",
            "",
            *table(["estimate", "peer", "ratio wanted", "ratio", "reached"], goals),
            *sections,
            "",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", default="", help="only the cases whose name contains this")
    for hidden, kind in (("--answer", str), ("--jobs", int), ("--times", int)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.answer:
        answer(options.answer, fold_case(options.case), options.jobs, options.times)
        return
    cases = [case for case in FOLD_CASES if options.case in case.name]
    found: dict[str, dict[str, list[list[Run]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            results: dict[str, list[list[Run]]] = {peer: [] for peer in MODULES}
            for done in range(options.rounds):
                for peer, runs in results.items():
                    if done > 1 and peer in (TORCH, SKLEARN) and len(case.divisions()) > MANY:
                        continue
                    runs.append([measure(peer, case, jobs, folder) for jobs in JOBS.get(peer, (1, 2))])
            found[case.name] = results
            print("\n".join(table(["", "whole", "", "training", "", "error"], rows_of(results))), flush=True)
    page = report(found, options.rounds)
    print(page)
    if len(cases) == len(FOLD_CASES):
        save("crossval", page, found)


if __name__ == "__main__":
    main()
