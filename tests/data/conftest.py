from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlrun.config.schema import DataConfig
from dlrun.data import Dataset, Table, load_dataset, load_table


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., Table]:
    """Writes a CSV file and reads it."""

    def read(content: str | bytes, **options: Any) -> Table:
        path = tmp_path / "t.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_table("t.csv", folder=tmp_path, **options)

    return read


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., Dataset]:
    """Writes a CSV file and loads it as the data of an experiment; or loads a named source."""

    def load(content: str | None = None, *, task: Any = None, seed: int = 0, **data: Any) -> Dataset:
        if content is not None:
            (tmp_path / "t.csv").write_text(content)
            data = {"source": "t.csv", "target": "y"} | data
        return load_dataset(DataConfig(**data), task=task, folder=tmp_path, seed=seed)

    return load
