"""Runs of the same experiment leave the same bytes, also where tables are hashed in different orders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from reliability.running import Dlrun

CHANGES = {
    "iris": ("model.batch_norm=true", "model.keep_prob=0.8", "training.epochs=2"),
    "diabetes": ('model.feature_map={name="rbf",count=9,gamma=0.5}', "training.epochs=2"),
    "wine": ("model.kind=nearest_neighbor",),
}


FILES = ("model.safetensors", "metrics.csv", "config.toml")


def line(name: str, out: str) -> list[str]:
    """The command line of a short run."""
    options = [word for change in CHANGES[name] for word in ("--set", change)]
    return ["train", name, "--out", out, "--quiet", "--device", "cpu", *options]


@pytest.mark.parametrize("name", CHANGES)
def test_equal_runs_leave_equal_files(name: str, dlrun: Dlrun, here: Path) -> None:
    for out in "abc":
        assert dlrun(*line(name, out)).status == 0
    for file in FILES:
        assert len({(here / out / file).read_bytes() for out in "abc"}) == 1, file


def test_processes_that_hash_in_other_orders_leave_equal_files(tmp_path: Path) -> None:
    for seed in "12":
        program = [sys.executable, "-m", "dlrun", *line("iris", seed)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(program, cwd=tmp_path, env=environment, check=True, timeout=60)
    for file in FILES:
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes(), file
