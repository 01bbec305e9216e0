"""A run's folder, which may come from anybody, looked at before anything in it is read or written.

Its files are plain files of a sensible size, each with the content that the run gave it: `summary.json` has their
SHA-256. A link would lead what is written to another file of the user's, a pipe would be waited for, and a bit that has
changed in a model gives other figures in silence.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlrun.errors import RunError
from dlrun.runs import pictures
from dlrun.runs.names import LOCK, TENSORBOARD, is_of_a_run

FILES = "files"  # the key of summary.json
AS_IT_IS = "--no-verify reads it as it is"
# The most bytes of what is parsed in one piece, and of tables and models.
_MOST = {".toml": 1 << 26, ".json": 1 << 26, ".jsonl": 1 << 30}
_MOST_OTHERS = 1 << 36
# Written into a run's folder later than its summary, or taken away with it.
_LATER = ("report.html", "model.onnx", "summary.json", *pictures.FILES)


def refuse_odd_files(folder: Path) -> None:
    """RunError for a file of a run, or its lock, that is a link, no plain file, or far larger than such files are.

    The folder itself may be a link: the user named it. So may files in it that are no run's, which nothing reads or
    writes.
    """
    _refuse_odd(_entries(folder))


def _refuse_odd(entries: Iterator[tuple[Path, os.stat_result]]) -> None:
    for path, facts in entries:
        if stat.S_ISLNK(facts.st_mode):
            raise RunError(
                f"{path}: is a link; should be a plain file of the run, since what is written to it, or read from it, "
                "would be another's. Remove it, or name another folder"
            )
        if path.name.lower() == TENSORBOARD and stat.S_ISDIR(facts.st_mode):
            _refuse_odd(_entries(path, all_names=True))
            continue
        if not stat.S_ISREG(facts.st_mode):
            raise RunError(
                f"{path}: is {_kind(facts.st_mode)}; should be a plain file of the run. Remove it, or name another "
                "folder"
            )
        most = _MOST.get(path.suffix.lower(), _MOST_OTHERS)
        if facts.st_size > most:
            raise RunError(f"{path}: is {facts.st_size} bytes long; a file of a run should have at most {most}")


def _entries(folder: Path, *, all_names: bool = False) -> Iterator[tuple[Path, os.stat_result]]:
    """What a run may have written here, in the order of the names. OSError for a folder that may not be listed."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return  # whoever needs a folder says so
    for name in names:
        if all_names or is_of_a_run(name):
            with suppress(FileNotFoundError):  # another process may just have removed it
                yield folder / name, os.lstat(folder / name)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or a socket"


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that the run in the folder wrote, but checkpoints and what is written later."""
    return {
        path.name: _digest(path)
        for path, facts in _entries(folder)
        if stat.S_ISREG(facts.st_mode)
        and path.name not in (LOCK, *_LATER)
        and not path.name.startswith((".", "checkpoint"))
    }


def verify(folder: Path, summary: Mapping[str, Any]) -> None:
    """RunError naming the first file that is not as the run left it. A file that is gone is left to its reader."""
    files = summary.get(FILES, {})  # runs of before have none
    if not isinstance(files, dict):
        raise RunError(f"{folder / 'summary.json'}: damaged: its {FILES!r} is no object of digests; {AS_IT_IS}")
    for name, digest in sorted(files.items()):
        path = folder / Path(str(name)).name
        if is_of_a_run(path.name) and path.is_file() and _digest(path) != digest:
            raise RunError(
                f"{path}: has changed since the run wrote it: its SHA-256 is not the one in summary.json. Restore it, "
                f"or run the experiment again; {AS_IT_IS}"
            )


def of_this_run(folder: Path, summary: Mapping[str, Any]) -> bool:
    """Whether the run that the summary tells of has the folder's config.toml, as far as it says."""
    files = summary.get(FILES)
    digest = files.get("config.toml") if isinstance(files, dict) else None
    return digest is None or digest == _digest(folder / "config.toml")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
