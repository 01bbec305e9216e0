"""One peer in a process of its own. Reads a number of seconds per line, answers with the least time per step.

python -m benchmarks.worker MODULE CASE THREADS
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from functools import partial
from typing import Any

from benchmarks.cases import STEP_CASES
from benchmarks.quiet import quietest

CHUNKS = 5  # undisturbed timings a round; the least of them is its answer
PATIENCE = 6.0  # seconds that a round waits for the machine to be quiet


def say(answer: dict[str, Any]) -> None:
    """One JSON line to the parent."""
    print(json.dumps(answer), flush=True)


def timed(run: Any, steps: int) -> float:
    """Seconds that so many steps take."""
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


def steps_for(run: Any, seconds: float, unit: int) -> int:
    """How many steps fill so many seconds, a multiple of `unit`. Warms up on the way."""
    steps = unit
    timed(run, steps)
    while (taken := timed(run, steps)) < seconds / 4:
        steps *= 4
    return max(1, round(steps * seconds / taken / unit)) * unit


def main() -> None:
    """Prepare, then answer until the input ends."""
    module, name, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    case = next(case for case in STEP_CASES if case.name == name)
    try:
        peer = importlib.import_module(f"benchmarks.peers.{module}")
        run = peer.prepare(case, threads)
    except ImportError as error:
        say({"absent": str(error)})
        return
    unit = peer.steps_at_once(case) if hasattr(peer, "steps_at_once") else 1
    steps = 0
    say({"versions": peer.VERSIONS})
    for line in sys.stdin:
        seconds = float(line)
        if not steps:
            steps = steps_for(run, seconds / CHUNKS, unit)
        least, disturbance = quietest(partial(run, steps), CHUNKS, patience=PATIENCE)
        say({"seconds": least / steps, "disturbance": disturbance})


if __name__ == "__main__":
    main()
