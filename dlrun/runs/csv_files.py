"""CSV files: UTF-8, a header, RFC 4180 quoting, full-precision numbers, and complete rows only."""

from __future__ import annotations

import hashlib
import numbers
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dlrun.errors import RunError

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$')
_BLOCK = 1 << 16
Mark = tuple[int, str]  # bytes of a file, and their SHA-256


def csv_cell(value: Any) -> str:
    """One field, quoted where RFC 4180 asks for it.

    Floats keep every digit (the shortest text that reads back as the same number of the same width); None
    is an empty field; bools are true and false. Text that a spreadsheet would run as a formula (it begins
    with = + - @, a tab or a line break, and is no number) gets an apostrophe in front.
    """
    kind = type(value)  # the most frequent kinds first: a bootstrap writes a hundred thousand rows
    if kind is float or kind is int:
        return repr(value)
    if kind is str and value.isalnum():
        return str(value)
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(_defused(value))
    if hasattr(value, "dtype") and value.dtype.kind == "b":
        value = bool(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return str(value)  # of a NumPy scalar too: repr would say np.float32(…)
    return _quoted(_defused(str(value)))


def csv_line(cells: Sequence[Any]) -> str:
    """A row with its line break."""
    line = ",".join(map(csv_cell, cells))
    return (line or '""') + "\n"  # one empty field must not look like an empty line


def _defused(text: str) -> str:
    if text.startswith(_FORMULA_STARTS) and not _PLAIN_NUMBER.fullmatch(text):
        return "'" + text
    return text


def _quoted(text: str) -> str:
    if _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


class CsvFile:
    """A CSV file that grows row by row and never holds half a row, also after a full disk or a kill.

    Each row reaches the file in one write; one that fails part of the way is cut off again. With `append`
    rows are added to an existing file with the same header, and an incomplete last row of it is dropped.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, append: bool = False, follow: bool = True) -> None:
        """Where it is not to `follow` a link, OSError for one."""
        self._path = path
        self._width = len(columns)
        header = csv_line(columns).encode()
        self._size = _complete_size(path, header) if append and path.exists() else 0
        self._hash = hashlib.sha256(path.read_bytes()[: self._size] if self._size else b"")
        self._file = open(path, "r+b" if self._size else "wb", buffering=0, opener=_opener(follow))  # noqa: SIM115 (closed by close)
        try:
            if self._size:
                self._file.truncate(self._size)
                self._file.seek(self._size)
            else:
                self._append(header)
        except BaseException:
            self._file.close()
            raise

    def write(self, *cells: Any) -> None:
        """One row, in the file when this returns."""
        self._append(self._line(cells))

    def write_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Many rows, written in blocks of whole rows."""
        block: list[bytes] = []
        held = 0
        for cells in rows:
            block.append(self._line(cells))
            held += len(block[-1])
            if held >= _BLOCK:
                self._append(b"".join(block))
                block, held = [], 0
        self._append(b"".join(block))

    @property
    def size(self) -> int:
        """Bytes in the file: the header and all complete rows."""
        return self._size

    @property
    def mark(self) -> Mark:
        """How many bytes the file has, and their SHA-256: by these a resumed run knows the file as its own."""
        return self._size, self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _line(self, cells: Sequence[Any]) -> bytes:
        if len(cells) != self._width:
            raise ValueError(f"{self._path}: a row of {len(cells)} cells under {self._width} columns")
        return csv_line(cells).encode(errors="backslashreplace")  # a lone surrogate has no UTF-8

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException as error:
            with suppress(OSError):  # a pipe and a device have no size
                self._file.truncate(self._size)
                self._file.seek(self._size)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = os.fspath(self._path)  # a write does not tell which file it was
            raise
        self._size += len(data)
        self._hash.update(data)


def _opener(follow: bool) -> Callable[[str, int], int]:
    return lambda path, flags: os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def check_mark(path: Path, mark: Mark) -> None:
    """RunError where the file does not begin with the bytes that it had when it was marked."""
    size, digest = mark
    with suppress(FileNotFoundError), path.open("rb") as file:
        if hashlib.sha256(file.read(size)).hexdigest() == digest:
            return
    raise RunError(
        f"{path}: its first {size} bytes are not those that the run wrote before its checkpoint; start again with "
        "--overwrite"
    )


def _complete_size(path: Path, header: bytes) -> int:
    """Bytes of `path` up to the end of its last complete row; 0 where not even the header is complete."""
    content = path.read_bytes()
    if not content.startswith(header):
        if header.startswith(content):
            return 0
        found = content.split(b"\n", 1)[0].decode(errors="replace")
        raise RunError(
            f"{os.fspath(path)}: cannot be continued: its header is {found!r}, not {header.decode().rstrip()!r}"
        )
    return _last_row_end(content)


def _last_row_end(content: bytes) -> int:
    """The end of the last line break outside quotes."""
    end = quotes = start = 0
    for match in re.finditer(b"\n", content):
        quotes += content.count(b'"', start, match.end())
        start = match.end()
        if quotes % 2 == 0:
            end = match.end()
    return end
