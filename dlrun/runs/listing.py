"""All runs below a folder, each from its summary and its config.toml, without loading any of it into a model.

Thousands are read in a second: config.toml is taken line by line as dlrun writes it, since only the texts of its values
are compared. Nothing is followed out of the folder, and nothing in it is believed: what cannot be read is a row too.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlrun.errors import RunError
from dlrun.runs.names import LOCK
from dlrun.runs.summary import SUMMARY

CONFIG = "config.toml"
_MOST_BYTES = 1 << 26  # of a summary or an experiment
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


def _below(folder: Path) -> Iterator[ListedRun]:
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        found: dict[str, os.stat_result] = {}
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif entry.name in (SUMMARY, CONFIG, LOCK):
                        found[entry.name] = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # a folder that may not be read, or has gone
        if SUMMARY in found or (CONFIG in found and LOCK in found):
            yield _run(here, found)


def _run(folder: Path, found: Mapping[str, os.stat_result]) -> ListedRun:
    last = found[SUMMARY if SUMMARY in found else CONFIG]
    try:
        settings = _settings(_text(folder / CONFIG, found[CONFIG])) if CONFIG in found else {}
        if SUMMARY not in found:
            status = RUNNING if _locked(folder / LOCK) else INTERRUPTED
            command = _begun_by(folder / CONFIG)
            name = _unquoted(settings.get("name", ""))
            return ListedRun(folder, status, last.st_mtime, name=name, command=command, settings=settings)
        summary = json.loads(_text(folder / SUMMARY, found[SUMMARY]))
        low, error, high = _figures(summary)
        return ListedRun(
            folder,
            DIVERGED if summary.get("status") == DIVERGED else FINISHED,
            last.st_mtime,
            name=str(summary.get("name") or ""),
            command=str(summary.get("command") or ""),
            error=error,
            low=low,
            high=high,
            seconds=_number(summary.get("seconds")),
            settings=settings,
        )
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return ListedRun(folder, DAMAGED, last.st_mtime)


def _text(path: Path, facts: os.stat_result) -> str:
    """A plain file's text. ValueError for a link, a pipe, a device, or a file of absurd size."""
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MOST_BYTES:
        raise ValueError(f"{path} is no plain file of a sensible size")
    return path.read_text(encoding="utf-8")


@lru_cache(maxsize=10_000)  # folds of one experiment, repeated, have one text
def _settings(text: str) -> Mapping[str, str]:
    """Dotted keys with the texts of their values."""
    found: dict[str, str] = {}
    table = ""
    for line in text.splitlines():
        key, equals, value = line.partition(" = ")
        if equals:
            found[table + key.strip('"')] = value
        elif line[:1] == "[" and line[-1:] == "]":
            table = f"{line[1:-1]}."
    return found


def _begun_by(config: Path) -> str:
    """The command at the head of config.toml, `# dlrun crossval …`; those of a training and a search have none."""
    with config.open(encoding="utf-8", errors="replace") as file:
        words = file.readline(1000).split()
    if words[:2] == ["#", "dlrun"] and len(words) > 2:
        return words[2]
    return "tune" if (config.parent / "journal.jsonl").exists() else "train"


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
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _unquoted(text: str) -> str:
    with suppress(ValueError):
        read = json.loads(text)  # a basic string of TOML, as dlrun writes them
        return read if isinstance(read, str) else text
    return text


def _locked(path: Path) -> bool:
    """Whether a process holds the lock; nothing is made or changed."""
    try:
        import fcntl
    except ImportError:  # no Unix
        return False
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
