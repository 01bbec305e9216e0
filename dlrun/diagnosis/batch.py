"""The batch on which an experiment's gradient is checked: in float64, everything else as training has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend
from dlrun.diagnosis.probes import Surface
from dlrun.errors import AnswerIsNoError, ConfigError
from dlrun.graph.plan import Plan
from dlrun.nn.network import Architecture, NetworkGraph
from dlrun.rng import fold_in
from dlrun.training.dropout import DropoutMasks
from dlrun.training.problem import Problem
from dlrun.training.run import TrainRun
from dlrun.training.stack import Stack

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ROWS = 64  # a batch is cut down to so many rows: more make a check slower, and hardly sharper


@dataclass(frozen=True)
class CheckedBatch:
    """A network, a batch of B rows and θ, all in float64.

    arrays  what the leaves of `NetworkGraph` besides θ are bound to: x, y, masks, centres, λ/(2m)
    rows    the rows' numbers in the data set
    """

    backend: Backend
    net: Architecture
    arrays: Mapping[str, Array]
    theta: FloatArray
    rows: IntArray

    def surface(self) -> Surface:
        """The cost around θ, from which differences are taken."""
        return Surface(self.backend, self.net, len(self.rows), self.arrays, self.theta)

    def gradient(self) -> FloatArray:
        """∂(cost + penalty)/∂θ (P,) by back-propagation: the graph and the packed gradient that training runs."""
        backend, net = self.backend, self.net
        graph = NetworkGraph(net, 1, len(self.rows), training=True, even=True)
        assert graph.gradient is not None
        theta = backend.to_device(self.theta[None], net.dtype)
        gradient = backend.zeros(theta.shape, net.dtype)
        bindings = graph.bindings({**self.arrays, **net.block_views(theta)})
        plan = Plan(backend, [graph.cost, graph.gradient], bindings, {graph.gradient: gradient})
        with backend.quiet():
            plan.run()
        return np.array(backend.to_host(gradient)[0])


def checked_batch(
    run: TrainRun, *, after_epochs: int = 0, rows: int | None = None, fixed_dropout: bool = False
) -> CheckedBatch:
    """The first batch of a training, at its initial weights or after so many epochs of it.

    rows           how many rows to take; left out, the batch, and at most 64 rows of it
    fixed_dropout  keep the masks of the first step, the same for all copies; otherwise there is no dropout
    Raises `ConfigError` for a baseline, `AnswerIsNoError` where the training diverges before the check.
    """
    if run.stack is None:
        kind = run.problem.experiment.model.kind
        raise ConfigError(f'model.kind = "{kind}" has no gradient to check; should be "network"')
    index, counts = run.stack.epoch_rows(1)
    chosen = index[0, 0, : int(counts[0, 0])]
    chosen = chosen[: rows or ROWS]
    _train(run.stack, after_epochs)
    return _assembled(run.problem, run.stack, chosen, fixed_dropout=fixed_dropout)


def _train(stack: Stack, epochs: int) -> None:
    for epoch in range(1, epochs + 1):
        stack.run_epoch(epoch)
        if not np.isfinite(stack.backend.to_host(stack.theta)).all():
            raise AnswerIsNoError(
                f"training diverged in epoch {epoch}, before the gradient could be checked; "
                "check it earlier, or try a smaller optimizer.learning_rate"
            )


def _assembled(problem: Problem, stack: Stack, rows: IntArray, *, fixed_dropout: bool) -> CheckedBatch:
    backend, (replica,) = stack.backend, stack.replicas
    net = replace(stack.net, dtype="float64", dropout=stack.net.dropout if fixed_dropout else ())
    if net.statistics and len(rows) < 2:
        raise ConfigError("batch normalization needs a batch of 2 rows or more to have a gradient")
    n, B = stack.normalization, len(rows)
    x = np.ones((1, B, net.inputs + 1))
    x[0, :, :-1] = n.apply(problem.dataset.features[rows])
    y = ((problem.target_rows(rows) - n.y_shift[0]) * n.y_scale[0])[None]
    arrays = {"x": backend.to_device(x), "y": backend.to_device(y)}
    arrays |= {name: backend.to_device(backend.to_host(value), "float64") for name, value in stack.fixed.items()}
    arrays |= {
        name: backend.to_device(np.full((1, 1, 1), getattr(replica, name) / (2 * B)))
        for name in ("l2", "l1")
        if getattr(net, name)
    }
    masks = {layer: backend.zeros((1, B, width), "float64") for layer, width in net.masks.items()}
    if masks:
        keys = fold_in(backend.to_device(stack.keys, np.uint64), 1, backend.xp)
        DropoutMasks(backend, [replica.keep_prob], masks).draw(keys, 0)
        arrays |= {f"mask{layer}": mask for layer, mask in masks.items()}
    theta = np.array(backend.to_host(stack.theta)[0], np.float64)  # a copy: training goes on in its own
    return CheckedBatch(backend, net, arrays, theta, rows)
