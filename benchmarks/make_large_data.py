"""Write a table larger than a process should hold: `python benchmarks/make_large_data.py big.npy --rows 5000000`.

20 columns of standard normal numbers in float32 and, as the last column, a class: the sign of a random function of
them with two layers, with one label in ten drawn at random. The same seed gives the same file. NPY by rows, or Parquet
in groups of 100 000 rows, after the ending of the name; neither is ever in memory as a whole.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

BLOCK = 100_000
FEATURES = 20

Block = npt.NDArray[np.float32]


def blocks(rows: int, features: int = FEATURES, seed: int = 0) -> Iterator[Block]:
    """The table, (100 000, features + 1) at a time; the target is the last column."""
    random = np.random.default_rng(seed)
    hidden = random.standard_normal((features, 8)) / np.sqrt(features)
    out = random.standard_normal(8)
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        block = np.empty((count, features + 1), np.float32)
        x = random.standard_normal((count, features), dtype=np.float32)
        label = np.maximum(x @ hidden, 0) @ out > 0.2
        noisy = random.random(count) < 0.1
        label[noisy] = random.random(int(noisy.sum())) < 0.5
        block[:, :-1], block[:, -1] = x, label
        yield block


def write_npy(path: Path, rows: int, *, seed: int = 0) -> None:
    """The header of a (rows, 21) float32 array, then its rows."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, FEATURES + 1)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks(rows, seed=seed):
            file.write(block.data)


def write_parquet(path: Path, rows: int, *, seed: int = 0) -> None:
    """The same columns, "0" to "20"."""
    import pyarrow
    import pyarrow.parquet

    names = [str(number) for number in range(FEATURES + 1)]
    schema = pyarrow.schema([(name, pyarrow.float32()) for name in names])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for block in blocks(rows, seed=seed):
            columns = [np.ascontiguousarray(column) for column in block.T]
            writer.write_table(pyarrow.table(columns, schema=schema), row_group_size=BLOCK)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write = write_parquet if given.path.suffix == ".parquet" else write_npy
    write(given.path, given.rows, seed=given.seed)


if __name__ == "__main__":
    main()
