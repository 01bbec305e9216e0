"""What a picture is drawn from: the folder of a run, or a single CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.data.values import memory_bytes, show_bytes
from dlrun.errors import RunError
from dlrun.records import counted
from dlrun.reporting.plots.names import label
from dlrun.runs.summary import read_summary

FloatArray = npt.NDArray[np.float64]
_UNFOLDED = 8  # bytes in memory of a byte of a table, about: most cells are short
SHORT = 27  # characters of a name in a legend; of a long path the end tells runs apart

# The tables that runs leave, and the columns by which a CSV file of any name is known to be one.
TABLES: dict[str, tuple[str, ...]] = {
    "metrics.csv": ("replica", "epoch", "step", "split", "cost", "error"),
    "predictions.csv": ("row", "repeat", "fold", "target", "prediction"),
    "folds.csv": ("repeat", "fold", "n_train", "n_test", "error"),
    "replicates.csv": ("sample", "oob_error"),
    "trials.csv": ("trial", "status", "score", "epochs"),
    "gradcheck.csv": ("parameter", "relative_difference", "verdict"),
    "epsilon_sweep.csv": ("epsilon",),
    "learning_curve.csv": ("rows", "train_error", "dev_error"),
    "layers.csv": ("initialization", "layer", "spread", "gradient_norm"),
    "steps.csv": ("replica", "epoch", "step", "batch_cost"),
    "assignments.csv": ("row", "cluster", "distance"),
    "elbow.csv": ("clusters", "inertia", "silhouette"),
    "starts.csv": ("clusters", "start", "inertia"),
    "path.csv": ("step", "learning_rate", "cost"),
}


@dataclass(frozen=True, eq=False)
class Columns:
    """A table of texts, read column by column as what is asked for."""

    path: Path
    texts: Mapping[str, Sequence[str]]

    def __contains__(self, name: str) -> bool:
        return name in self.texts

    def __len__(self) -> int:
        return len(next(iter(self.texts.values()), ()))

    def text(self, name: str) -> npt.NDArray[np.str_]:
        """The column as texts, (n,)."""
        if name not in self.texts:
            raise RunError(f"{self.path}: there is no column {name!r}; it has {', '.join(self.texts)}")
        return np.array(self.texts[name], dtype=np.str_)

    def numbers(self, name: str) -> FloatArray:
        """The column as numbers, (n,), NaN where it is empty."""
        texts = self.text(name)
        found = np.full(len(texts), np.nan)
        for i, each in enumerate(texts.tolist()):
            try:
                found[i] = float(each) if each else np.nan
            except ValueError:
                raise RunError(
                    f"{self.path}, row {i + 1}, column {name!r}: {each!r} is no number; the file is damaged"
                ) from None
        return found

    def numeric(self, name: str) -> bool:
        """Whether every value is a number or empty, and there is a number."""
        try:
            return bool(np.isfinite(self.numbers(name)).any())
        except RunError:
            return False


@dataclass(frozen=True)
class Source:
    """One run. `command` and `summary` are those of summary.json, empty for a CSV file by itself.

    called, name  what it is called among several: as it was given, and as it may stand in a picture
    """

    path: Path
    called: str
    command: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    alone: Mapping[str, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return label(self.called if len(self.called) <= SHORT else f"…{self.called[-SHORT:]}")

    @property
    def is_folder(self) -> bool:
        return not self.alone

    def file(self, name: str) -> Path:
        """Where this file of the run is, or would be."""
        return self.alone.get(name, self.path / name)

    def has(self, name: str, *columns: str) -> bool:
        """Whether the run left this file, with these columns in it and a row at least."""
        if not (self.file(name).is_file() if self.is_folder else name in self.alone):
            return False
        if not name.endswith(".csv"):
            return True
        table = self.table(name)
        return len(table) > 0 and all(column in table for column in columns)

    def table(self, name: str) -> Columns:
        """A table of the run; RunError where there is none, or it is damaged or lacks a column it should have."""
        cache = self._tables
        if name not in cache:
            cache[name] = read_columns(self.file(name))
        for column in TABLES.get(name, ()):
            cache[name].text(column)
        return cache[name]

    @cached_property
    def _tables(self) -> dict[str, Columns]:
        return {}

    @property
    def title(self) -> str:
        """The experiment's name, else the folder's or file's."""
        return label(self.summary.get("name") or self.path.stem)


def open_source(path: Path, name: str | None = None, *, check: bool = True) -> Source:
    """The run in this folder, or the CSV file of this name; RunError says what is wrong with it.

    `name` is what it is called among several; left out, its path. With `check`, its files are as the run left them.
    """
    called = str(path) if name is None else name
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise RunError(f"{path}: should be the folder of a run, or a .csv file that a command of dlrun wrote")
        return Source(path, called, alone={_kind_of(path): path})
    if not path.is_dir():
        raise RunError(f"{path}: there is no such folder; should be the folder of a run")
    summary = read_summary(path, check=check)
    return Source(path, called, str(summary.get("command") or ""), summary)


def read_columns(path: Path) -> Columns:
    """All columns of a CSV file as texts, numbers that are not finite included, as a diverged run leaves them.

    RunError for one that is damaged, or that the memory cannot hold.
    """
    try:
        if (size := path.stat().st_size) > memory_bytes() // _UNFOLDED:
            raise RunError(
                f"{path}: is {show_bytes(size)} long, which is too much for the {show_bytes(memory_bytes())} of memory "
                "that there are here"
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such file in this run") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise RunError(f"{path}: damaged: {error}") from None
    if not rows:
        raise RunError(f"{path}: the file is empty")
    header, body = rows[0], rows[1:]
    if odd := next((i for i, row in enumerate(body, 1) if len(row) != len(header)), None):
        found, wanted = counted(len(body[odd - 1]), "field"), counted(len(header), "column")
        raise RunError(f"{path}, row {odd}: {found} under {wanted}; it is damaged")
    columns = zip(*body, strict=True) if body else [()] * len(header)
    return Columns(path, dict(zip(header, columns, strict=True)))


def _kind_of(path: Path) -> str:
    """Which of the tables this file is, by its header; or a smoothed series."""
    header = set(read_columns(path).texts)
    fitting = [name for name, columns in TABLES.items() if header.issuperset(columns)]
    if "path.csv" in fitting and not any(column.startswith("gradient_") for column in header):
        fitting.remove("path.csv")
    if fitting:
        return path.name if path.name in fitting else max(fitting, key=lambda name: len(TABLES[name]))
    if any("_beta_" in column for column in header):
        return "smoothed.csv"
    raise RunError(
        f"{path}: nothing to plot: no command of dlrun writes a table of such columns ({', '.join(sorted(header)[:8])})"
    )
