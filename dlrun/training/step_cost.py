"""How long a training step takes, from the sizes of a network: for dividing replicas, and for planning a run.

    seconds of a step of R replicas = calls·c + R·(products·p + operations/f + bytes/b)

c is the time of a call of a kernel that has nothing to do, p that of one small matrix in a stack of them, f
operations and b bytes per second of one core. `TYPICAL` holds round numbers for the present generation of machines;
`measure_machine` takes those of the machine it runs on, in some ten milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dlrun.nn.network import Architecture
from dlrun.optim.optimizers import OPTIMIZERS
from dlrun.training.replica import Replica, Rows

RECORD_CALLS = 40  # Python between two epochs, for each replica, in calls


@dataclass(frozen=True)
class Machine:
    """One core: seconds of a call, seconds of a small matrix product, operations and bytes per second."""

    call: float
    product: float
    operations: float
    bytes: float


TYPICAL = Machine(call=0.9e-6, product=0.1e-6, operations=100e9, bytes=17e9)


@dataclass(frozen=True)
class StepCost:
    """What a step of one replica takes: kernels called (once for all replicas), small products, operations, bytes."""

    calls: float
    products: float
    operations: float
    bytes: float

    def seconds(self, replicas: int, machine: Machine = TYPICAL) -> float:
        """Of one step of a stack."""
        return self.calls * machine.call + replicas * self.each(machine)

    def each(self, machine: Machine = TYPICAL) -> float:
        """The part that every replica adds."""
        return self.products * machine.product + self.operations / machine.operations + self.bytes / machine.bytes


def step_cost(net: Architecture, optimizer: str, rows: int, *, training: bool = True) -> StepCost:
    """Of a batch of so many rows: forward, and in training backward and the update."""
    itemsize = np.dtype(net.dtype).itemsize
    layers = len(net.products)
    units = sum(net.widths[1:])
    sweeps = 3 if training else 1
    normalized = bool(net.statistics)
    passes = sweeps * (3 + 4 * normalized) + 4 * any(net.dropout)  # over activations
    slots = len(OPTIMIZERS[optimizer].slots)
    state = (4 + 3 * slots) * net.parameters if training else 0
    if net.layers is not None:  # windows are copied, and added back
        units += sum(m * k for m, k, _ in net.products)
    mapped = 6 * net.widths[0] if net.feature_map is not None else 0
    row = 5 * (net.inputs + net.outputs + 2) + passes * units + mapped
    return StepCost(
        calls=(4 + 3.7 * layers) * sweeps + 10 * normalized * layers + 2 * (net.l2 + net.l1) * layers,
        products=sweeps * layers + 2 * training,
        operations=2.0 * sweeps * rows * sum(m * k * n for m, k, n in net.products),
        bytes=itemsize * (state + rows * row),
    )


@dataclass(frozen=True)
class TrainingCost:
    """The whole training of replicas of one kind: steps of an epoch, what watches each of them, the answers."""

    step: StepCost
    steps: int
    epochs: int
    look: StepCost
    watched: int
    answered: int

    @classmethod
    def of(
        cls, net: Architecture, optimizer: str, batch_rows: int, replicas: Sequence[Replica], rows: Sequence[Rows]
    ) -> TrainingCost:
        """Of replicas in batches of so many rows, each of which answers its `rows` at the end."""
        longest = max(len(r.train) for r in replicas)
        height = min(128, longest)
        return cls(
            step=step_cost(net, optimizer, batch_rows),
            steps=-(-longest // batch_rows),
            epochs=max(r.epochs for r in replicas),
            look=step_cost(net, optimizer, height, training=False),
            watched=-(-max(len(r.dev) for r in replicas) // height),
            answered=-(-max(len(part) for part in rows) // height),
        )

    def seconds(self, replicas: int, machine: Machine = TYPICAL) -> float:
        """Of one stack on one core, if no replica leaves early."""
        look = self.look.seconds(replicas, machine)
        between = RECORD_CALLS * machine.call * (replicas + 1)
        epoch = self.steps * self.step.seconds(replicas, machine) + self.watched * look + between
        return self.epochs * epoch + 2 * self.answered * look


def measure_machine() -> Machine:
    """The four numbers of the core that this runs on, each the best of several tries."""
    small, row = np.ones((2, 3, 4), np.float32), np.ones((2, 1, 4), np.float32)
    call = _best(partial(np.add, small, row, np.empty_like(small)), 200)
    many = np.ones((100, 8, 8), np.float32)
    product = max(_best(partial(np.matmul, many, many, np.empty_like(many)), 5) - call, 0.0) / len(many)
    a, b = np.ones((4, 64, 128), np.float32), np.full((4, 128, 64), 0.5, np.float32)
    of_products = _best(partial(np.matmul, a, b, np.empty((4, 64, 64), np.float32)), 5)
    units = np.ones((8, 64, 32), np.float32)
    of_units = _best(partial(np.maximum, units, 0, out=np.empty_like(units)), 20)
    return Machine(
        call=call,
        product=product,
        operations=2 * 4 * 64 * 128 * 64 / of_products,
        bytes=2 * units.nbytes / of_units,
    )


def _best(call: Callable[[], object], times: int, tries: int = 8) -> float:
    """Seconds of a call; the best of several tries, for others may be using the machine."""
    best = np.inf
    for _ in range(tries):
        began = time.perf_counter()
        for _ in range(times):
            call()
        best = min(best, (time.perf_counter() - began) / times)
    return float(best)
