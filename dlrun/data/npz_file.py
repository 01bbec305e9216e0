"""NPZ: `X` and `y` (or `features` and `target`), or one 1-D array per column; never a pickle.

The header of each array is read first, so that a file which declares more than the machine's memory
(or more than it holds) is refused before anything is allocated.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.data.array_header import read_array_header
from dlrun.data.table import Column, Table, check_numbers, clean_text
from dlrun.data.values import refuse_size, shorten
from dlrun.errors import DataError
from dlrun.records import counted

_PAIRS = [("X", "y"), ("features", "target")]
_NAMES = "feature_names"

_END_RECORD = 1 << 16 | 22  # the longest end of an archive, with its comment
_MOST_DIRECTORY = 4_000_000  # bytes of its table of contents
_COLUMN_BYTES = 200  # what a column takes beside its values


def read_npz(path: Path, *, name: str, limit: int | None = None) -> Table:
    """The table of an .npz file; the columns of X are `x1`, `x2`, … unless `feature_names` (d,) names them.

    `limit` is the most bytes that all arrays together may take, the machine's memory where left out.
    """
    arrays = _read_arrays(path, name, limit)
    default_target, shape = None, None
    for matrix, target in _PAIRS:
        if matrix in arrays and target in arrays:
            if arrays[matrix].ndim in (3, 4) and len(arrays[matrix]):
                if arrays[matrix].ndim == 3:
                    arrays[matrix] = _with_marks(arrays[matrix], matrix, name)
                shape = arrays[matrix].shape[1:]
                arrays[matrix] = arrays[matrix].reshape(len(arrays[matrix]), -1)
            arrays, default_target = _spread(arrays, matrix, target, name), target
            break
    lengths = {key: len(array) for key, array in arrays.items() if array.ndim == 1}
    for key, array in arrays.items():
        if array.ndim != 1:
            raise DataError(
                f"{name}: the array {key!r} has the shape {array.shape}; give X (rows × columns) and y, "
                "features and target, or one 1-D array per column."
            )
        if len(array) != (rows := next(iter(lengths.values()))):
            raise DataError(
                f"{name}: the array {key!r} has {counted(len(array), 'value')} "
                f"where {next(iter(lengths))!r} has {rows}."
            )
    rows = next(iter(lengths.values()), 0)
    if not rows:
        raise DataError(f"{name} holds no rows; at least 2 are needed.")
    columns = {key: _column(array, key, name) for key, array in arrays.items()}
    numbers = np.arange(1, rows + 1, dtype=np.int64)
    table = Table(
        name, columns, numbers, "row", default_target, shape=shape, masked=shape is not None and len(shape) == 2
    )
    return check_numbers(table)


def _with_marks(X: npt.NDArray[Any], matrix: str, name: str) -> npt.NDArray[Any]:
    """Sequences (n, T, d) with a last number 1 for each step, and 0 for those whose numbers are all NaN: padding."""
    if X.dtype.kind not in "iuf":
        raise DataError(f"{name}: the array {matrix!r} is of type {X.dtype}; sequences must be numbers.")
    absent = np.isnan(X).all(axis=2)
    again = (absent[:, :-1] & ~absent[:, 1:]).any(axis=1) | absent[:, 0]
    if again.any():
        row = int(np.flatnonzero(again)[0]) + 1
        raise DataError(
            f"{name}: the array {matrix!r}, row {row}: a step without a number stands before others; padding (NaN) "
            "belongs behind the last step, and a sequence has at least one."
        )
    filled = np.where(absent[:, :, None], 0.0, X)
    return np.concatenate([filled, ~absent[:, :, None]], axis=2)


def _spread(arrays: dict[str, Any], matrix: str, target: str, name: str) -> dict[str, Any]:
    """The arrays with the 2-D one replaced by its columns, and the target as (n,)."""
    X, y = arrays[matrix], arrays[target]
    if X.ndim == 1:
        X = X[:, None]
    if X.ndim != 2:
        raise DataError(
            f"{name}: the array {matrix!r} has the shape {X.shape}; it must be rows × columns, for sequences "
            "rows × steps × numbers, or for pictures rows × height × width × channels."
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (len(X),):
        raise DataError(f"{name}: {target!r} has the shape {y.shape} where {matrix!r} has {counted(len(X), 'row')}.")
    width = X.shape[1]
    labels = [f"x{number}" for number in range(1, width + 1)]
    if _NAMES in arrays:
        labels = [str(label) for label in np.atleast_1d(arrays[_NAMES]).tolist()]
    spread = {label: X[:, index] for index, label in enumerate(labels[:width])}
    others = {key: array for key, array in arrays.items() if key not in (matrix, target, _NAMES)}
    if len(labels) != width or len(spread) != width or spread.keys() & {target, *others}:
        raise DataError(
            f"{name}: {width} different names are needed for the columns of {matrix!r}, other than those of "
            f"further arrays; {_NAMES!r} gives {shorten(labels, 6)}."
        )
    return {**spread, **others, target: y}


def _read_arrays(path: Path, name: str, limit: int | None) -> dict[str, Any]:
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            total = sum(_declared_bytes(archive, info, name) for info in members)
        remedy = "write it uncompressed with numpy.savez"
        refuse_size(name, declared=total, stored=path.stat().st_size, limit=limit, remedy=remedy)
        if not members:
            raise DataError(f"{name} holds no arrays; X and y are needed, or one 1-D array per column.")
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{name} is not readable as an .npz file ({error}); write it with numpy.savez_compressed."
        ) from None


def _check_directory(path: Path) -> None:
    """ValueError for an archive of very many members, whose table `zipfile` would hold before it can be asked."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _END_RECORD, 0))
        end = file.read()
    at = end.rfind(b"PK\5\6")
    if at >= 0 and len(end) >= at + 16 and struct.unpack_from("<L", end, at + 12)[0] > _MOST_DIRECTORY:
        raise ValueError("its table of contents is too long")


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape and type that an array's own header declares, and the bytes of the header."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"a member is compressed by method {info.compress_type}")
    with archive.open(info) as member:
        try:
            shape, _, dtype = read_array_header(member)  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(f"the array {info.filename!r}: {error}") from None
        return shape, dtype, member.tell()


def _declared_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> int:
    """The bytes that the array takes as numbers, by its own header, checked against the archive's table."""
    shape, dtype, header = _header(archive, info)
    key = info.filename.removesuffix(".npy")
    if dtype.hasobject or dtype.names is not None:
        raise DataError(
            f"{name}: the array {key!r} holds Python objects or records ({dtype}), which are not loaded; "
            "save numbers, or texts as array.astype(str)."
        )
    values = math.prod(shape)
    size = values * int(dtype.itemsize)
    if size != info.file_size - header:
        raise DataError(f"{name}: the array {key!r} declares {size} bytes and holds {info.file_size - header}.")
    columns = shape[1] if len(shape) > 1 else 1
    return values * max(int(dtype.itemsize), 8) + columns * _COLUMN_BYTES


def _column(array: npt.NDArray[Any], key: str, name: str) -> Column:
    """float64, or object texts; booleans become "false" and "true"."""
    kind = array.dtype.kind
    if kind in "iuf":
        return array.astype(np.float64)
    if kind == "b":
        return np.array(["false", "true"], dtype=object)[array.astype(np.int64)]
    if kind == "U":
        return clean_text(array.tolist())
    if kind == "S":
        try:
            return clean_text([value.decode("utf-8") for value in array.tolist()])
        except UnicodeDecodeError:
            raise DataError(f"{name}: the array {key!r} holds bytes that are not UTF-8.") from None
    raise DataError(f"{name}: the array {key!r} is of type {array.dtype}; numbers, booleans or texts are needed.")
