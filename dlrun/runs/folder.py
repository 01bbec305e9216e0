"""The folder that a run owns: claimed by one process at a time, its files written whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dlrun.errors import RunError
from dlrun.runs.csv_files import CsvFile
from dlrun.runs.files import TEMPORARY, sync, write_whole
from dlrun.runs.integrity import FILES, digests, refuse_odd_files
from dlrun.runs.json_text import to_json
from dlrun.runs.names import LOCK, RUN_FILES, STACKS

if TYPE_CHECKING:
    from filelock import BaseFileLock


class RunFolder:
    """A claimed folder, held until it is closed. Use it in a `with` block.

    A folder that this run made and left empty (it failed before its first file) is removed again.
    """

    def __init__(self, path: Path, *, made: bool) -> None:
        self.path = path
        self._made = made
        self._lock = _locked(path)

    def file(self, name: str) -> Path:
        """The path of a file in this folder."""
        path = self.path / name
        if path.is_symlink():  # made since the folder was claimed
            raise RunError(f"{path}: is a link; nothing is written through it")
        return path

    def write_text(self, name: str, text: str) -> None:
        """A file that appears whole or not at all."""
        write_whole(self.file(name), text, follow=False)

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """A JSON file that appears whole or not at all."""
        write_whole(self.file(name), to_json(data), follow=False)

    def write_summary(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """`summary.json`, the last file of a run, with the SHA-256 of the others; what is in it."""
        whole = {**data, FILES: digests(self.path)}
        self.write_json("summary.json", whole)
        return whole

    def csv(self, name: str, columns: Sequence[str], *, append: bool = False) -> CsvFile:
        """A CSV file to write row by row."""
        return CsvFile(self.file(name), columns, append=append, follow=False)

    def close(self) -> None:
        """Let go of the folder."""
        _sweep(self.path)  # the run's processes have ended, and may have been ended while they wrote
        if self._made and not _contents(self.path):
            with suppress(OSError):  # another process may just have begun to look at it
                self.file(LOCK).unlink(missing_ok=True)
                self.path.rmdir()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def claim_run_folder(
    *,
    out: Path | None,
    name: str,
    command: str,
    overwrite: bool = False,
    resume: bool = False,
    root: Path = Path("runs"),
) -> RunFolder:
    """The folder for one run of `command` on the experiment `name`.

    `out` is used as it is, and made where it is missing; left out, the next free `root/name/command-NNN` is
    taken. A folder that holds anything is refused, unless `overwrite` (the files of the earlier run are
    removed, others stay) or `resume` (nothing is removed). Raises `RunError` for a folder that is not
    empty, no folder at all, nothing to resume, or held by another process.
    """
    if out is None:
        if resume:
            raise RunError("--resume needs --out DIR, the folder of the run to go on with")
        return RunFolder(_next_folder(root / folder_name(name), command), made=True)
    made = _make(out)
    refuse_odd_files(out)
    if not made and not (out / LOCK).exists():
        _check(out, overwrite=overwrite, resume=resume)  # no run's folder: not even a lock is left in it
    folder = RunFolder(out, made=made)
    try:
        _check(out, overwrite=overwrite, resume=resume)
        if overwrite and not resume:
            _clear(out)
        _sweep(out)
    except BaseException:
        folder.close()
        raise
    return folder


def folder_name(name: str) -> str:
    """An experiment's name as one safe part of a path."""
    cleaned = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:100]
    return cleaned or "experiment"


def _next_folder(parent: Path, command: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    pattern = re.compile(re.escape(command) + "-([0-9]{1,9})")
    taken = [int(match[1]) for entry in parent.iterdir() if (match := pattern.fullmatch(entry.name))]
    number = max(taken, default=0)
    while True:
        number += 1
        path = parent / f"{command}-{number:03d}"
        try:
            path.mkdir()  # atomic: of two runs that start together one gets it, the other the next
        except FileExistsError:
            continue
        return path


def _make(path: Path) -> bool:
    """Make the folder where it is missing; whether it was."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        if not path.is_dir():
            raise RunError(f"{path}: is a file, where --out needs a folder") from None
        return False
    except NotADirectoryError:
        raise RunError(f"{path}: a part of this path is a file, where --out needs a folder") from None
    return True


def _clear(path: Path) -> None:
    """Remove the files of an earlier run, and what a killed one left half written."""
    for name in RUN_FILES:
        (path / name).unlink(missing_ok=True)
    for pattern in (STACKS, "tensorboard/events.out.tfevents.*", TEMPORARY):
        for leftover in sorted(path.glob(pattern)):
            leftover.unlink(missing_ok=True)
    sync(path)


def _sweep(path: Path) -> None:
    """Remove checkpoints that a killed process left half written."""
    for leftover in path.glob(".checkpoint" + TEMPORARY[1:]):
        leftover.unlink(missing_ok=True)


def _contents(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.name != LOCK)


def _holds_a_run(path: Path) -> bool:
    """Whether a run was here, finished or not. Other programs too have a config.toml."""
    names = [LOCK, *(name for name in RUN_FILES if name != "config.toml")]
    return any((path / name).exists() for name in names) or any(any(path.glob(each)) for each in (STACKS, TEMPORARY))


def _check(path: Path, *, overwrite: bool, resume: bool) -> None:
    """RunError where there is nothing to resume, or something in the way."""
    if resume:
        if not (path / "config.toml").is_file():
            raise RunError(f"{path}: no run to resume: there is no config.toml in this folder")
    elif overwrite and (contents := _contents(path)) and not _holds_a_run(path):
        raise RunError(
            f"{path}: the folder holds other files ({', '.join(contents[:3])}{', …' if len(contents) > 3 else ''}) and "
            "no run that --overwrite could replace; should be another --out"
        )
    elif not overwrite and (contents := _contents(path)):
        raise RunError(
            f"{path}: the folder is not empty (it holds {', '.join(contents[:3])}"
            f"{', …' if len(contents) > 3 else ''}); "
            "give --overwrite to replace the run in it, or another --out"
        )


def _locked(path: Path) -> BaseFileLock:
    from filelock import FileLock, Timeout

    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"{path}: another dlrun process is writing to this folder; wait for it or give another --out"
        ) from None
    return lock
