"""Training on a table larger than a process should hold: `python -m benchmarks.large_data [--rows N] [--rounds N]`.

Five million rows of 20 float32 features, split 99.5/0.25/0.25, a network 20-32-1 in mini-batches of 1 000: from an NPY
file and from a Parquet file as they lie, and from memory. Each training is a process of its own; what it reports are
the seconds of its phases and the most memory that it held. Then: what a batch costs if rows are read one by one in the
order of a global permutation, and in windows; and what a CSV file of 300 MB takes, which is read as a whole.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.make_large_data import blocks, write_npy, write_parquet
from benchmarks.report import machine, save, table

BATCH = 1000
MODES = {
    "NPY, streamed": ("big.npy", True),
    "Parquet, streamed": ("big.parquet", True),
    "NPY, in memory": ("big.npy", False),
}


def peak() -> int:
    """The most memory that this process held, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def train(source: Path, stream: bool) -> dict[str, float]:
    """One training of two epochs, in this process."""
    from threadpoolctl import threadpool_limits

    from dlrun.backend import Backend
    from dlrun.config.schema import Experiment
    from dlrun.data import load_dataset
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun

    experiment = Experiment.model_validate(
        {
            "data": {
                "source": str(source),
                "target": "20",
                "stream": stream,
                "split": {"train": 0.995, "dev": 0.0025, "test": 0.0025},
            },
            "model": {"hidden": [32]},
            "training": {"batch_size": BATCH, "epochs": 2},
        }
    )
    clock = [time.perf_counter()]
    data = load_dataset(experiment.data, task=None, folder=Path(), seed=0)
    clock.append(time.perf_counter())
    with threadpool_limits(1, user_api="blas"):
        run = TrainRun(Problem(experiment, data), Backend())
        assert run.stack is not None
        clock.append(time.perf_counter())
        epochs = []
        for epoch in (1, 2):
            start = time.perf_counter()
            run.stack.run_epoch(epoch)
            epochs.append(time.perf_counter() - start)
        start = time.perf_counter()
        figures = run._prepared().evaluator.figures([run.split.train])
        measure = time.perf_counter() - start
    return {
        "load": clock[1] - clock[0],
        "prepare": clock[2] - clock[1],
        "epoch": min(epochs),
        "measure": measure,
        "rows": len(run.split.train),
        "peak": peak(),
        "cost": figures[0].cost,
    }


def command(source: Path, stream: bool) -> dict[str, float]:
    """`dlrun train` for an epoch, as a user runs it."""
    from dlrun.cli.app import run

    overrides = [
        f"data.stream={str(stream).lower()}",
        "data.split={train=0.995, dev=0.0025, test=0.0025}",
        "model.hidden=[32]",
        f"training.batch_size={BATCH}",
        "training.epochs=1",
        "training.early_stopping=",
    ]
    start = time.perf_counter()
    sets = [f"--set={text}" for text in overrides]
    out = str(source.parent / "run")
    assert run(["train", "--data", str(source), "--target", "20", *sets, "--out", out, "--overwrite", "--quiet"]) == 0
    return {"seconds": time.perf_counter() - start, "peak": peak()}


def read_csv(source: Path) -> dict[str, float]:
    """A CSV file, read as a whole."""
    from dlrun.config.schema import DataConfig
    from dlrun.data import load_dataset

    start = time.perf_counter()
    load_dataset(DataConfig(source=str(source), target="20"), task=None, folder=Path(), seed=0)
    return {"seconds": time.perf_counter() - start, "peak": peak(), "size": source.stat().st_size}


def orders(source: Path) -> dict[str, float]:
    """Milliseconds for the rows of a batch: one by one and in windows, from the system's cache and from the disk."""
    row = 21 * 4
    rows = (source.stat().st_size - 128) // row
    window, block = 199 * BATCH, 1560
    random = np.random.default_rng(0)
    descriptor = os.open(source, os.O_RDONLY)
    room = memoryview(bytearray(window * row))

    def scattered(batches: int) -> float:
        start = time.perf_counter()
        for _ in range(batches):
            for number in random.integers(0, rows, BATCH).tolist():
                os.preadv(descriptor, [room[:row]], 128 + number * row)
        return (time.perf_counter() - start) / batches

    def windowed(windows: int) -> float:
        start = time.perf_counter()
        for _ in range(windows):
            for number in np.sort(random.choice(rows // block, window // block, replace=False)).tolist():
                os.preadv(descriptor, [room[: block * row]], 128 + number * block * row)
        return (time.perf_counter() - start) / (windows * window / BATCH)

    def forget() -> None:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    while os.pread(descriptor, 1 << 24, os.lseek(descriptor, 1 << 24, os.SEEK_CUR) - (1 << 24)):
        pass  # into the cache
    found = {"one by one, cached": scattered(50), "windows, cached": windowed(10)}
    forget()
    found["one by one, from the disk"] = scattered(5)
    forget()
    found["windows, from the disk"] = windowed(3)
    os.close(descriptor)
    return {name: 1000 * seconds for name, seconds in found.items()}


WORK = {"train": train, "command": command, "csv": read_csv, "orders": orders}


def apart(work: str, *arguments: Any) -> dict[str, float]:
    """The work in a fresh process."""
    task = json.dumps([work, *map(str, arguments)])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.large_data", "--work", task], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def write_csv(path: Path, rows: int) -> None:
    """The same table as text, with six digits."""
    with path.open("w", encoding="ascii") as file:
        file.write(",".join(map(str, range(21))) + "\n")
        for block in blocks(rows):
            np.savetxt(file, block, fmt="%.6g", delimiter=",")


def measure(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """All figures; the least of the rounds for a time, the most for memory."""
    write_npy(folder / "big.npy", rows)
    write_parquet(folder / "big.parquet", rows)
    raw: dict[str, Any] = {"rows": rows, "rounds": rounds, "training": {}, "command": {}}
    for number in range(rounds):
        for mode, (name, stream) in MODES.items():
            for work, place in (("train", "training"), ("command", "command")):
                found = apart(work, folder / name, stream)
                known = raw[place].setdefault(mode, found)
                for key, value in found.items():
                    known[key] = max(known[key], value) if key == "peak" else min(known[key], value)
                print(f"{number + 1}/{rounds} {mode}, {work}: {found}", file=sys.stderr)
    raw["orders"] = apart("orders", folder / "big.npy")
    write_csv(folder / "big.csv", rows // 3)
    raw["csv"] = apart("csv", folder / "big.csv")
    return raw


def page(raw: dict[str, Any]) -> str:
    """The figures as Markdown."""
    head = [
        "",
        "rows/s in training",
        "epoch",
        "measuring all rows",
        "reading, hashing",
        "split, scaling",
        "most memory",
    ]
    rows = [
        [
            mode,
            f"{each['rows'] / each['epoch'] / 1e6:.2f} million",
            f"{each['epoch']:.2f} s",
            f"{each['measure']:.2f} s",
            f"{each['load']:.1f} s",
            f"{each['prepare']:.1f} s",
            f"{each['peak'] / 1e6:.0f} MB",
        ]
        for mode, each in raw["training"].items()
    ]
    commands = [
        [mode, f"{each['seconds']:.1f} s", f"{each['peak'] / 1e6:.0f} MB"] for mode, each in raw["command"].items()
    ]
    costs = {each["cost"] for each in raw["training"].values()}
    same = "equal to the last bit in all three" if len(costs) == 1 else f"different: {sorted(costs)}"
    csv = raw["csv"]
    lines = [
        "# Data larger than memory",
        "",
        f"`python -m benchmarks.large_data`: {raw['rows']:,} rows of 20 float32 features and a class, of which 99.5 % "
        f"are trained on, 20-32-1 (ReLU), Adam, batches of {BATCH}; `benchmarks/make_large_data.py` writes the files, "
        f"seed 0. Each line is of processes of their own, the least time and the most memory of {raw['rounds']}. The "
        f"cost on the training rows after two epochs is {same}.",
        "",
        *table(head, rows),
        "",
        "The whole command for one epoch, `dlrun train --data big.npy --target 20 …`, with the figures of all parts "
        "after the epoch and again at the end:",
        "",
        *table(["", "seconds", "most memory"], commands),
        "",
        "What it costs to read the rows of one batch of 1 000, and so why an epoch's order is shuffled in two levels "
        "(docs/large-data.md). *One by one* is the order of a global permutation; *from the disk*: after the system "
        "was told to forget the file.",
        "",
        *table(["", "a batch"], [[name, f"{value:.3f} ms"] for name, value in raw["orders"].items()]),
        "",
        f"A CSV file of {csv['size'] / 1e6:.0f} MB ({raw['rows'] // 3:,} rows), which is read as a whole, takes "
        f"{csv['seconds']:.0f} s and {csv['peak'] / 1e6:.0f} MB until the data set stands.",
        "",
        machine({name: version(name) for name in ("numpy", "pandas", "pyarrow")}),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work, path, *rest = json.loads(given.work)
        print(json.dumps(WORK[work](Path(path), *(text == "True" for text in rest))))  # type: ignore[operator]
        return
    with tempfile.TemporaryDirectory() as folder:
        raw = measure(Path(folder), given.rows, given.rounds)
    save("large_data", page(raw), raw)
    print(page(raw))


if __name__ == "__main__":
    main()
