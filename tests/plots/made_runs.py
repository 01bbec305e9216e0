"""The types of the fixtures here, and the header of metrics.csv."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

Rows = Sequence[Sequence[Any]]
MakeRun = Callable[..., Path]
Draw = Callable[..., AbstractContextManager[Figure]]
METRICS = ("replica", "epoch", "step", "split", "learning_rate", "cost", "error", "batch_cost")
