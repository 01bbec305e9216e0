"""The same matrix products alone, by NumPy: the least that a training step with this BLAS can take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.cases import StepCase

VERSIONS = {"numpy": np.__version__}


def prepare(case: StepCase, threads: int) -> Callable[[int], None]:
    """A call that computes the products of n steps into arrays allocated beforehand."""
    random = np.random.default_rng(0)
    shared: dict[tuple[int, ...], np.ndarray] = {}

    def array(*shape: int) -> np.ndarray:
        if shape not in shared:
            shared[shape] = random.standard_normal(shape, np.float32)
        return shared[shape]

    calls = []
    for (m, k, n), transposed in case.products:
        a = array(k, m).T if transposed == "a" else array(m, k)
        b = array(n, k).T if transposed == "b" else array(k, n)
        calls.append(partial(np.matmul, a, b, np.empty((m, n), np.float32)))

    def run(steps: int) -> None:
        for _ in range(steps):
            for call in calls:
                call()

    return run
