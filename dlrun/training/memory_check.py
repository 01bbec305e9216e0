"""Whether a batch fits the memory of the device, asked before it is tried (C6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlrun.backend import Backend
from dlrun.data.values import memory_bytes, show_bytes
from dlrun.errors import MachineError
from dlrun.nn.network import Architecture
from dlrun.optim.optimizers import OPTIMIZERS
from dlrun.training.replica import Replica

if TYPE_CHECKING:
    from dlrun.training.stack import StackSettings

UNQUESTIONED = 64_000_000  # bytes that any machine has; below, the system is not even asked


def replica_bytes(net: Architecture, optimizer: str, batch_rows: int) -> int:
    """Bytes that one replica's training step touches: θ, gradient and state, and a batch's activations twice."""
    itemsize = np.dtype(net.dtype).itemsize
    rows = 2 + len(OPTIMIZERS[optimizer].slots)
    return itemsize * (rows * net.parameters + batch_rows * _row_values(net))


def _row_values(net: Architecture) -> int:
    """Numbers that a row of a batch takes: what is gathered, and of each layer z, a and their gradients."""
    windows = sum(m * k for m, k, _ in net.products) if net.layers is not None else 0
    return net.inputs + net.outputs + 2 + 4 * sum(net.widths[1:]) + 2 * windows


def _asked(net: Architecture) -> str:
    """The key that makes the network as large as it is."""
    return f"model.hidden = {list(net.hidden)}" if net.layers is None else f"model.layers, {len(net.layers)} of them"


def available_memory(backend: Backend) -> int:
    """Bytes that may still be taken where the backend computes."""
    if backend.name != "cpu":
        return backend.free_memory()
    total = memory_bytes()
    return min(total, *_readings(total))


def _readings(total: int) -> list[int]:
    """What the system and the container say is left, each as far as it can be read."""
    found = [total]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            found += [1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable:")]
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = int(file.read())
        with open("/sys/fs/cgroup/memory.stat", encoding="ascii") as file:
            used = {name: int(value) for name, value in (line.split() for line in file)}
        found.append(max(0, limit - used.get("anon", 0)))
    except (OSError, ValueError):  # another system, or no limit
        pass
    return found


def refuse_oversize(
    backend: Backend, net: Architecture, settings: StackSettings, company: Sequence[Replica], replicas: int
) -> None:
    """MachineError if not even one replica's batch fits the memory; MemoryError if `replicas` together do not.

    The second is what a machine says that runs out of memory: a stack is then halved.
    """
    rows = max(len(r.train) for r in company)
    batch = rows if settings.batch_size is None else min(settings.batch_size, rows)
    each = replica_bytes(net, settings.optimizer, batch)
    if each * replicas <= UNQUESTIONED:
        return
    free = available_memory(backend)
    if each * replicas <= free:
        return
    if each <= free:
        raise MemoryError(f"{replicas} replicas take {each * replicas} bytes, and {free} are free")
    batch_bytes = batch * _row_values(net) * np.dtype(net.dtype).itemsize
    most = int(0.9 * batch * (free - (each - batch_bytes)) / batch_bytes)
    has = f"takes {show_bytes(each)} with batches of {batch} rows, and the {backend.name} has {show_bytes(free)} free"
    if most < 1:
        parameters = f"its {net.parameters} parameters with their gradient and state are too many"
        raise MachineError(f"{_asked(net)}: a step {has}; {parameters}")
    asked = '"full"' if settings.batch_size is None else batch
    raise MachineError(f"training.batch_size = {asked}: a step {has}; should be {most} or less")
