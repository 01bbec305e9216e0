"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlrun.errors import RunError

TEMPORARY = ".*.dlrun-tmp"  # a pattern for the names of files that are being written


# What a file system without hard links answers to one.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


@contextmanager
def replacing(path: Path, *, keep: Path | None = None, follow: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` to write to; at the end it is synced to disk and renamed to `path`.

    When the block raises, `path` is as it was. With `keep`, what was at `path` is found there afterwards.
    A link that the user names is followed: the file that it points to is replaced. In a run's folder none is, which is
    what `follow` is for.
    A path that exists and is no regular file (a pipe,
    /dev/stdout) cannot be replaced and is written to directly.
    """
    target = path.resolve() if follow else path.parent.resolve() / path.name
    if path.exists() and not path.is_file():  # by its own name: what a pipe resolves to is no path
        yield path
        return
    temporary = _temporary(target)
    try:
        yield temporary
        sync(temporary)
        if keep is not None and target.exists():
            _keep(target, keep)
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)  # a write does not tell its file, and nobody knows the temporary one
        raise
    sync(target.parent)


def refuse_other_kind(path: Path, *begins: bytes, what: str) -> None:
    """RunError where `path` is a file that does not begin as what is to be written there does, and would be lost."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head and not head.startswith(begins):
        raise RunError(f"{path}: this file is no {what}, and would be lost; remove it, or give another --out")


def refuse_link(path: Path) -> None:
    """RunError where a file that the user did not name himself would be written through a link."""
    if path.is_symlink():
        raise RunError(
            f"{path}: is a link, and nothing is written through one that was not named; remove it, or name a file "
            "with --out"
        )


def write_whole(path: Path, content: str | bytes, *, follow: bool = True) -> None:
    """Write `content` (text as UTF-8) to `path` through `replacing`."""
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    with replacing(path, follow=follow) as temporary:
        temporary.write_bytes(data)


def _keep(path: Path, name: Path) -> None:
    """Give the file a second name, in place of the file that has it. It never lacks its own, where there are links."""
    link = _temporary(name)
    try:
        os.link(path, link)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.replace(path, name)
        return
    try:
        os.replace(link, name)
    finally:
        link.unlink(missing_ok=True)  # it stays where both were names of one file already


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.dlrun-tmp")


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
