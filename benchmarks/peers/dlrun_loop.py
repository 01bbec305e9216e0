"""dlrun's whole training loop: orders, gathered batches, costs and learning rates, 16 batches an epoch."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import StepCase
from benchmarks.peers import dlrun_step

VERSIONS = dlrun_step.VERSIONS
BATCHES = 16


def steps_at_once(case: StepCase) -> int:
    """An epoch."""
    return BATCHES


def prepare(case: StepCase, threads: int) -> Callable[[int], None]:
    """A call that trains for n steps, whole epochs."""
    stack, _ = dlrun_step.stack_of(case, threads, BATCHES)
    epoch = 0

    def run(steps: int) -> None:
        nonlocal epoch
        for _ in range(steps // BATCHES):
            epoch += 1
            stack.run_epoch(epoch)

    return run
