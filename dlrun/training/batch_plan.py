"""One batch shape of a stack, bound: rows gathered, masks drawn, cost and gradient computed in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend
from dlrun.graph.plan import Plan
from dlrun.graph.shaping import pack
from dlrun.nn.network import Architecture, NetworkGraph
from dlrun.training.augment import Augmentation
from dlrun.training.dropout import DropoutMasks
from dlrun.training.replica import Replica
from dlrun.training.rows import BatchBuffer


class BatchPlan:
    """Everything bound for one batch shape (R, B): the gathered rows, masks, forward and backward sweep."""

    def __init__(
        self,
        backend: Backend,
        net: Architecture,
        replicas: Sequence[Replica],
        buffer: BatchBuffer,
        augmentation: Augmentation | None,
        *,
        even: bool,
        parameters: Mapping[str, Array],
        gradient: Array,
        batch_statistics: Array,
    ) -> None:
        """`parameters` are the blocks of θ and what a feature map has drawn, by their names in the graph.

        Each run writes `gradient` (R, P) and, with batch normalization, `batch_statistics`.
        """
        self.even, self.buffer, self.augmentation = even, buffer, augmentation
        R, B, _ = buffer.array.shape
        graph = NetworkGraph(net, R, B, training=True, even=even)
        dtype = buffer.array.dtype
        arrays: dict[str, Array] = {"x": buffer.x, "y": buffer.y, "present": buffer.present, **parameters}
        self.weight = arrays["weight"] = backend.zeros((R, B, 1), dtype)
        self.penalty = {name: backend.zeros((R, 1, 1), dtype) for name in ("l2", "l1") if getattr(net, name)}
        masks = {layer: backend.zeros((R, B, width), dtype) for layer, width in net.masks.items()}
        arrays |= self.penalty | {f"mask{layer}": mask for layer, mask in masks.items()}
        self.masks = DropoutMasks(backend, [r.keep_prob for r in replicas], masks) if masks else None
        assert graph.gradient is not None
        fetches, targets = [graph.cost, graph.gradient], {graph.gradient: gradient}
        if net.statistics:
            packed = pack([graph.batch_statistics[name] for name, _ in net.statistics])
            fetches.append(packed)
            targets[packed] = batch_statistics
        self.plan = Plan(backend, fetches, graph.bindings(arrays), targets)
        self.cost = self.plan.outputs[graph.cost].reshape(R)

    def set_counts(self, backend: Backend, counts: npt.NDArray[np.int64], replicas: Sequence[Replica]) -> None:
        """m of each replica's batch: the divisor of its penalty, and of its cost where rows are padded."""
        m = np.maximum(counts, 1).astype(np.float64)
        for name, array in self.penalty.items():
            factor = np.array([getattr(r, name) for r in replicas]) / (2 * m)
            backend.xp.copyto(array, backend.to_device(factor[:, None, None], array.dtype))
        if not self.even:
            share = backend.to_device((1 / m)[:, None, None], self.weight.dtype)
            self._share = share

    def weigh(self, xp: Any) -> None:
        """Weights of a padded batch: 1/m for its rows, 0 for padding."""
        if not self.even:
            xp.multiply(self.buffer.present, self._share, self.weight)
