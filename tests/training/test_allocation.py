"""A training step allocates nothing once it is warm.

NumPy itself takes and returns a buffer of at most 8192 elements for an operand whose rows are not contiguous, and
for one that is cast. The arrays here are several times larger than that.
"""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.optim.optimizers import OPTIMIZERS


def taken_by(step, *, warm, n):
    """Bytes that remain, and the most that were taken, over n steps after warm ones.

    Python keeps freed objects in lists of its own, which count until they are full; a collection would empty them.
    """
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(warm):
            step()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(n):
            step()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    return after - before, peak - before


BUFFERS = 4 * 8192 * 4 + 8192  # of four float32 operands at most

CASES = [
    *((["model.activation='relu'", f"optimizer.name={name!r}"], 1) for name in sorted(OPTIMIZERS)),
    (["model.activation='tanh'", "model.keep_prob=0.8"], 1),
    (["model.batch_norm=true", "regularization={l1=0.1,l2=0.2}"], 3),
    (
        ["model.activation='leaky_relu'", "model.keep_prob=0.8", "optimizer.clip_norm=1.0", "optimizer.clip_value=0.1"],
        3,
    ),
    (["model.loss='sum_cross_entropy'", 'model.feature_map={name="rbf",count=100,gamma=0.1}'], 2),
]


@pytest.mark.parametrize(("overrides", "R"), CASES)
def test_a_warm_step_takes_no_memory(problem, overrides, R):
    """Gather, draw masks, run the plan, step: θ alone has 340 kB, the activations of a layer 512 kB."""
    p = problem("digits", "model.hidden=[256, 256]", "model.keep_prob=1.0", "training.batch_size=500", *overrides)
    replicas = [p.replica(np.arange(1000), number=number) for number in range(R)]
    stack = p.stack(Backend(), replicas, shared=p.shared_rows(Backend()))
    stack.run_epoch(1)
    index, _ = stack.epoch_rows(2)
    t = np.full((1, R), 17.0)
    coefficients = stack.stepper.coefficients(t, np.full((1, R), 0.001), stack.hyperparameters)[0]
    keys = stack.keys.copy()
    batch = stack._plans[500, True]

    def step():
        batch.buffer.gather(index[0])
        if batch.masks is not None:
            batch.masks.draw(keys, 5)
        batch.weigh(np)
        batch.plan.run()
        stack.stepper.step(coefficients)

    with np.errstate(all="ignore"):
        kept, peak = taken_by(step, warm=40, n=10)
    assert kept <= 1024
    assert peak <= BUFFERS < stack.theta[0].nbytes


def test_an_epoch_takes_what_its_order_needs_and_gives_it_back(problem):
    """Orders, coefficients and costs are a few numbers per row and step."""
    p = problem("digits", "model.hidden=[128, 64]", "training.batch_size=32")
    stack = p.stack(Backend(), [p.replica(np.arange(1024))])
    epoch = iter(range(1, 1000))
    kept, peak = taken_by(lambda: stack.run_epoch(next(epoch)), warm=5, n=3)
    assert kept <= 2048
    assert peak < 64 * 1024 + 5 * 8 * 1024
