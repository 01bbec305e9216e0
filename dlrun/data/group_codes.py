"""Groups of rows as whole numbers."""

from __future__ import annotations

import numpy as np

from dlrun.data.table import Column, IntArray


class GroupCodes:
    """Equal values, equal codes, numbered by first appearance."""

    def __init__(self) -> None:
        self._seen: dict[object, int] = {}
        self._parts: list[IntArray] = []

    def add(self, values: Column) -> None:
        """The groups of the next rows."""
        seen = self._seen
        codes = (seen.setdefault(value, len(seen)) for value in values.tolist())
        self._parts.append(np.fromiter(codes, np.int64, len(values)))

    @property
    def codes(self) -> IntArray | None:
        """(n,), or None if nothing was added."""
        return np.concatenate(self._parts) if self._parts else None
