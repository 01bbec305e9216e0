"""Epochs of a stack whose steps are compiled: the arrays of the stack as the compiled functions take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.nn.network import Architecture
from dlrun.training.dropout import last_kept
from dlrun.training.replica import Replica
from dlrun.training.rows import Adjustment, Copies

if TYPE_CHECKING:
    from dlrun.engines.cpu.jit import CompiledStep
    from dlrun.engines.cpu.step import StepKind

Array = npt.NDArray[Any]
Shapes = Sequence[tuple[int, bool]]


@dataclass(frozen=True)
class Updates:
    """How gradients become steps: what of a stack's settings is compiled."""

    optimizer: str
    clip_norm: float | None
    clip_value: float | None


@dataclass(frozen=True)
class Batches:
    """The batches of one epoch.

    index, counts  row numbers (S, R, B), and how many of them are real (S, R)
    shapes         of each batch its height, and whether it is even
    coefficients   of the optimizer (S, K, R, 1);  averaging  weights of running averages (S, R), if there are any
    keys           (R,) of the epoch's masks
    """

    index: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    shapes: Shapes
    coefficients: Array
    averaging: Array | None
    keys: npt.NDArray[np.uint64]


def step_kind(
    net: Architecture, updates: Updates, shape: tuple[int, bool], adjustment: Adjustment | Copies | None
) -> StepKind:
    """What the compiled step of such a batch depends on."""
    from dlrun.engines.cpu.step import StepKind

    scaled = isinstance(adjustment, Adjustment)
    return StepKind(
        net=net,
        optimizer=updates.optimizer,
        clip_norm=updates.clip_norm,
        clip_value=updates.clip_value,
        rows=shape[0],
        even=shape[1],
        width=net.inputs + net.outputs + 2,
        scaled=scaled,
        filled=isinstance(adjustment, Adjustment) and adjustment.fill is not None,
    )


def not_covered(net: Architecture, updates: Updates) -> str:
    """Why such steps cannot be compiled here; empty where they can."""
    from dlrun.engines.cpu.jit import host, why_not
    from dlrun.engines.cpu.step import step_text
    from dlrun.engines.cpu.text import UncoveredError

    reason = why_not()
    if reason:
        return reason
    try:
        step_text(step_kind(net, updates, (2, False), None), lanes=host().lanes, x86=host().x86)
    except UncoveredError as error:
        return f"{error} is not compiled"
    return ""


@dataclass(eq=False)
class CompiledEpochs:
    """The compiled steps of a stack, one function per batch shape, and what of its arrays never changes."""

    rows: Array
    adjustment: Adjustment | Copies | None
    replicas: Sequence[Replica]
    kinds: dict[tuple[int, bool], CompiledStep]

    @classmethod
    def of(
        cls,
        net: Architecture,
        updates: Updates,
        shapes: Shapes,
        rows: Array,
        adjustment: Adjustment | Copies | None,
        replicas: Sequence[Replica],
    ) -> CompiledEpochs | None:
        """None where such steps are not covered."""
        from dlrun.engines.cpu.jit import compiled
        from dlrun.engines.cpu.text import UncoveredError

        try:
            kinds = {shape: compiled(step_kind(net, updates, shape, adjustment)) for shape in dict.fromkeys(shapes)}
        except UncoveredError:
            return None
        return cls(rows, adjustment, replicas, kinds)

    def run(
        self,
        learned: Mapping[str, Array],
        batches: Batches,
        *,
        cores: int,
        before_step: Callable[[], None] | None = None,
    ) -> Array:
        """Train through the batches once. Returns their costs (S, R).

        learned  θ, statistics, the optimizer's state0, state1, and what a feature map has drawn: a row per replica;
                 all but the last are changed in place
        """
        from dlrun.engines.cpu.epochs import EpochArrays, run_steps

        dtype = self.rows.dtype
        counts = np.ascontiguousarray(batches.counts, np.int64)
        costs = np.full(counts.T.shape, np.nan, dtype)
        own = {**learned, **self._of_replicas(), **self._of_steps(counts, batches.averaging), "costs": costs}
        own["coefficients"] = np.ascontiguousarray(batches.coefficients[..., 0].transpose(2, 0, 1))
        rows, first = self.rows, None
        if isinstance(self.adjustment, Copies):
            rows, first = self.adjustment.rows, self.adjustment.first[:, 0]
        arrays = EpochArrays(own, rows, batches.index, counts, first, batches.keys)
        steps = [self.kinds[shape] for shape in batches.shapes[: len(counts)]]
        if before_step is None:
            run_steps(arrays, steps, 0, threads=cores)
            return costs.T
        for s in map(int, np.flatnonzero((counts > 0).any(axis=1))):
            before_step()
            run_steps(arrays, steps[s : s + 1], s, threads=1)
        return costs.T

    def _of_replicas(self) -> dict[str, Array]:
        """Numbers of each replica that hold for all steps."""
        dtype = self.rows.dtype
        keep = np.array([r.keep_prob for r in self.replicas], np.float64).reshape(len(self.replicas), -1)
        found: dict[str, Array] = {"thresholds": last_kept(keep), "factors": (1 / keep).astype(dtype)}
        if isinstance(self.adjustment, Adjustment):
            found |= {"shift": self.adjustment.shift, "scale": self.adjustment.scale}
            if self.adjustment.fill is not None:
                found["fill"] = self.adjustment.fill
        return found

    def _of_steps(self, counts: npt.NDArray[np.int64], averaging: Array | None) -> dict[str, Array]:
        """One number for each replica and step (R, S): 1/m, λ/(2m), weights of running averages."""
        m = np.maximum(counts, 1).astype(np.float64).T
        found: dict[str, Array] = {"share": 1 / m}
        for name in ("l2", "l1"):
            found[name] = np.array([getattr(r, name) for r in self.replicas])[:, None] / (2 * m)
        if averaging is not None:
            found["averaging"] = averaging.T
        return {name: np.ascontiguousarray(array, self.rows.dtype) for name, array in found.items()}
