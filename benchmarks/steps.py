"""One training step (forward, backward, Adam) of dlrun beside its peers. Writes results/steps.md and steps.json.

python -m benchmarks.steps [--rounds 7] [--seconds 1] [--case TEXT]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.cases import STEP_CASES, StepCase
from benchmarks.report import machine, save, table
from benchmarks.rounds import Timings, best, interleave, paired_ratio

DLRUN, LOOP, FLOOR = "dlrun, a step", "dlrun, whole loop", "matrix products alone"
EAGER, FUSED, SCAN = "PyTorch eager", "PyTorch eager, fused Adam", "JAX, jitted scan"
PEERS = (
    (DLRUN, "dlrun_step"),
    (LOOP, "dlrun_loop"),
    ("NumPy by hand", "numpy_by_hand"),
    (FLOOR, "matmul_floor"),
    (EAGER, "torch_step"),
    (FUSED, "torch_fused_step"),
    (SCAN, "jax_scan"),
)
# what a step is to reach: the peer, and how many times as long as dlrun it should take at least
GOALS = {
    STEP_CASES[0].name: ((EAGER, 8.0),),
    STEP_CASES[1].name: ((EAGER, 3.5), (SCAN, 1.0)),
    STEP_CASES[2].name: ((FUSED, 1.0), (FLOOR, 0.8)),
    STEP_CASES[3].name: ((FUSED, 1.0), (FLOOR, 0.8)),
}


def measure(cases: Sequence[StepCase], *, rounds: int, seconds: float) -> dict[str, list[Timings]]:
    """All peers on each case, on 1 and on 2 threads."""
    found = {}
    for case in cases:
        print(f"  {case.name} …", flush=True)
        found[case.name] = interleave(case.name, PEERS, threads=(1, 2), rounds=rounds, seconds=seconds)
    return found


def duration(seconds: float) -> str:
    """In µs below 10 ms, in ms above."""
    return f"{seconds * 1e6:.{1 if seconds < 1e-4 else 0}f} µs" if seconds < 1e-2 else f"{seconds * 1e3:.1f} ms"


def rows_of(timings: Sequence[Timings]) -> list[list[str]]:
    """A table row per peer: its figure at its best number of threads, and its ratio to dlrun's step."""
    ours, rows = best(timings, DLRUN), []
    for name, _ in PEERS:
        found = best(timings, name)
        if found is None or ours is None:
            why = next((t.absent for t in timings if t.peer == name), "")
            rows.append([name, "absent", "", "", why])
            continue
        low, middle, high = paired_ratio(found, ours)
        spread = f"{duration(min(found.seconds))} to {duration(max(found.seconds))}"
        rows.append(
            [name, duration(found.median), spread, str(found.threads), f"**{middle:.2f}** ({low:.2f} to {high:.2f})"]
        )
    return rows


def goals_of(case: str, timings: Sequence[Timings]) -> list[list[str]]:
    """A table row per goal of the case."""
    ours, rows = best(timings, DLRUN), []
    for peer, goal in GOALS[case]:
        theirs = best(timings, peer)
        if ours is None or theirs is None:
            rows.append([case, peer, f"{goal:g}", "not measured", ""])
            continue
        reached = paired_ratio(theirs, ours)[1]
        rows.append([case, peer, f"{goal:g}", f"{reached:.2f}", "yes" if reached >= goal else "no"])
    return rows


def report(found: dict[str, list[Timings]], rounds: int) -> str:
    """The whole page."""
    versions: dict[str, str] = {}
    for timings in found.values():
        for each in timings:
            versions |= each.versions
    lines = [
        "# One training step",
        "",
        machine(versions),
        "",
        "Forward, backward and Adam in float32 on a batch that is in place; ReLU, softmax cross-entropy. Every peer",
        f"runs in a process of its own, in {rounds} interleaved rounds, on 1 and on 2 threads; its row shows the",
        "better of the two. A round's figure is the least of five chunks during which other processes left the machine",
        "alone (or of all, where they did not). Times are medians over rounds, with the range beside them; a ratio is",
        "the peer's time over that of dlrun's step in the same round: median (quartiles). Above 1, dlrun is faster.",
        "",
        "## Goals",
        "",
        *table(
            ["network", "peer", "ratio wanted", "ratio", "reached"],
            [row for case, timings in found.items() for row in goals_of(case, timings)],
        ),
    ]
    for case, timings in found.items():
        lines += ["", f"## {case}", ""]
        lines += table(["", "time per step", "range", "threads", "times dlrun's step"], rows_of(timings))
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="per peer and round")
    parser.add_argument("--case", default="", help="only the cases whose name contains this")
    options = parser.parse_args(arguments)
    cases = [case for case in STEP_CASES if options.case in case.name]
    found = measure(cases, rounds=options.rounds, seconds=options.seconds)
    page = report(found, options.rounds)
    print(page)
    if len(cases) == len(STEP_CASES):
        raw: dict[str, Any] = {case: [asdict(each) for each in timings] for case, timings in found.items()}
        save("steps", page, raw)


if __name__ == "__main__":
    main()
