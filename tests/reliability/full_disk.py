"""A disk that is full at a chosen write: every way in which the package writes, flushes, renames or makes files.

The calls are counted in their order; `at` says which of them fails, as the operating system would have it fail.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Disk:
    """How many writes there were below `folder`, and which one fails (None: none)."""

    folder: Path
    at: int | None = None
    code: int = errno.ENOSPC
    partial: bool = False  # a failing write puts half of its bytes into the file first
    calls: list[str] = field(default_factory=list)

    def count(self, what: str, path: object) -> bool:
        """Whether this call is the one that fails."""
        if not str(path).startswith(str(self.folder)):
            return False
        self.calls.append(f"{what} {Path(str(path)).name}")
        return len(self.calls) - 1 == self.at

    def error(self, path: object) -> OSError:
        return OSError(self.code, os.strerror(self.code), str(path))


class _Failing:
    """A file whose writes are counted."""

    def __init__(self, file: Any, disk: Disk, path: str) -> None:
        self._file, self._disk, self._path = file, disk, path

    def write(self, data: Any) -> int:
        if self._disk.count("write", self._path):
            if self._disk.partial:
                self._file.write(data[: len(data) // 2])
            raise OSError(self._disk.code, os.strerror(self._disk.code))  # a write does not tell its file
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Any:
        self._file.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self._file)


@contextmanager
def filling(disk: Disk) -> Iterator[Disk]:
    """Within the block files below the disk's folder are written through it."""
    real_open, real_io = builtins.open, io.open

    def opening(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if isinstance(file, int) or not set(mode) & set("wax+"):
                return real(file, mode, *rest, **options)
            path = os.path.abspath(os.fspath(file))
            if disk.count("open", path):
                raise disk.error(path)
            opened = real(file, mode, *rest, **options)
            return _Failing(opened, disk, path) if path.startswith(str(disk.folder)) else opened

        return call

    def failing(name: str, real: Callable[..., Any], which: int = 0) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            path = arguments[which]
            if isinstance(path, int):
                path = os.readlink(f"/proc/self/fd/{path}")
            if name == "mkdir" and os.path.isdir(path):  # nothing is to be made
                return real(*arguments, **options)
            if name == "open" and not arguments[1] & os.O_CREAT:
                return real(*arguments, **options)
            if disk.count(name, os.path.abspath(path)):
                raise disk.error(path)
            return real(*arguments, **options)

        return call

    replaced = {name: getattr(os, name) for name in ("replace", "rename", "link", "fsync", "mkdir", "open")}
    try:
        builtins.open, io.open = opening(real_open), opening(real_io)
        for name, real in replaced.items():
            setattr(os, name, failing(name, real, 1 if name in ("replace", "rename", "link") else 0))
        yield disk
    finally:
        builtins.open, io.open = real_open, real_io
        for name, real in replaced.items():
            setattr(os, name, real)
