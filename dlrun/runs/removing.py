"""Removing runs: their own files, and the folder where nothing else is in it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dlrun.errors import RunError
from dlrun.runs.files import TEMPORARY
from dlrun.runs.held import holding
from dlrun.runs.listing import CONFIG, run_in
from dlrun.runs.names import LOCK, RUN_FILES, STACKS, TENSORBOARD
from dlrun.runs.summary import SUMMARY


def refuse_no_run(folder: Path) -> None:
    """RunError where the folder holds no run, or one that is being written."""
    if folder.is_symlink():
        raise RunError(f"{folder}: is a link; should be the folder of a run itself")
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "there is no such folder"
        raise RunError(f"{folder}: {what}; should be the folder of a run")
    with holding(folder):
        if run_in(folder) is None:
            raise RunError(
                f"{folder}: holds no run (no {SUMMARY}, and no {CONFIG} beside a lock or a checkpoint); "
                "nothing is removed"
            )


def remove_run(folder: Path) -> list[str]:
    """Take the run's files away, links unfollowed, and the folder if it is empty then; what else is in it stays.

    The names of what stays. The summary goes first, so that a removal that is broken off leaves no run behind that
    passes for finished; the lock is held until the end. RunError where a process writes to the folder by now.
    """
    with holding(folder):
        names = [SUMMARY, *(name for name in RUN_FILES if name != SUMMARY)]
        for name in names:
            _unlink(folder / name)
        events = [] if (folder / TENSORBOARD).is_symlink() else [f"{TENSORBOARD}/events.out.tfevents.*"]
        for pattern in (STACKS, TEMPORARY, *events):
            for path in sorted(folder.glob(pattern)):
                _unlink(path)
        _unlink(folder / LOCK)
        for path in (folder / TENSORBOARD, folder):
            if path.is_dir() and not path.is_symlink():
                with suppress(OSError):  # other files are in it, or it is where the shell stands
                    path.rmdir()
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def _unlink(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
