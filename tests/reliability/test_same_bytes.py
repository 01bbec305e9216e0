"""Two runs of the same experiment leave the same bytes, in processes that hash their tables in different orders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHANGES = {
    "iris": ("model.batch_norm=true", "model.keep_prob=0.8", "training.epochs=2"),
    "diabetes": ('model.feature_map={name="rbf",count=9,gamma=0.5}', "training.epochs=2"),
    "wine": ("model.kind=nearest_neighbor",),
}


@pytest.mark.parametrize("name", CHANGES)
def test_equal_runs_leave_equal_files(name: str, tmp_path: Path) -> None:
    for seed in ("0", "1", "2"):
        program = [sys.executable, "-m", "dlrun", "train", name, "--out", seed, "--quiet", "--device", "cpu"]
        options = [word for change in CHANGES[name] for word in ("--set", change)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([*program, *options], cwd=tmp_path, env=environment, check=True, timeout=60)
    for file in ("model.safetensors", "metrics.csv", "config.toml"):
        assert len({(tmp_path / seed / file).read_bytes() for seed in ("0", "1", "2")}) == 1, file
