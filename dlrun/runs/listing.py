"""All runs below a folder, each from its summary and its config.toml, without loading any of it into a model.

Thousands are read in a second: config.toml is taken line by line as dlrun writes it, since only the texts of its values
are compared. Nothing is followed out of the folder, and nothing in it is believed: what cannot be read is a row too.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlrun.errors import RunError
from dlrun.runs.held import is_held
from dlrun.runs.names import LOCK, RUN_FILES, STACKS
from dlrun.runs.summary import SUMMARY

CONFIG = "config.toml"
_MOST_BYTES = 1 << 26  # of a summary or an experiment
_UNFOLLOWED = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
FINISHED, RUNNING, INTERRUPTED, DIVERGED, DAMAGED = "finished", "running", "interrupted", "diverged", "damaged"


@dataclass(frozen=True)
class ListedRun:
    """One run.

    when       its last change, in seconds since the epoch
    error      its main figure of error, with its interval where it has one
    settings   the dotted keys of its experiment, each with its value as TOML writes it
    """

    folder: Path
    status: str
    when: float
    name: str = ""
    command: str = ""
    error: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> str:
        """What it was trained on."""
        return _unquoted(self.settings.get("data.source", ""))

    def value(self, key: str) -> Any:
        """The value of a column, or of a setting as its text; None where it has none."""
        if key in COLUMNS:
            return getattr(self, key)
        return self.settings.get(key)


COLUMNS = ("folder", "name", "command", "when", "status", "data", "error", "low", "high", "seconds")


def list_runs(folder: Path) -> list[ListedRun]:
    """The runs below a folder at any depth, the oldest first. RunError where there is no such folder."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "there is no such folder"
        raise RunError(f"{folder}: {what}; should be a folder of runs, such as runs")
    return sorted(_below(folder), key=lambda run: (run.when, str(run.folder)))


def differing(runs: Sequence[ListedRun]) -> list[str]:
    """The settings in which the runs differ, in the order of the experiment file."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys if key != "name" and len({run.settings.get(key) for run in runs}) > 1]


def run_in(folder: Path) -> ListedRun | None:
    """The run in this folder itself; None where there is none. OSError for a folder that may not be read."""
    with os.scandir(folder) as entries:
        names = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    return _run(os.fspath(folder), names)


def _below(folder: Path) -> Iterator[ListedRun]:
    waiting = [os.fspath(folder)]
    while waiting:
        here = waiting.pop()
        names: dict[str, bool] = {}
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        names[entry.name] = entry.is_file(follow_symlinks=False)
        except OSError:
            continue  # a folder that may not be read, or has gone
        if (found := _run(here, names)) is not None:
            yield found


def _run(folder: str, names: Mapping[str, bool]) -> ListedRun | None:
    """The run that these files are of, each with whether it is a plain one; None where they are none's.

    Whether one is going on is told by its lock alone: a search that is extended begins in the folder of a finished one.
    """
    running = names.get(LOCK, False) and is_held(f"{folder}/{LOCK}")
    finished = SUMMARY in names
    if not (running or finished or (CONFIG in names and (LOCK in names or _checkpointed(names)))):
        return None
    status = RUNNING if running else FINISHED if finished else INTERRUPTED
    when = 0.0
    try:
        when = os.lstat(f"{folder}/{next(name for name in (SUMMARY, CONFIG, LOCK) if name in names)}").st_mtime
        config = _text(folder, CONFIG, names) if CONFIG in names else ""
        settings = _settings(config)
        if status != FINISHED:
            name, command = _unquoted(settings.get("name", "")), _begun_by(config, names)
            return ListedRun(Path(folder), status, when, name=name, command=command, settings=settings)
        summary = json.loads(_text(folder, SUMMARY, names))
        low, error, high = _figures(summary)
        return ListedRun(
            Path(folder),
            DIVERGED if summary.get("status") == DIVERGED else FINISHED,
            when,
            name=str(summary.get("name") or ""),
            command=str(summary.get("command") or ""),
            error=error,
            low=low,
            high=high,
            seconds=_number(summary.get("seconds")),
            settings=settings,
        )
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return ListedRun(Path(folder), RUNNING if running else DAMAGED, when)


def _checkpointed(names: Mapping[str, bool]) -> bool:
    return any(name.startswith("checkpoint") and (name in RUN_FILES or fnmatchcase(name, STACKS)) for name in names)


def _text(folder: str, name: str, names: Mapping[str, bool]) -> str:
    """A plain file's text. ValueError for a link, a pipe or a device, none of which is opened, or an absurd size."""
    if names[name]:
        descriptor = os.open(f"{folder}/{name}", _UNFOLLOWED)  # another file may have taken its place by now
        try:
            facts = os.fstat(descriptor)
            if stat.S_ISREG(facts.st_mode) and facts.st_size <= _MOST_BYTES:
                with open(descriptor, "rb", buffering=0, closefd=False) as file:
                    return file.read(facts.st_size).decode("utf-8")
        finally:
            os.close(descriptor)
    raise ValueError(f"{folder}/{name} is no plain file of a sensible size")


def _settings(config: str) -> Mapping[str, str]:
    """Dotted keys with the texts of their values."""
    found: dict[str, str] = {}
    for table in config.split("\n\n"):
        found.update(_table(table))
    return found


@lru_cache(maxsize=10_000)  # most tables of most runs have one text
def _table(text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    table = ""
    for line in text.splitlines():
        key, equals, value = line.partition(" = ")
        if equals and not line.startswith("#"):
            found[table + key.strip('"')] = value
        elif line[:1] == "[" and line[-1:] == "]":
            table = f"{line[1:-1]}."
    return found


def _begun_by(config: str, names: Mapping[str, bool]) -> str:
    """The command at the head of config.toml, `# dlrun crossval …`; those of a training and a search have none."""
    words = config.partition("\n")[0].split()
    if words[:2] == ["#", "dlrun"] and len(words) > 2:
        return words[2]
    if not config:
        return ""
    return "tune" if "journal.jsonl" in names else "train"


def _figures(summary: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    """Lower end, error and upper end: of folds, of .632+, of the best trial, or on the last part of a training."""
    command = summary.get("command")
    if command == "bootstrap" and summary.get("estimates"):
        found = summary["estimates"]["632plus"]
        return _number(found.get("ci_low")), _number(found.get("value")), _number(found.get("ci_high"))
    if command in ("crossval", "holdout") and summary.get("error"):
        found = summary["error"]
        return _number(found.get("ci_low")), _number(found.get("mean")), _number(found.get("ci_high"))
    if command == "tune" and summary.get("best"):
        return None, _number(summary["best"].get("score")), None
    figures = summary.get("figures")
    if command == "train" and isinstance(figures, dict):
        last = next((part for part in ("test", "dev", "train") if part in figures), None)
        return None, _number(figures[last]["error"]) if last else None, None
    return None, None, None


def _number(value: Any) -> float | None:
    """A finite number; None for anything else, which has no place among others and in no sum."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None  # of a whole number of any length too


def _unquoted(text: str) -> str:
    with suppress(ValueError):
        read = json.loads(text)  # a basic string of TOML, as dlrun writes them
        return read if isinstance(read, str) else text
    return text
