"""PyTorch, eager, with `torch.optim.Adam(fused=True)`."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import StepCase
from benchmarks.peers import torch_step

VERSIONS = torch_step.VERSIONS


def prepare(case: StepCase, threads: int) -> Callable[[int], None]:
    """A call that makes n steps on one batch."""
    return torch_step.prepare(case, threads, fused=True)
