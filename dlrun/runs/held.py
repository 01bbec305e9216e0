"""The lock of a run's folder as others see it: whether a process holds it, and holding it while a run is removed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlrun.errors import RunError
from dlrun.runs.names import LOCK


def is_held(lock: str | Path) -> bool:
    """Whether a process writes to the folder of this lock. Nothing is made, changed or waited for.

    It is asked for as a shared lock, so that two that look at the same time do not take each other for a run.
    """
    descriptor = _opened(lock)
    if descriptor is None:
        return False
    try:
        return not _take(descriptor, shared=True)
    finally:
        os.close(descriptor)


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder, where it has a lock. RunError where one is writing to it."""
    descriptor = _opened(folder / LOCK)
    try:
        if descriptor is not None and not _take(descriptor, shared=False):
            raise RunError(f"{folder}: a dlrun process is writing to this folder; end it first")
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _opened(lock: str | Path) -> int | None:
    """The lock's descriptor; None for a link, a pipe, a device or nothing, which no run made."""
    try:
        if not stat.S_ISREG(os.lstat(lock).st_mode):
            return None
        return os.open(lock, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None


def _take(descriptor: int, *, shared: bool) -> bool:
    """Whether the lock could be had at once."""
    try:
        import fcntl
    except ImportError:  # no Unix
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True
