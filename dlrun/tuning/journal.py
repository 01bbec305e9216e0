"""The journal of a search: a line for each trial, on the disk before the search goes on.

Each line is a JSON object {"record": …, "sha256": …}, the digest that of the record's text with sorted keys and no
spaces. Lines are only ever added. A last line that is incomplete or wrong is what a kill leaves; it is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dlrun.errors import RunError

NAME = "journal.jsonl"


class Journal:
    """Opens (with `resume`) or begins the journal at `path`; `records` are those that were there."""

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self.path = path
        self.records: list[dict[str, Any]] = []
        size = 0
        if resume and path.exists():
            self.records, size = read_journal(path)
        self._file = open(path, "r+b" if resume and path.exists() else "wb", buffering=0)  # noqa: SIM115
        self._file.truncate(size)
        self._file.seek(size)
        self._size = size

    def append(self, *records: Mapping[str, Any]) -> None:
        """Add a line for each record; they are on the disk when this returns, or none of them is in the file."""
        rest = memoryview(b"".join(map(_line, records)))
        whole = len(rest)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except BaseException as error:
            self._file.truncate(self._size)
            self._file.seek(self._size)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(self.path)  # a write does not tell which file it was
            raise
        self._size += whole

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records of a journal, and the bytes that they take. Raises RunError for a damaged line but the last."""
    lines = path.read_bytes().splitlines(keepends=True)
    records: list[dict[str, Any]] = []
    size = 0
    for number, line in enumerate(lines, start=1):
        record = _record(line)
        if record is None:
            if number == len(lines):
                break
            raise RunError(
                f"{path}, line {number}: damaged: its checksum does not hold, so the search cannot go on from it; "
                "start it again with --overwrite, or restore the file"
            )
        records.append(record)
        size += len(line)
    return records, size


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(_finite(record), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    """The value with null for numbers that are not finite, for which JSON has no word."""
    if isinstance(value, float):
        return value if -float("inf") < value < float("inf") else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _line(record: Mapping[str, Any]) -> bytes:
    text = _text(record)
    return f'{{"record":{text},"sha256":"{_digest(text)}"}}\n'.encode()


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None where the line is not whole."""
    try:
        held = json.loads(line)
        record, digest = held["record"], held["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    whole = line.endswith(b"\n") and isinstance(record, dict) and digest == _digest(_text(record))
    return record if whole else None
