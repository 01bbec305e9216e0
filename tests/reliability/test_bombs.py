"""Files that declare, or unfold to, more than a memory holds are refused before it is taken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from reliability import measured
from reliability.bombs import BOMBS, write

MOST_BYTES = 50_000_000
MOST_SECONDS = 1.0


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each bomb made of a process that began with a sound table."""
    folder = tmp_path_factory.mktemp("bombs")
    a, y = np.arange(12.0), np.arange(12) % 2
    np.savez(folder / "sound.npz", a=a, y=y)
    pyarrow.parquet.write_table(pyarrow.table({"a": a, "y": y, "t": list("uvw") * 4}), folder / "sound.parquet")
    paths = [str(write(name, folder)) for name in BOMBS]
    program = [sys.executable, measured.__file__, str(folder / "sound"), *paths]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=True, cwd=folder)
    lines = map(json.loads, done.stdout.splitlines())
    assert {path.name for path in folder.iterdir()} == {*BOMBS, "sound.npz", "sound.parquet", "runs"}
    return {Path(line["path"]).name: line for line in lines}


def test_there_are_at_least_20_bombs() -> None:
    assert len(BOMBS) >= 20


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name: str, readings: dict[str, dict[str, Any]]) -> None:
    reading = readings[name]
    assert reading["status"] == 2, reading
    assert name in reading["told"]
    assert "an error in dlrun itself" not in reading["told"]
    assert reading["bytes"] < MOST_BYTES
    assert reading["seconds"] < MOST_SECONDS
