"""What makes the steps of a training on a CPU: NumPy's kernels one after another, or steps compiled by LLVM.

The choice follows from the experiment, and from all replicas that are trained alike, never from how they are divided:
the two engines agree to rounding, not to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Backend
from dlrun.data.stored_features import StoredFeatures
from dlrun.nn.network import Architecture
from dlrun.rng import fold_in
from dlrun.training.dropout import last_kept
from dlrun.training.replica import Replica
from dlrun.training.rows import Adjustment, Copies
from dlrun.training.step_cost import step_cost
from dlrun.training.streamed_rows import StreamedRows
from dlrun.training.threads import useful_threads

if TYPE_CHECKING:
    from dlrun.engines.cpu.jit import CompiledStep
    from dlrun.training.problem import Problem
    from dlrun.training.stack import Stack, StackSettings

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
    reason = reason or not_covered(net, settings)
    return Choice("numpy", reason) if reason else Choice("compiled")


def not_covered(net: Architecture, settings: StackSettings) -> str:
    """Why such steps cannot be compiled here; empty where they can."""
    from dlrun.engines.cpu.jit import host, why_not
    from dlrun.engines.cpu.step import step_text
    from dlrun.engines.cpu.text import Uncovered

    if settings.augment is not None:
        return "data.augment is not compiled"
    reason = why_not()
    if reason:
        return reason
    try:
        step_text(_kind(net, settings, 2, False, net.inputs + net.outputs + 2, None), lanes=host().lanes, x86=host().x86)
    except Uncovered as error:
        return f"{error} is not compiled"
    return ""


def _not_worth(net: Architecture, settings: StackSettings, replicas: Sequence[Replica], times: int) -> str:
    longest = max(len(r.train) for r in replicas)
    B = longest if settings.batch_size is None else min(settings.batch_size, longest)
    if len(replicas) == 1 and useful_threads(net, B) > 1:
        return "NumPy's kernels share the update of one large network among threads"
    steps = times * -(-longest // B) * max(r.epochs for r in replicas)
    seconds = steps * step_cost(net, settings.optimizer, B).seconds(len(replicas))
    return "" if seconds >= WORTH_SECONDS else "the training is too short to be worth compiling"


def _kind(net: Architecture, settings: StackSettings, B: int, even: bool, width: int, adjustment: Any) -> Any:
    from dlrun.engines.cpu.step import StepKind

    scaled = isinstance(adjustment, Adjustment)
    return StepKind(
        net,
        settings.optimizer,
        settings.clip_norm,
        settings.clip_value,
        B,
        even,
        width,
        scaled=scaled,
        filled=scaled and adjustment.fill is not None,
    )


def compiled_epochs(stack: Stack) -> CompiledEpochs | None:
    """The compiled steps of a stack's batches; None where they are not covered."""
    from dlrun.engines.cpu.jit import compiled

    if isinstance(stack.store, StreamedRows) or not_covered(stack.net, stack.settings):
        return None
    kinds = {
        shape: compiled(_kind(stack.net, stack.settings, *shape, stack.store.width, stack.adjustment))
        for shape in dict.fromkeys(stack.batch_shapes)
    }
    return CompiledEpochs(kinds)


@dataclass(eq=False)
class CompiledEpochs:
    """Epochs of a stack by functions, one per batch shape."""

    kinds: dict[tuple[int, bool], CompiledStep]

    def run(
        self,
        stack: Stack,
        epoch: int,
        index: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        coefficients: npt.NDArray[Any],
        t: npt.NDArray[np.int64],
    ) -> npt.NDArray[Any]:
        """Train through the rows `index` once, in place. Returns the costs (S, R) as the functions leave them."""
        from dlrun.engines.cpu.epochs import EpochArrays, run_steps

        S, R = counts.shape
        dtype = stack.store.dtype
        costs = np.full((R, S), np.nan, dtype)
        own = self._own(stack) | self._per_step(stack, counts, t)
        own |= {"costs": costs, "coefficients": np.ascontiguousarray(coefficients[..., 0].transpose(2, 0, 1))}
        rows, first = stack.store.rows, None
        if isinstance(stack.adjustment, Copies):
            rows, first = stack.adjustment.rows, stack.adjustment.first[:, 0]
        counts = np.ascontiguousarray(counts, np.int64)
        arrays = EpochArrays(own, {"rows": rows}, index, counts, first, fold_in(stack.keys, epoch))
        steps = [self.kinds[shape] for shape in stack.batch_shapes[:S]]
        threads = stack.cores
        if stack.before_update is None:
            run_steps(arrays, steps, 0, threads=threads)
        else:
            for s in map(int, np.flatnonzero((counts > 0).any(axis=1))):
                stack.before_update(stack.theta)
                run_steps(arrays, steps[s : s + 1], s, threads=1)
        return costs.T

    @staticmethod
    def _own(stack: Stack) -> dict[str, npt.NDArray[Any]]:
        """Arrays that hold for the whole epoch, a row per replica."""
        dtype = stack.store.dtype
        found = {"theta": stack.theta, "statistics": stack.statistics, **stack.fixed}
        found |= {f"state{k}": array for k, array in enumerate(stack.stepper.state.values())}
        keep = np.array([r.keep_prob for r in stack.replicas], np.float64).reshape(stack.R, -1)
        found |= {"thresholds": last_kept(keep), "factors": (1 / keep).astype(dtype)}
        if isinstance(stack.adjustment, Adjustment):
            found |= {"shift": stack.adjustment.shift, "scale": stack.adjustment.scale}
            if stack.adjustment.fill is not None:
                found["fill"] = stack.adjustment.fill
        return found

    @staticmethod
    def _per_step(
        stack: Stack, counts: npt.NDArray[np.int64], t: npt.NDArray[np.int64]
    ) -> dict[str, npt.NDArray[Any]]:
        """One number for each step (R, S): 1/m, λ/(2m), weights of running averages."""
        dtype = stack.store.dtype
        m = np.maximum(counts, 1).astype(np.float64).T
        found = {"share": 1 / m}
        for name in ("l2", "l1"):
            found[name] = np.array([getattr(r, name) for r in stack.replicas])[:, None] / (2 * m)
        if stack.net.batch_norm:
            found["averaging"] = stack.averaging_weights(t).T
        return {name: np.ascontiguousarray(array, dtype) for name, array in found.items()}
