"""Counts, and what a command line gave."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

SOAK = "DLRUN_SOAK"  # set by `make soak`: the long counts


def count(short: int, long: int) -> int:
    """How many cases: few in `make test`, many in `make soak`."""
    return long if os.environ.get(SOAK) else short


@dataclass(frozen=True)
class Result:
    """What a command line gave."""

    status: int
    stdout: str
    stderr: str


Dlrun = Callable[..., Result]
