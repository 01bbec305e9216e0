"""How long whole commands take, from their start to their exit. Writes results/commands.md and .json.

python -m benchmarks.commands [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.quiet import TOLERATED, disturbed
from benchmarks.report import machine, save, table
from benchmarks.rounds import AS_USED, ROOT

Timing = dict[str, float]


def commands(folder: str) -> dict[str, tuple[list[str], float | None]]:
    """Each command's arguments and the seconds it may take, where there is a goal."""
    dlrun = [sys.executable, "-m", "dlrun"]
    train = [*dlrun, "train", "iris", "--set", "training.epochs=50", "--out", folder, "--overwrite"]
    return {
        "python -c pass": ([sys.executable, "-c", "pass"], None),
        "python -c 'import numpy'": ([sys.executable, "-c", "import numpy"], None),
        "dlrun --help": ([*dlrun, "--help"], 0.3),
        "dlrun list": ([*dlrun, "list"], None),
        "dlrun train iris (50 epochs)": (train, 1.5),
        "dlrun crossval iris (10 folds, 50 epochs)": ([*dlrun, "crossval", "iris", *train[5:]], None),
    }


def timed(arguments: Sequence[str]) -> Timing:
    """Seconds of a process, and the share of the machine that others took meanwhile."""

    def call() -> None:
        subprocess.run(arguments, stdout=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, **AS_USED}, check=True)

    seconds, others = disturbed(call)
    return {"seconds": seconds, "others": others}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        asked = commands(folder)
        for each, _ in asked.values():
            timed(each)  # fills the disk cache
        found = {name: [] for name in asked}
        for _ in range(options.rounds):
            for name, (each, _) in asked.items():
                found[name].append(timed(each))
    rows = []
    for name, (_, goal) in asked.items():
        seconds = [run["seconds"] for run in found[name]]
        quiet = [run["seconds"] for run in found[name] if run["others"] <= TOLERATED] or seconds
        middle = statistics.median(quiet)
        verdict = "" if goal is None else "yes" if middle <= goal else "no"
        wanted = "" if goal is None else f"{goal:g} s"
        rows.append([f"`{name}`", f"{middle:.2f} s", f"{min(seconds):.2f} to {max(seconds):.2f} s", wanted, verdict])
    page = "\n".join(
        [
            "# Whole commands",
            "",
            machine({}),
            "",
            f"Wall clock from start to exit, {options.rounds} interleaved rounds, files in the disk cache. The",
            "median is that of the rounds in which other processes left the machine alone; the range is of all rounds.",
            "",
            *table(["command", "median", "range", "goal", "reached"], rows),
            "",
        ]
    )
    print(page)
    save("commands", page, found)


if __name__ == "__main__":
    main()
