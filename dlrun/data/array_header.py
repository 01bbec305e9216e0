"""The header in front of an array's bytes, in .npy files and in the members of .npz ones, read without believing it."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np

from dlrun.data.values import cut

_MOST_BYTES = 10_000  # of a header; NumPy too parses no longer one, but reads it first
_READERS = {
    (1, 0): (np.lib.format.read_array_header_1_0, "<H"),
    (2, 0): (np.lib.format.read_array_header_2_0, "<L"),
}


def read_array_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is by column (Fortran order), and type; `file` stands at the first value afterwards.

    ValueError for what is no header of an array of numbers or texts.
    """
    version = np.lib.format.read_magic(file)
    if version not in _READERS:
        raise ValueError(f"array format {version}")
    read, width = _READERS[version]
    size = file.read(struct.calcsize(width))
    if len(size) < struct.calcsize(width):
        raise ValueError("it ends in its header")
    (length,) = struct.unpack(width, size)
    if length > _MOST_BYTES:
        raise ValueError(f"its header is {length} bytes long")
    try:
        shape, by_column, dtype = read(io.BytesIO(size + file.read(length)))
    except Exception as error:  # NumPy says in many ways that a header is none
        raise ValueError(f"its header is none: {cut(str(error))}") from None
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    return tuple(int(count) for count in shape), bool(by_column), dtype
