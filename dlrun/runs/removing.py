"""Removing runs: their own files, and the folder where nothing else is in it."""

from __future__ import annotations

from pathlib import Path

from dlrun.errors import RunError
from dlrun.runs.files import TEMPORARY
from dlrun.runs.listing import CONFIG, RUNNING, list_runs
from dlrun.runs.names import LOCK, RUN_FILES, STACKS, TENSORBOARD
from dlrun.runs.summary import SUMMARY


def refuse_no_run(folder: Path) -> None:
    """RunError where the folder holds no run, or one that is being written."""
    if folder.is_symlink():
        raise RunError(f"{folder}: is a link; should be the folder of a run itself")
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such folder; should be the folder of a run")
    found = next((run for run in list_runs(folder) if run.folder == folder), None)
    if found is None:
        raise RunError(f"{folder}: holds no run (no {SUMMARY}, and no {CONFIG} beside a lock); nothing is removed")
    if found.status == RUNNING:
        raise RunError(f"{folder}: a dlrun process is writing to this folder; end it first")


def remove_run(folder: Path) -> list[str]:
    """Take the run's files away, links unfollowed, and the folder if it is empty then; what else is in it stays.

    The names of what stays. The summary goes first, so that a removal that is broken off leaves no run behind.
    """
    names = [SUMMARY, *(name for name in RUN_FILES if name != SUMMARY)]
    for name in names:
        _unlink(folder / name)
    events = [] if (folder / TENSORBOARD).is_symlink() else [f"{TENSORBOARD}/events.out.tfevents.*"]
    for pattern in (STACKS, TEMPORARY, *events):
        for path in sorted(folder.glob(pattern)):
            _unlink(path)
    _unlink(folder / LOCK)
    for path in (folder / TENSORBOARD, folder):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def _unlink(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
