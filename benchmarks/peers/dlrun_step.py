"""dlrun's training step: the plan and the optimizer that a stack of one replica uses, the batch in place."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

import dlrun
from benchmarks.cases import BETA1, BETA2, EPSILON, LEARNING_RATE, StepCase
from dlrun.backend import Backend
from dlrun.nn.network import Architecture
from dlrun.training.replica import Replica
from dlrun.training.rows import Normalization, RowStore, one_hot_targets
from dlrun.training.stack import Stack, StackSettings
from dlrun.training.threads import computing_threads

VERSIONS = {"dlrun": dlrun.__version__, "numpy": np.__version__}


def stack_of(case: StepCase, threads: int, batches: int) -> tuple[Stack, Any]:
    """A stack of one replica on rows for so many batches, and the executor lent to it."""
    x, codes = case.batches(batches)
    d, classes = case.widths[0], case.widths[-1]
    identity = Normalization(
        np.zeros((1, d)), np.zeros((1, d)), np.ones((1, d)), np.zeros((1, classes)), np.ones((1, classes))
    )
    backend = Backend()
    targets = one_hot_targets(codes, classes, one_output=False)
    store = RowStore(backend, x.astype(np.float64), targets, identity, "float32", shared=False)
    net = Architecture(inputs=d, outputs=classes, loss="cross_entropy", hidden=case.widths[1:-1])
    replica = Replica(
        number=0,
        seed=0,
        train=np.arange(len(x)),
        learning_rate=LEARNING_RATE,
        beta1=BETA1,
        beta2=BETA2,
        epsilon=EPSILON,
    )
    resources = ExitStack()
    executor = resources.enter_context(computing_threads(threads))
    atexit.register(resources.close)
    theta = np.concatenate([part.ravel() for W_b in case.weights() for part in W_b])[None]
    settings = StackSettings(batch_size=case.batch)
    stack = Stack(backend, net, settings, store, identity, [replica], theta=theta.astype(np.float64), threads=executor)
    return stack, executor


def prepare(case: StepCase, threads: int) -> Callable[[int], None]:
    """A call that makes n steps on one batch."""
    stack, executor = stack_of(case, threads, 1)
    stack.run_epoch(1)  # binds the plan and gathers the batch
    (batch,) = stack._plans.values()
    rates = np.full((1, 1), LEARNING_RATE)
    coefficients = stack.stepper.coefficients(np.ones((1, 1)), rates, stack.hyperparameters)[0]
    plan, step = batch.plan, stack.stepper.step

    def run(steps: int) -> None:
        with stack.backend.quiet():
            for _ in range(steps):
                plan.run()
                step(coefficients, executor)

    return run
