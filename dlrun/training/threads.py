"""How many threads compute, decided by the sizes of the work alone, so that a run is repeatable on its machine.

Results of matrix products change with the number of threads of the BLAS. A run therefore fixes it at the start: one
thread where products are too small to share, else as many as `--jobs` allows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

from dlrun.nn.network import Architecture

# m·n·k of a layer's product from which a second thread pays: below it OpenBLAS computes in one (measured)
SHARED_PRODUCT = 1 << 22


def usable_cores() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def useful_threads(net: Architecture, batch_rows: int, jobs: int | None = None) -> int:
    """Threads for one stack of this network: 1 unless its largest product is worth sharing."""
    available = jobs or usable_cores()
    largest = max(m * k * n for m, k, n in net.products) * batch_rows
    return available if largest >= SHARED_PRODUCT else 1


@contextlib.contextmanager
def computing_threads(threads: int) -> Iterator[Executor | None]:
    """Hold the BLAS to so many threads, and lend an executor for the optimizer's half where there are two or more."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads, user_api="blas"):
        if threads < 2:
            yield None
            return
        with ThreadPoolExecutor(1, thread_name_prefix="dlrun") as executor:
            yield executor
