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
from pathlib import Path
from typing import Any

from dlrun.errors import RunError
from dlrun.runs import pictures

LOCK = ".lock"
TENSORBOARD = "tensorboard"
FILES = "files"  # the key of summary.json
_OWN_ENDINGS = (".csv", ".toml", ".json", ".jsonl", ".safetensors", ".html", ".png", ".svg")
_SMALL, _LARGE = 1 << 26, 1 << 36  # bytes: of what is read as a text in one piece, and of tables and models
# Written into a run's folder later than its summary, or taken away with it.
_LATER = ("report.html", "summary.json", *pictures.FILES)


def refuse_odd_files(folder: Path) -> None:
    """RunError for a file of a run, or its lock, that is a link, no plain file, or far larger than such files are.

    The folder itself may be a link: the user named it.
    """
    for path, facts in _entries(folder):
        if stat.S_ISLNK(facts.st_mode):
            raise RunError(
                f"{path}: is a link; should be a plain file of the run, since what is written to it, or read from it, "
                "would be another's. Remove it, or name another folder"
            )
        if path.name == TENSORBOARD and stat.S_ISDIR(facts.st_mode):
            refuse_odd_files(path)
        elif not stat.S_ISREG(facts.st_mode):
            raise RunError(
                f"{path}: is {_kind(facts.st_mode)}; should be a plain file of the run. Remove it, or name another "
                "folder"
            )
        most = _SMALL if path.suffix in (".toml", ".json") else _LARGE
        if facts.st_size > most:
            raise RunError(f"{path}: is {facts.st_size} bytes long; a file of a run should have at most {most}")


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """What a run may have written here, in the order of the names."""
    events = folder.name == TENSORBOARD
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return  # no folder: whoever needs one says so
    for name in names:
        if events or name in (LOCK, TENSORBOARD) or name.endswith(_OWN_ENDINGS):
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
    files = summary.get(FILES)
    for name, digest in sorted(files.items()) if isinstance(files, dict) else ():
        path = folder / Path(str(name)).name
        if path.is_file() and _digest(path) != digest:
            raise RunError(
                f"{path}: has changed since the run wrote it: its SHA-256 is not the one in summary.json. Restore it, "
                "or run the experiment again; --no-verify reads it as it is"
            )


def of_this_run(folder: Path, summary: Mapping[str, Any]) -> bool:
    """Whether the run that the summary tells of has the folder's config.toml, as far as it says."""
    files = summary.get(FILES)
    digest = files.get("config.toml") if isinstance(files, dict) else None
    return digest is None or digest == _digest(folder / "config.toml")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
