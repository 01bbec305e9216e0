"""NPZ: `X` and `y` (or `features` and `target`), or one 1-D array per column; never a pickle.

The header of each array is read first, so that a file which declares more than the machine's memory
(or more than it holds) is refused before anything is allocated.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.data.table import Column, Table, check_numbers, clean_text
from dlrun.data.values import memory_bytes, shorten, show_bytes
from dlrun.errors import DataError

_PAIRS = [("X", "y"), ("features", "target")]
_NAMES = "feature_names"


def read_npz(path: Path, *, name: str, limit: int | None = None) -> Table:
    """The table of an .npz file; the columns of X are `x1`, `x2`, … unless `feature_names` (d,) names them.

    `limit` is the most bytes that all arrays together may take, the machine's memory where left out.
    """
    arrays = _read_arrays(path, name, memory_bytes() if limit is None else limit)
    default_target = None
    for matrix, target in _PAIRS:
        if matrix in arrays and target in arrays:
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
                f"{name}: the array {key!r} has {len(array)} values where {next(iter(lengths))!r} has {rows}."
            )
    rows = next(iter(lengths.values()), 0)
    if not rows:
        raise DataError(f"{name} holds no rows; at least 2 are needed.")
    columns = {key: _column(array, key, name) for key, array in arrays.items()}
    numbers = np.arange(1, rows + 1, dtype=np.int64)
    return check_numbers(Table(name, columns, numbers, "row", default_target))


def _spread(arrays: dict[str, Any], matrix: str, target: str, name: str) -> dict[str, Any]:
    """The arrays with the 2-D one replaced by its columns, and the target as (n,)."""
    X, y = arrays[matrix], arrays[target]
    if X.ndim == 1:
        X = X[:, None]
    if X.ndim != 2:
        raise DataError(
            f"{name}: the array {matrix!r} has the shape {X.shape}; it must be 2-D, rows × columns "
            f"(for images: {matrix}.reshape(len({matrix}), -1))."
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (len(X),):
        raise DataError(f"{name}: {target!r} has the shape {y.shape} where {matrix!r} has {len(X)} rows.")
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


def _read_arrays(path: Path, name: str, limit: int) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            total = sum(_declared_bytes(archive, info, name) for info in members)
            if total > limit:
                raise DataError(
                    f"{name} declares arrays of {show_bytes(total)}, more than the {show_bytes(limit)} "
                    "that there are here; take fewer rows."
                )
        if not members:
            raise DataError(f"{name} holds no arrays; X and y are needed, or one 1-D array per column.")
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{name} is not readable as an .npz file ({error}); write it with numpy.savez_compressed."
        ) from None


def _declared_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> int:
    """The bytes that the array's own header declares, checked against the archive's table."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(member)
        else:
            raise ValueError(f"array format {version}")
        header = member.tell()
    key = info.filename.removesuffix(".npy")
    if dtype.hasobject or dtype.names is not None:
        raise DataError(
            f"{name}: the array {key!r} holds Python objects or records ({dtype}), which are not loaded; "
            "save numbers, or texts as array.astype(str)."
        )
    size = math.prod(int(length) for length in shape) * int(dtype.itemsize)
    if size != info.file_size - header:
        raise DataError(f"{name}: the array {key!r} declares {size} bytes and holds {info.file_size - header}.")
    return size


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
