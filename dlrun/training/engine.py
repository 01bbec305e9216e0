"""What makes the steps of a training on a CPU: NumPy's kernels one after another, or steps compiled by LLVM.

The choice follows from the experiment, and from all replicas that are trained alike, never from how they are divided:
the two engines agree to rounding, not to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlrun.backend import Backend
from dlrun.data.stored_features import StoredFeatures
from dlrun.nn.network import Architecture
from dlrun.training.compiled_epochs import not_covered
from dlrun.training.problem import Problem
from dlrun.training.replica import Replica
from dlrun.training.stack import StackSettings
from dlrun.training.step_cost import step_cost
from dlrun.training.threads import useful_threads

WORTH_SECONDS = 1.0  # of NumPy's time, from which compiling (0.1 to 0.3 s) pays


@dataclass(frozen=True)
class Choice:
    """The engine, "compiled" or "numpy", and why it is not the other."""

    name: str
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """What `summary.json` says of it."""
        return {"engine": self.name, "engine_reason": self.reason or None}


def settle_engine(problem: Problem, backend: Backend, replicas: Sequence[Replica], *, times: int = 1) -> Choice:
    """Choose under `backend.engine`, which is the chosen one from here on; what is not covered is left to NumPy.

    `replicas` are all that are trained, or those of one trial of a search, which is done so many `times`.
    """
    choice = _choose(problem, backend, replicas, times)
    backend.engine = "compiled" if choice.name == "compiled" else "numpy"
    return choice


def _choose(problem: Problem, backend: Backend, replicas: Sequence[Replica], times: int) -> Choice:
    if backend.name != "cpu":
        return Choice("cupy", "the device is a GPU")
    if backend.engine == "numpy":
        return Choice("numpy", "--engine numpy")
    if problem.experiment.model.kind != "network":
        return Choice("numpy", "a baseline has no steps")
    net, settings = problem.architecture(replicas), problem.settings()
    reason = _not_worth(net, settings, replicas, times) if backend.engine == "auto" else ""
    if not reason and isinstance(problem.dataset.features, StoredFeatures):
        reason = "rows that stay in their file are not compiled"
    if not reason and settings.augment is not None:
        reason = "data.augment is not compiled"
    reason = reason or not_covered(net, settings.updates)
    return Choice("numpy", reason) if reason else Choice("compiled")


def _not_worth(net: Architecture, settings: StackSettings, replicas: Sequence[Replica], times: int) -> str:
    longest = max(len(r.train) for r in replicas)
    B = longest if settings.batch_size is None else min(settings.batch_size, longest)
    if len(replicas) == 1 and useful_threads(net, B) > 1:
        return "NumPy's kernels share the update of one large network among threads"
    steps = times * -(-longest // B) * max(r.epochs for r in replicas)
    seconds = steps * step_cost(net, settings.optimizer, B).seconds(len(replicas))
    return "" if seconds >= WORTH_SECONDS else "the training is too short to be worth compiling"
