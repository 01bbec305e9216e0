"""Runs made up file by file, so that what a picture must show is known."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from plots.made_runs import METRICS, Draw, MakeRun, Rows

from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.picture import drawn
from dlrun.reporting.plots.source import Source, open_source
from dlrun.runs.csv_files import CsvFile


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`make_run("a", {"command": "train"}, **{"metrics.csv": (columns, rows)})` gives the folder."""

    def make(name: str, summary: dict[str, Any], **tables: tuple[Sequence[str], Rows]) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for file, (columns, rows) in tables.items():
            with CsvFile(folder / file, columns) as csv:
                csv.write_rows(rows)
        (folder / "summary.json").write_text(json.dumps({"name": name, **summary}), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def draw() -> Draw:
    """Draws a kind from folders and lays it out, which is when matplotlib warns."""

    @contextmanager
    def call(kind: str, *folders: Path, **options: Any) -> Iterator[Figure]:
        sources: list[Source] = [open_source(folder) for folder in folders]
        with drawn(kind, sources, Options(**options)) as figure:
            figure.draw_without_rendering()
            yield figure

    return call


@pytest.fixture
def train_run(make_run: MakeRun) -> Path:
    """Two replicas over three epochs: train costs 3, 2, 1 and 5, 4, 3; one dev cost is not finite."""
    rows: list[Sequence[Any]] = []
    for replica, first in enumerate((3.0, 5.0)):
        for epoch in (1, 2, 3):
            cost = first - epoch + 1
            rows.append((replica, epoch, 10 * epoch, "train", 0.1 / epoch, cost, cost / 10, cost + 0.5))
            dev = float("inf") if (replica, epoch) == (0, 3) else cost + 1
            rows.append((replica, epoch, 10 * epoch, "dev", 0.1 / epoch, dev, cost / 5, None))
    summary = {"command": "train", "task": "classification", "loss": "cross_entropy", "best_epoch": 2, "epochs": 3}
    return make_run("curves", summary, **{"metrics.csv": (METRICS, rows)})
