"""Read event files without TensorBoard: the framing of the records, with both checksums, and the protocol buffers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected), bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """The rotation and offset that the record format stores a checksum under."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path: Path) -> Iterator[bytes]:
    """The records: length (8 bytes), its checksum (4), the data, its checksum (4), little-endian."""
    content = path.read_bytes()
    place = 0
    while place < len(content):
        length, length_check = struct.unpack_from("<QI", content, place)
        assert length_check == masked(crc32c(content[place : place + 8]))
        data = content[place + 12 : place + 12 + length]
        (data_check,) = struct.unpack_from("<I", content, place + 12 + length)
        assert data_check == masked(crc32c(data))
        yield data
        place += 16 + length


def events(folder: Path) -> list[Any]:
    """The events of the only event file in a folder."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.glob("events.out.tfevents.*")
    return [Event.FromString(record) for record in records(path)]
