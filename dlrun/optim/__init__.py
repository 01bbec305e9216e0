"""Optimizers, learning-rate schedules, and the minimization of a cost that was written as a graph.

The names below are imported on first use: `Stepper` and `OPTIMIZERS` alone need no more than their modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrun.optim.descent import Descent, minimize
    from dlrun.optim.path import PathRecord, follow, read_cost

_HOME = {
    "Descent": "descent",
    "minimize": "descent",
    "PathRecord": "path",
    "follow": "path",
    "read_cost": "path",
}

__all__ = ["Descent", "PathRecord", "follow", "minimize", "read_cost"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
