"""Files that say, or do, more than fits a memory. Each is small itself and made in a moment."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

GB = 1 << 30
MB = 1 << 20


# -- archives ---------------------------------------------------------------------------------------


@cache
def folded(size: int, byte: bytes = b"\0", head: bytes = b"") -> bytes:
    """`head` and `size` equal bytes in raw deflate: a megabyte's block is the same over and over."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(byte * MB) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (size // MB) + packer.flush()


def header(shape: str, descr: str = "'<f8'", version: int = 1) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust(-(-(len(text) + 11) // 64) * 64 - 11) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<L", len(text)) + text


def archive(*members: tuple[str, bytes, int], method: int = zipfile.ZIP_DEFLATED, shared: bool = False) -> bytes:
    """A zip of members already compressed: name, bytes, and the size that they are said to unfold to."""
    out, table, at = io.BytesIO(), io.BytesIO(), 0
    for number, (name, content, size) in enumerate(members):
        crc = zlib.crc32(zlib.decompress(content, -15)) if size <= 2 * MB and method == zipfile.ZIP_DEFLATED else 0
        facts = (20, 0, method, 0, 33, crc, len(content), size, len(name), 0)
        if number == 0 or not shared:
            at = out.tell()
            out.write(struct.pack("<4s5H3L2H", b"PK\3\4", *facts) + name.encode() + content)
        table.write(struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *facts, 0, 0, 0, 0, at) + name.encode())
    start = out.tell()
    count = min(len(members), 65535)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, table.tell(), start, 0)
    return out.getvalue() + table.getvalue() + end


def zeros(size: int, descr: str = "'<f8'", width: int = 8) -> tuple[bytes, int]:
    """An array of zeros as an archive holds it, and the size that it unfolds to."""
    head = header(f"({size // width},)", descr)
    return folded(size, head=head), len(head) + size


def npz_zeros() -> bytes:
    return archive(("a.npy", *zeros(2 * GB)), ("y.npy", *zeros(2 * GB)))


def npz_bytes_as_numbers() -> bytes:
    return archive(("a.npy", *zeros(GB, "'|i1'", 1)), ("y.npy", *zeros(GB, "'|i1'", 1)))


def npz_shared_members() -> bytes:
    content, size = zeros(64 * MB)
    return archive(*[("a.npy", content, size)] * 100, shared=True)


def npz_says_less_than_it_holds() -> bytes:
    head = header("(2000000,)")
    return archive(("a.npy", folded(4 * GB, head=head), len(head) + 16_000_000))


def npz_says_more_than_it_holds() -> bytes:
    head = header("(100000000,)")
    return archive(("a.npy", folded(MB, head=head), len(head) + 800_000_000))


def npz_shape_beyond_all() -> bytes:
    head = header("(1000000000000, 1000000)")
    return archive(("X.npy", folded(MB, head=head), len(head) + MB))


def npz_rows_without_bytes() -> bytes:
    head = header("(1000000000000,)", "'|S0'")
    return archive(("a.npy", folded(0, head=head), len(head)))


def npz_columns_without_rows() -> bytes:
    head, y = header("(0, 1000000000)"), header("(0,)")
    return archive(("X.npy", folded(0, head=head), len(head)), ("y.npy", folded(0, head=y), len(y)))


def npz_header_without_end() -> bytes:
    head = b"\x93NUMPY\2\0" + struct.pack("<L", 2 * GB)
    return archive(("a.npy", folded(2 * GB, b" ", head), len(head) + 2 * GB))


def npz_header_of_brackets() -> bytes:
    head = header("(" * 9000, version=2)
    return archive(("a.npy", folded(0, head=head), len(head)))


def npz_many_members() -> bytes:
    return archive(*((f"{n:06}.npy", b"\3\0", 0) for n in range(150_000)))


def npz_lzma_dictionary() -> bytes:
    """The archive asks for a dictionary of 4 GB before the first byte."""
    content = struct.pack("<BBH", 9, 4, 5) + struct.pack("<BL", 93, 4 * GB - 1) + bytes(100)
    return archive(("a.npy", content, 1000), method=zipfile.ZIP_LZMA)


def npy_header_without_end() -> bytes:
    return b"\x93NUMPY\2\0" + struct.pack("<L", 4 * GB - 1) + b" " * MB


def npy_shape_beyond_the_file() -> bytes:
    return header("(1000000000, 1000)") + bytes(MB)


def npy_columns_without_bytes() -> bytes:
    return header("(1000000000, 1000000000)", "'|S0'")


# -- Parquet ----------------------------------------------------------------------------------------


def parquet(table: pyarrow.Table, times: int = 1, **options: object) -> bytes:
    buffer = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(buffer, table.schema, **options) as writer:
        for _ in range(times):
            writer.write_table(table, row_group_size=len(table))
    return buffer.getvalue()


def parquet_zeros() -> bytes:
    table = pyarrow.table({"a": np.zeros(MB), "y": np.zeros(MB)})
    return parquet(table, 32, compression="zstd", use_dictionary=False)


def parquet_equal_rows() -> bytes:
    table = pyarrow.table({"a": pyarrow.nulls(4 * MB, "f8"), "y": pyarrow.nulls(4 * MB, "f8")})
    return parquet(table, 20)


def parquet_long_text() -> bytes:
    text = pyarrow.DictionaryArray.from_arrays(np.zeros(MB // 8, np.int32), ["t" * MB]).cast(
        pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    )
    return parquet(pyarrow.table({"a": text, "y": np.zeros(MB // 8)}), store_schema=False)


@cache
def parquet_texts_that_fold() -> bytes:
    """A gigabyte of text in few rows."""
    texts = pyarrow.array(["t" * MB] * 64)
    table = pyarrow.table({"a": texts, "y": np.zeros(64)})
    return parquet(table, 16, compression="zstd", use_dictionary=False)


def patched(content: bytes, old: int, new: int, *, field: int | None = None) -> bytes:
    """The file whose footer says `new` wherever it said `old` (whole numbers of Thrift's compact protocol)."""
    size = struct.unpack("<L", content[-8:-4])[0]
    footer = content[-8 - size : -8]
    before = b"" if field is None else bytes([field])
    assert before + varint(old) in footer
    footer = footer.replace(before + varint(old), before + varint(new))
    return content[: -8 - size] + footer + struct.pack("<L", len(footer)) + b"PAR1"


def varint(number: int) -> bytes:
    number = number << 1 ^ number >> 63
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


SMALL = pyarrow.table({"a": np.arange(123_457.0), "y": np.arange(123_457) % 2})


def parquet_rows_beyond_all() -> bytes:
    return patched(parquet(SMALL), 123_457, 10**12)


def parquet_rows_below_zero() -> bytes:
    return patched(parquet(SMALL), 123_457, -5)


def parquet_pages_that_lie() -> bytes:
    """The footer tells of a few bytes, the pages unfold to a gigabyte."""
    content = parquet_texts_that_fold()
    facts = pyarrow.parquet.ParquetFile(io.BytesIO(content)).metadata
    told = {facts.row_group(g).total_byte_size for g in range(facts.num_row_groups)}
    told |= {facts.row_group(g).column(0).total_uncompressed_size for g in range(facts.num_row_groups)}
    for size in sorted(told, reverse=True):
        content = patched(content, size, 100)
    return content


def parquet_footer_beyond_the_file() -> bytes:
    return parquet(SMALL)[:-8] + struct.pack("<L", 2**31 - 1) + b"PAR1"


# -- models -----------------------------------------------------------------------------------------


def tensors(table: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def model_header_beyond_the_file() -> bytes:
    return tensors({}, length=2**62)


def model_header_of_gigabytes() -> bytes:
    return tensors({}, bytes(MB), length=90 * MB)


def model_tensor_beyond_the_file() -> bytes:
    return tensors({"W1": {"dtype": "F64", "shape": [10**6, 10**6], "data_offsets": [0, 8 * 10**12]}})


def model_shape_that_overflows() -> bytes:
    return tensors({"W1": {"dtype": "F64", "shape": [2**40, 2**40], "data_offsets": [0, 0]}})


def model_of_brackets() -> bytes:
    return tensors(b'{"__metadata__": ' + b"[" * 5_000_000)


BOMBS: dict[str, Callable[[], bytes]] = {
    f"{make.__name__}.{end}": make
    for end, makers in {
        "npz": [
            npz_zeros,
            npz_bytes_as_numbers,
            npz_shared_members,
            npz_says_less_than_it_holds,
            npz_says_more_than_it_holds,
            npz_shape_beyond_all,
            npz_rows_without_bytes,
            npz_columns_without_rows,
            npz_header_without_end,
            npz_header_of_brackets,
            npz_many_members,
            npz_lzma_dictionary,
        ],
        "npy": [npy_header_without_end, npy_shape_beyond_the_file, npy_columns_without_bytes],
        "parquet": [
            parquet_zeros,
            parquet_equal_rows,
            parquet_long_text,
            parquet_texts_that_fold,
            parquet_rows_beyond_all,
            parquet_rows_below_zero,
            parquet_pages_that_lie,
            parquet_footer_beyond_the_file,
        ],
        "safetensors": [
            model_header_beyond_the_file,
            model_header_of_gigabytes,
            model_tensor_beyond_the_file,
            model_shape_that_overflows,
            model_of_brackets,
        ],
    }.items()
    for make in makers
}


def write(name: str, folder: Path) -> Path:
    """The bomb of this name as a file."""
    path = folder / name
    path.write_bytes(BOMBS[name]())
    return path
