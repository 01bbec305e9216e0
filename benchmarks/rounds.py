"""Interleaved timing: every peer in a process of its own, measured in rounds A B C, A B C, ….

The machine is shared and its speed drifts: within a round all peers meet the same conditions, so ratios are taken
within rounds, and their median is reported with the quartiles.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
# For whole processes, as their users start them: Python keeps what it has compiled, which some machines switch off.
AS_USED = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONWARNINGS": "ignore"}


def thread_settings(threads: int) -> dict[str, str]:
    """The environment that holds NumPy, PyTorch and XLA to so many threads."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
    settings = {name: str(threads) for name in names}
    if threads == 1:
        settings["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return settings


@dataclass
class Timings:
    """Seconds per step of one peer at one number of threads, a figure per round; `absent` says why there is none."""

    peer: str
    threads: int
    seconds: list[float] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    absent: str = ""

    @property
    def median(self) -> float:
        """The median over rounds."""
        return statistics.median(self.seconds)


class Worker:
    """A peer's process: `python -m benchmarks.worker MODULE CASE THREADS`."""

    def __init__(self, timings: Timings, module: str, case: str) -> None:
        self.timings = timings
        environment = {**os.environ, **thread_settings(timings.threads), "PYTHONWARNINGS": "ignore"}
        if module.startswith("dlrun"):  # sets its threads itself, as the command line does
            environment = {**os.environ, "OPENBLAS_THREAD_TIMEOUT": "15"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", module, case, str(timings.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        first = self._answer()
        timings.versions, timings.absent = first.get("versions", {}), first.get("absent", "")

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            message = self._process.stderr.read().strip().splitlines()
            return {"absent": message[-1] if message else "its process ended"}
        found: dict[str, Any] = json.loads(line)
        return found

    def measure(self, seconds: float) -> None:
        """One round, unless the peer is absent."""
        if self.timings.absent:
            return
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        answer = self._answer()
        if "seconds" in answer:
            self.timings.seconds.append(answer["seconds"])
        else:
            self.timings.absent = answer["absent"]

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.communicate()


def interleave(
    case: str, peers: Sequence[tuple[str, str]], *, threads: Sequence[int], rounds: int, seconds: float
) -> list[Timings]:
    """Rounds over all peers (name, module) at all numbers of threads. The first, which warms up, is not kept."""
    workers = [Worker(Timings(name, n), module, case) for name, module in peers for n in threads]
    try:
        for done in range(rounds + 1):
            for worker in workers:
                worker.measure(seconds)
                if not done:
                    worker.timings.seconds.clear()
    finally:
        for worker in workers:
            worker.close()
    return [worker.timings for worker in workers]


def best(timings: Sequence[Timings], peer: str) -> Timings | None:
    """A peer at the number of threads that suits it best; None where it is absent."""
    found = [t for t in timings if t.peer == peer and t.seconds and not t.absent]
    return min(found, key=lambda t: t.median, default=None)


def paired_ratio(numerator: Timings, denominator: Timings) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the ratios of the same rounds."""
    return paired_ratio_of(numerator.seconds, denominator.seconds)


def paired_ratio_of(numerator: Sequence[float], denominator: Sequence[float]) -> tuple[float, float, float]:
    """The same for lists of figures, one per round."""
    ratios = sorted(a / b for a, b in zip(numerator, denominator, strict=True))
    if len(ratios) == 1:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return low, middle, high
