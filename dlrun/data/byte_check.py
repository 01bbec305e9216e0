"""A first look at the bytes of a text file: is it text, is it UTF-8, is it plain?"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from dlrun.errors import DataError

_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 26  # a parser holds the whole line several times
_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; save it as CSV (UTF-8)",
    b"\x1f\x8b": "a gzip archive; unpack it first (gunzip)",
    b"PAR1": "a Parquet file; name it .parquet",
    b"\xff\xfe": 'UTF-16 text; save it as UTF-8 ("CSV UTF-8" in a spreadsheet)',
    b"\xfe\xff": 'UTF-16 text; save it as UTF-8 ("CSV UTF-8" in a spreadsheet)',
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV (UTF-8)",
}


@dataclass(frozen=True)
class TextFacts:
    """The size in bytes, and whether no quote or carriage return complicates the lines."""

    size: int
    plain: bool


def check_bytes(path: Path, *, name: str) -> TextFacts:
    """Read the file once; raises DataError naming byte and line if it is not UTF-8 text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    size, lines, plain, line_size = 0, 1, True, 0
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            if size == 0:
                _check_magic(block, name)
            if (at := block.find(b"\0")) >= 0:
                line = lines + block.count(b"\n", 0, at)
                raise DataError(
                    f"{name}, line {line}: a NUL byte at position {size + at}; this is binary data and not a CSV "
                    "table; save the table as CSV (UTF-8)."
                )
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                _refuse(error, name, offset=size - pending, lines=lines)
            line_size = _tail(block, line_size)
            if line_size > _LONGEST_LINE:
                line = lines + block.count(b"\n")
                raise DataError(
                    f"{name}, line {line}: the line is longer than {_LONGEST_LINE} bytes; "
                    "a table in CSV needs a line for each row."
                )
            plain = plain and b'"' not in block and b"\r" not in block
            size += len(block)
            lines += block.count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        _refuse(error, name, offset=size - len(decoder.getstate()[0]), lines=lines)
    return TextFacts(size, plain)


def _tail(block: bytes, before: int) -> int:
    """The bytes since the last end of a line, `before` of them in front of the block."""
    end = max(block.rfind(b"\n"), block.rfind(b"\r"))
    return before + len(block) if end < 0 else len(block) - end - 1


def _check_magic(block: bytes, name: str) -> None:
    for magic, remedy in _MAGIC.items():
        if block.startswith(magic):
            raise DataError(f"{name} is no CSV text but {remedy}.")


def _refuse(error: UnicodeDecodeError, name: str, *, offset: int, lines: int) -> None:
    """`error.object` is what was pending and the block: its bytes begin at `offset` of the file."""
    byte = error.object[error.start]
    line = lines + error.object.count(b"\n", 0, error.start)
    raise DataError(
        f"{name}, line {line}: byte 0x{byte:02x} at position {offset + error.start} is not UTF-8 (perhaps "
        'Latin-1 or Windows-1252); save the file as UTF-8, for example with "iconv -f latin1 -t utf-8".'
    ) from None
