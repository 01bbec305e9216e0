"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".*.dlrun-tmp"  # a pattern for the names of files that are being written


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; at the end it is synced to disk and renamed to `path`.

    When the block raises, `path` is as it was. A path that exists and is no regular file (a pipe,
    /dev/stdout) cannot be replaced and is written to directly.
    """
    target = path.resolve()  # through symbolic links: the file they point to is replaced, not the link
    if target.exists() and not target.is_file():
        yield path
        return
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.dlrun-tmp")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)  # a write does not tell its file, and nobody knows the temporary one
        raise
    _sync(target.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path` through `replacing`."""
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
