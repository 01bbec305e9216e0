"""SHA-256 over a table's content, column by column, whether it comes whole or in pieces.

Each column has a digest of its own, so that a file that is read row by row hashes like the same table in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_VALUES = 1 << 17  # values hashed at a time: they stay in the cache


class ColumnHash:
    """Feed it the pieces of a table in their order with `update`; `hexdigest` covers names, types and values."""

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}
        self._kinds: dict[str, str] = {}
        self._lengths: dict[str, int] = {}

    def update(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """The next rows of all columns: float64 with NaN for missing, or texts with None."""
        for name, values in columns.items():
            digest = self._digests.setdefault(name, hashlib.sha256())
            self._kinds[name] = values.dtype.kind
            self._lengths[name] = self._lengths.get(name, 0) + len(values)
            for start in range(0, len(values), _VALUES):
                digest.update(_bytes(values[start : start + _VALUES]))

    def hexdigest(self) -> str:
        """SHA-256 over every column's name, kind, length and digest, in the order of the columns."""
        whole = hashlib.sha256()
        for name, digest in self._digests.items():
            whole.update(json.dumps([name, self._kinds[name], self._lengths[name]]).encode())
            whole.update(digest.digest())
        return whole.hexdigest()


def _bytes(values: npt.NDArray[Any]) -> Any:
    if values.dtype == np.float64:
        return np.where(np.isnan(values), np.nan, values + 0.0).data  # one NaN, and no −0
    return (json.dumps(values.tolist())[1:-1] + ", ").encode()
