"""Telling undisturbed timings from others on a shared machine: how much of it went to other processes meanwhile."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

TOLERATED = 0.04  # share of the machine's processor time that others may take during a timing


def busy_seconds() -> float | None:
    """Processor seconds that the machine has spent on anything since it started; None where it does not tell."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = (int(word) for word in words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Processor seconds of this process and of its children that have ended."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in found)


def disturbed(call: Callable[[], None]) -> tuple[float, float]:
    """Seconds that a call takes, and the share of the machine that other processes took meanwhile (0 if unknown)."""
    before, mine = busy_seconds(), own_seconds()
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    after, mine = busy_seconds(), own_seconds() - mine
    if before is None or after is None:
        return seconds, 0.0
    uncertain = 2 / os.sysconf("SC_CLK_TCK")  # the machine counts in ticks, at either end
    return seconds, max(0.0, after - before - mine - uncertain) / (seconds * (os.cpu_count() or 1))


def quietest(call: Callable[[], None], chunks: int, *, patience: float = 60.0) -> tuple[float, float]:
    """The least time of so many undisturbed calls, and its disturbance, 0.

    Waits for quiet for `patience` seconds; after that the least of all times is the answer, since others can only add
    to it, with the share that they took meanwhile.
    """
    end, quiet, disturbances = time.monotonic() + patience, list[float](), list[tuple[float, float]]()
    while len(quiet) < chunks and (time.monotonic() < end or not (quiet or disturbances)):
        seconds, share = disturbed(call)
        if share <= TOLERATED:
            quiet.append(seconds)
        else:
            disturbances.append((seconds, share))
            time.sleep(0.1)
    return (min(quiet), 0.0) if quiet else min(disturbances)
