"""Evaluation mode: outputs of all replicas on given rows, without dropout and with running averages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array
from dlrun.graph.plan import Plan
from dlrun.nn.losses import loss_named
from dlrun.nn.network import NetworkGraph
from dlrun.records import Figures
from dlrun.training.rows import BatchBuffer, batch_index
from dlrun.training.stack import Stack

FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class Evaluator:
    """Bound to the θ of a stack; make a new one after `Stack.keep`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        net, R, backend = stack.net, stack.R, stack.backend
        chunk = self._chunk_rows(backend.name)
        longest = max(max(len(r.train), len(r.dev), len(r.test)) for r in stack.company)
        self._chunk = B = max(1, min(chunk, longest))
        graph = NetworkGraph(net, R, B, training=False)
        self._buffer = BatchBuffer(backend, stack.store, stack.adjustment, R, B)
        dtype = stack.store.dtype
        arrays: dict[str, Array] = {
            "x": self._buffer.x,
            "y": self._buffer.y,
            "present": self._buffer.present,
            "weight": self._buffer.present,
            **net.block_views(stack.theta),
            **net.statistic_views(stack.statistics),
            **stack.fixed,
        }
        self._penalty = {name: backend.zeros((R, 1, 1), dtype) for name in ("l2", "l1") if getattr(net, name)}
        fetches = [graph.z, graph.row_losses]
        self._plan = Plan(backend, fetches, graph.bindings(arrays | self._penalty))
        self._z, self._losses = (self._plan.outputs[node] for node in fetches)
        self._penalty_plan = None
        if graph.penalty is not None:
            self._penalty_plan = Plan(backend, [graph.penalty], graph.bindings(arrays | self._penalty))
            self._penalty_cost = self._penalty_plan.outputs[graph.penalty]

    def _chunk_rows(self, device: str) -> int:
        """Rows computed at once. On a CPU they follow from the network alone: the last bits of a product may depend
        on its height, and the figures of a replica must not depend on who else is in the stack."""
        widest = self._stack.net.widest
        if device == "cpu":
            return max(32, min(256, (1 << 18) // widest))
        return max(32, min(4096, (1 << 24) // (self._stack.R * widest)))

    def figures(self, parts: Sequence[Rows], *, penalty: bool = False) -> list[Figures]:
        """Cost and error of each replica on its own rows; `penalty` adds λ/(2m)·‖W‖ with m the batch size."""
        stack = self._stack
        index, counts = batch_index(list(parts), self._chunk, stack.store.padding)
        stack.store.announce(index)
        xp = stack.backend.xp
        cost, wrong = xp.zeros(stack.R), xp.zeros(stack.R)  # float64 sums
        with stack.backend.quiet():
            for rows in index:
                self._run(rows)
                present = self._buffer.present[:, :, 0]
                # where, not a product: a padding row may overflow to inf or NaN in a network of its own
                cost += xp.where(present > 0, self._losses[:, :, 0], 0).sum(axis=1, dtype=float)
                wrong += xp.where(present > 0, self._wrong(), 0).sum(axis=1, dtype=float)
            extra = self._penalties() if penalty else np.zeros(stack.R)
        n = counts.sum(axis=0)
        costs, errors = stack.backend.to_host(cost), stack.backend.to_host(wrong)
        return [self._figures(r, int(n[r]), float(costs[r]), float(errors[r]), float(extra[r])) for r in range(stack.R)]

    def _figures(self, r: int, n: int, cost: float, wrong: float, extra: float) -> Figures:
        stack = self._stack
        if n == 0:
            return Figures(0, float("nan"), float("nan"))
        mean = cost / n if stack.mean_loss else cost
        if loss_named(stack.net.loss).task == "classification":
            return Figures(n, mean + extra, wrong / n)
        spread = float(stack.normalization.y_scale[r, 0])
        return Figures(n, mean + extra, float(np.sqrt(wrong / n)) / spread)

    def _run(self, rows: Rows) -> None:
        self._buffer.gather(rows)
        self._plan.run()

    def _wrong(self) -> Array:
        """1 for a wrong answer and 0 for a right one, or the squared error, of each row (R, B)."""
        loss, xp, y = loss_named(self._stack.net.loss), self._stack.backend.xp, self._buffer.y
        if loss.task == "regression":
            return xp.square(self._z - y).sum(axis=-1)
        if loss.one_output:
            differ = (self._z[:, :, 0] > 0) != (y[:, :, 0] > 0.5)
        else:
            differ = self._z.argmax(axis=-1) != y.argmax(axis=-1)
        return differ | xp.isnan(self._z).any(axis=-1)  # a NaN is no answer, hence wrong, whatever argmax makes of it

    def _penalties(self) -> FloatArray:
        stack = self._stack
        if self._penalty_plan is None:
            return np.zeros(stack.R)
        for name, array in self._penalty.items():
            m = np.minimum(stack.lengths, stack.batch_rows())
            factor = np.array([getattr(r, name) for r in stack.replicas]) / (2 * m)
            stack.backend.xp.copyto(array, stack.backend.to_device(factor[:, None, None], array.dtype))
        self._penalty_plan.run()
        return stack.backend.to_host(self._penalty_cost).reshape(stack.R).astype(np.float64)

    def outputs(self, parts: Sequence[Rows]) -> list[FloatArray]:
        """What each replica answers on its own rows, in float64 on the host: a list of (n_r, C).

        Classification: probabilities of the C classes. Regression: values in the target's units.
        """
        stack = self._stack
        index, _ = batch_index(list(parts), self._chunk, stack.store.padding)
        stack.store.announce(index)
        chunks = []
        with stack.backend.quiet():
            for rows in index:
                self._run(rows)
                chunks.append(stack.backend.to_host(self._z).astype(np.float64))
        z = np.concatenate(chunks, axis=1) if chunks else np.zeros((stack.R, 0, stack.net.outputs))
        return [self._answers(r, z[r, : len(rows)]) for r, rows in enumerate(parts)]

    def _answers(self, r: int, z: FloatArray) -> FloatArray:
        loss = loss_named(self._stack.net.loss)
        if loss.task == "regression":
            scaling = self._stack.normalization
            return np.asarray(z / scaling.y_scale[r] + scaling.y_shift[r])
        return probabilities(z, one_output=loss.one_output)


def probabilities(z: FloatArray, *, one_output: bool) -> FloatArray:
    """Class probabilities (n, C) from logits: the sigmoid of one output, or the softmax of C."""
    if one_output:
        with np.errstate(over="ignore"):
            both = 1 / (1 + np.exp(np.concatenate([z, -z], axis=1)))  # 1 − p would round small chances to 0
        return np.asarray(both)
    with np.errstate(invalid="ignore"):
        e = np.exp(z - z.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(e / e.sum(axis=1, keepdims=True))
