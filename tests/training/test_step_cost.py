"""The expected time of a step: by its parts, and beside the clock."""

from __future__ import annotations

import time

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.nn.network import Architecture
from dlrun.training.stacking import divide
from dlrun.training.step_cost import Machine, TrainingCost, measure_machine, step_cost


def net(*hidden, inputs=30, outputs=1, **options):
    return Architecture(inputs=inputs, outputs=outputs, loss="squared_error", hidden=hidden, **options)


def test_the_operations_are_those_of_three_products_a_layer():
    """Forward, and backward to the weights and to the inputs: 2·B·n_in·n_out each."""
    found = step_cost(net(64, 32), "adam", 50)
    assert found.operations == 3 * 2 * 50 * (30 * 64 + 64 * 32 + 32 * 1)
    assert step_cost(net(64, 32), "adam", 50, training=False).operations == found.operations / 3


def test_every_part_costs_its_price():
    cost = step_cost(net(16), "adam", 32)
    free = Machine(call=0, product=0, operations=np.inf, bytes=np.inf)
    for name, amount in (("call", cost.calls), ("product", 10 * cost.products)):
        priced = Machine(**{**vars(free), name: 1.0})
        assert cost.seconds(10, priced) == pytest.approx(amount)
    assert cost.seconds(10, Machine(0, 0, 1e9, np.inf)) == pytest.approx(10 * cost.operations / 1e9)
    assert cost.seconds(10, Machine(0, 0, np.inf, 1e9)) == pytest.approx(10 * cost.bytes / 1e9)


def test_more_work_takes_longer():
    small = step_cost(net(16), "gradient_descent", 32)
    for other in (
        step_cost(net(17), "gradient_descent", 32),
        step_cost(net(16), "adam", 32),
        step_cost(net(16), "gradient_descent", 33),
        step_cost(net(16, batch_norm=True), "gradient_descent", 32),
        step_cost(net(16, dtype="float64"), "gradient_descent", 32),
    ):
        assert other.seconds(5) > small.seconds(5)


def test_a_second_process_pays_where_there_is_work_enough(problem):
    """200 models for 50 epochs do; three of five epochs do not."""

    def plan(models, epochs):
        p = problem("breast_cancer", "model.hidden=[32]", f"training.epochs={epochs}")
        replicas = [p.replica(np.arange(500), number=number) for number in range(models)]
        rows = [np.arange(500, 569)] * models
        cost = TrainingCost.of(p.architecture(replicas), "adam", 32, replicas, rows)
        return divide(models, 40_000, Backend(), 2, seconds=cost.seconds)

    assert (plan(200, 50).jobs, len(plan(200, 50).groups)) == (2, 2)
    assert (plan(3, 5).jobs, len(plan(3, 5).groups)) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "overrides", "models"),
    [
        ("breast_cancer", ("model.hidden=[32]", "training.batch_size=32"), 10),
        ("digits", ("model.hidden=[128, 64]", "training.batch_size=64"), 4),
        ("iris", ("model.hidden=[8]",), 50),
    ],
)
def test_a_step_takes_about_what_is_expected(problem, name, overrides, models):
    """Within a factor of 2 on a quiet machine; of 3 here, where others may be at work in the same caches."""
    p = problem(name, *overrides)
    n = len(p.dataset)
    replicas = [p.replica(np.arange(n - n // 10), number=number) for number in range(models)]
    stack = p.stack(Backend(), replicas)
    stack.run_epoch(1)
    expected = step_cost(stack.net, p.settings().optimizer, stack.batch_rows()).seconds(models, measure_machine())
    taken, steps = np.inf, len(stack.step_counts)
    for epoch in range(2, 10):
        began = time.thread_time()  # on a busy machine the clock on the wall would tell of others' work
        stack.run_epoch(epoch)
        taken = min(taken, (time.thread_time() - began) / steps)
    assert expected / 3 < taken < expected * 3
