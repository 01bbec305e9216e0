"""What the pages of a Parquet file say they unfold to: their headers alone, walked through without reading a value.

A page is preceded by a header in Thrift's compact protocol: field 2 is its size when unfolded, field 3 its size in
the file (parquet.thrift, PageHeader). The footer repeats the sum of these, but nothing makes it tell the truth.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

_UNFOLDED, _STORED = 2, 3
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 7, 8, 12
_DEEPEST = 8  # structs within structs; PageHeader has three


def page_bytes(path: Path, facts: Any) -> int:
    """The bytes that all pages together unfold to, `facts` being the footer's metadata.

    Raises ValueError for a page that lies outside the file or has no such header.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        total = 0
        for group in range(facts.num_row_groups):
            for number in range(facts.num_columns):
                chunk = facts.row_group(group).column(number)
                offsets = (chunk.dictionary_page_offset, chunk.data_page_offset)
                start = min((at for at in offsets if at), default=0)  # 0 and None: there is no such page
                total += _chunk_bytes(data, start, chunk.total_compressed_size)
            if hasattr(mmap, "MADV_DONTNEED"):
                data.madvise(mmap.MADV_DONTNEED)  # what was read lies all over the file, and counts as memory
    return total


def _chunk_bytes(data: mmap.mmap, start: int, size: int) -> int:
    """The sum over the pages of one column of one group of rows."""
    at, end, total = start, start + size, 0
    if start < 0 or size < 0 or end > len(data):
        raise ValueError("a column lies outside the file")
    while at < end:
        fields, at = _struct(data, at, 0)
        unfolded, stored = fields.get(_UNFOLDED, -1), fields.get(_STORED, -1)
        if unfolded < 0 or stored < 0:
            raise ValueError("a page says no size")
        total += unfolded
        at += stored
    return total


def _struct(data: mmap.mmap, at: int, depth: int) -> tuple[dict[int, int], int]:
    """The whole numbers of a struct by field, and where it ends."""
    if depth > _DEEPEST:
        raise ValueError("a page's header lies too deep in itself")
    fields: dict[int, int] = {}
    field = 0
    while True:
        head = _byte(data, at)
        at += 1
        if head == 0:
            return fields, at
        kind, step = head & 15, head >> 4
        if step:
            field += step
        else:
            number, at = _varint(data, at)
            field = _signed(number)
        if kind in (_TRUE, _FALSE):
            continue
        if _BYTE < kind < _DOUBLE:
            number, at = _varint(data, at)
            fields[field] = _signed(number)
        else:
            at = _skip(data, at, kind, depth)


def _skip(data: mmap.mmap, at: int, kind: int, depth: int) -> int:
    """Where a value that is no whole number ends."""
    if kind == _BYTE:
        return at + 1
    if kind == _DOUBLE:
        return at + 8
    if kind == _BINARY:
        size, at = _varint(data, at)
        return at + size
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)[1]
    raise ValueError("a page's header holds what none does")  # PageHeader has no list, set or map


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = _byte(data, at)
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at
        if shift > 63:
            raise ValueError("a page's header holds a number without end")


def _signed(number: int) -> int:
    """Zigzag: 0, −1, 1, −2, …"""
    return (number >> 1) ^ -(number & 1)


def _byte(data: mmap.mmap, at: int) -> int:
    if at >= len(data):
        raise ValueError("a page lies outside the file")
    return data[at]
