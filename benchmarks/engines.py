"""The compiled engine beside NumPy's kernels: epochs of stacks, and whole commands. Writes results/engines.md, .json.

python -m benchmarks.engines [--rounds 9] [--case TEXT]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.report import machine, save, table
from benchmarks.rounds import AS_USED, ROOT
from dlrun.backend import Backend
from dlrun.nn.network import Architecture
from dlrun.training.replica import Replica
from dlrun.training.rows import Normalization, RowStore
from dlrun.training.stack import Stack, StackSettings

EngineName = Literal["numpy", "compiled"]
ENGINES: tuple[EngineName, ...] = ("numpy", "compiled")


@dataclass(frozen=True)
class Case:
    """Replicas of a network, each trained on all of `rows` rows in batches of `batch`, by Adam."""

    name: str
    widths: tuple[int, ...]
    batch: int
    rows: int
    replicas: int = 1
    threads: int = 1
    activation: str = "relu"
    extras: bool = False  # batch normalization and dropout

    def stack(self, engine: EngineName) -> Stack:
        random = np.random.default_rng(0)
        d, C, R = self.widths[0], self.widths[-1], self.replicas
        hidden = self.widths[1:-1]
        net = Architecture(
            inputs=d,
            outputs=C,
            loss="cross_entropy",
            hidden=hidden,
            activation=self.activation,
            batch_norm=self.extras,
            dropout=(self.extras,) * len(hidden),
        )
        X, y = random.standard_normal((self.rows, d)), np.eye(C)[random.integers(0, C, self.rows)]
        scaling = Normalization(np.zeros((R, d)), np.zeros((R, d)), np.ones((R, d)), np.zeros((R, C)), np.ones((R, C)))
        backend = Backend(engine=engine)
        store = RowStore(backend, X, y, scaling.take(np.array([0])), net.dtype, shared=R > 1)
        every = np.arange(self.rows)
        keep = (0.9,) * len(hidden) if self.extras else (1.0,) * len(hidden)
        replicas = [Replica(number=number, seed=1, train=every, keep_prob=keep) for number in range(R)]
        found = Stack(backend, net, StackSettings(batch_size=self.batch), store, scaling, replicas)
        found.cores = self.threads
        return found


CASES = (
    Case("2-8-2, batch 64", (2, 8, 2), 64, 6400),
    Case("30-32-2, batch 32", (30, 32, 2), 32, 3200),
    Case("30-32-2, tanh, batch normalization, dropout", (30, 32, 2), 32, 3200, activation="tanh", extras=True),
    Case("64-128-64-10, batch 64", (64, 128, 64, 10), 64, 6400),
    Case("784-512-256-10, batch 128", (784, 512, 256, 10), 128, 1280),
    Case("30-32-2, batch 32, 100 replicas", (30, 32, 2), 32, 569, replicas=100),
    Case("30-32-2, batch 32, 100 replicas, 2 threads", (30, 32, 2), 32, 569, replicas=100, threads=2),
    Case("64-128-64-10, batch 64, 20 replicas", (64, 128, 64, 10), 64, 1797, replicas=20),
    Case("64-128-64-10, batch 64, 20 replicas, 2 threads", (64, 128, 64, 10), 64, 1797, replicas=20, threads=2),
)
COMMANDS = (
    ("train digits, 100 epochs", ["train", "digits", "--set", "training.epochs=100"]),
    ("crossval digits, 10 folds", ["crossval", "digits", "--folds", "10"]),
    ("crossval breast_cancer, 10 folds, 10 times", ["crossval", "breast_cancer", "--folds", "10", "--repeats", "10"]),
    ("bootstrap breast_cancer, 200 samples", ["bootstrap", "breast_cancer", "--samples", "200"]),
)


def epochs(case: Case, rounds: int) -> dict[str, list[float]]:
    """Seconds of a step of one replica, whole epochs over their steps, in turns."""
    stacks = {engine: case.stack(engine) for engine in ENGINES}
    found: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    began = time.perf_counter()
    assert stacks["compiled"].compiled is not None
    found["compiling"] = [time.perf_counter() - began]
    for engine in ENGINES:
        stacks[engine].run_epoch(1)
    steps = len(stacks["numpy"].step_counts) * case.replicas
    for round_ in range(rounds):
        for engine in ENGINES:
            least = np.inf
            for epoch in range(5):  # others share the machine: the least of five
                began = time.perf_counter()
                stacks[engine].run_epoch(2 + 5 * round_ + epoch)
                least = min(least, time.perf_counter() - began)
            found[engine].append(least / steps)
    return found


def command(words: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Seconds of whole processes, in turns."""
    found: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(rounds + 1):
            for engine in ENGINES:
                call = [sys.executable, "-m", "dlrun", *words, "--engine", engine, "--device", "cpu", "--quiet"]
                path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
                began = time.perf_counter()
                subprocess.run(
                    [*call, "--out", f"{folder}/{engine}", "--overwrite"],
                    check=True,
                    env={**os.environ, **AS_USED, "PYTHONPATH": path},
                    stdout=subprocess.DEVNULL,
                    cwd=folder,
                )
                if round_:  # the first reads everything from the disk
                    found[engine].append(time.perf_counter() - began)
    return found


def row(name: str, found: dict[str, list[float]], unit: float) -> list[str]:
    """A table row: medians, and the ratio within rounds with its quartiles."""
    ratios = [a / b for a, b in zip(found["numpy"], found["compiled"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    medians = [f"{statistics.median(found[engine]) / unit:.3g}" for engine in ENGINES]
    compiling = [f"{found['compiling'][0]:.2f}"] if "compiling" in found else []
    return [name, *medians, f"**{middle:.2f}** ({low:.2f} to {high:.2f})", *compiling]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--case", default="", help="only cases whose name has this text")
    options = parser.parse_args()
    raw: dict[str, Any] = {}
    steps, wholes = [], []
    with threadpool_limits(1):
        for case in CASES:
            if options.case in case.name:
                print(f"  {case.name} …", flush=True)
                raw[case.name] = epochs(case, options.rounds)
                steps.append(row(case.name, raw[case.name], 1e-6))
    for name, words in COMMANDS:
        if options.case in name:
            print(f"  {name} …", flush=True)
            raw[name] = command(words, max(3, options.rounds // 2))
            wholes.append(row(name, raw[name], 1.0))
    import llvmlite

    versions = {"numpy": np.__version__, "llvmlite": llvmlite.__version__}
    page = [
        "# Compiled steps beside NumPy's",
        "",
        machine(versions),
        "",
        "An epoch of a stack as `dlrun` trains it (order of rows, gathering, forward, backward, Adam), in float32,",
        "over its steps and replicas; BLAS on one thread. The engines take turns in one process; a round's figure is",
        "the least of five epochs. Times are medians over rounds; a ratio is NumPy's time over the compiled one's in",
        "the same round: median (quartiles). Above 1, compiled steps are faster.",
        "",
        *table(["network", "NumPy, µs", "compiled, µs", "ratio", "compiling, s"], steps),
        "",
        "Whole processes, from start to end, with compiling, measuring and writing:",
        "",
        *table(["command", "NumPy, s", "compiled, s", "ratio"], wholes),
        "",
    ]
    save("engines", "\n".join(page), raw)


if __name__ == "__main__":
    main()
