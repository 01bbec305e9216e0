"""Missing values: counted piece by piece, then settled as `data.missing` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.table import BoolArray, IntArray, Table, missing_in
from dlrun.data.values import shorten
from dlrun.errors import DataError

if TYPE_CHECKING:
    from dlrun.config.schema import DataConfig


class Gaps:
    """What is missing in the columns that are used: feed it a table, or its pieces in their order."""

    def __init__(self, used: Sequence[str]) -> None:
        self._used = list(used)
        self.counts: dict[str, int] = {}
        self._first: dict[str, tuple[int, str]] = {}  # the first cell: its row from 0, and how a message names it
        self._whole: list[BoolArray] = []
        self._rows = 0

    def add(self, piece: Table) -> None:
        """The next rows of the table."""
        whole = np.ones(len(piece), np.bool_)
        for name in self._used:
            mask = missing_in(piece.columns[name])
            if mask.any():
                row = int(np.argmax(mask))
                self._first.setdefault(name, (self._rows + row, piece.where(row, name)))
                self.counts[name] = self.counts.get(name, 0) + int(mask.sum())
                whole &= ~mask
        self._whole.append(whole)
        self._rows += len(piece)

    def settle(self, table: str, data: DataConfig, target: str | None) -> IntArray | None:
        """The rows to keep, None for all; or a DataError as `data.missing` asks."""
        if not self.counts:
            return None
        empty = [name for name in self._used if self.counts.get(name) == self._rows]
        if empty:
            raise DataError(
                f"{table}, column {empty[0]!r} has no value in any row; leave it out by listing the "
                "columns to use in data.features."
            )
        if data.missing == "drop":
            return self._kept(table)
        if target in self.counts:
            raise missing_target(self._first[target][1], self.counts[target], self._rows)
        if data.group in self._first:
            raise DataError(
                f"{self._first[data.group][1]}: the group is missing; fill it in, or drop such rows with "
                'data.missing = "drop".'
            )
        if data.missing == "error":
            _, name = min((row, name) for name, (row, _) in self._first.items())
            raise DataError(
                f"{self._first[name][1]}: the value is missing (missing values by column: {self._by_column()}); "
                'set data.missing to "mean" (of the training rows) or "drop".'
            )
        return None

    def _kept(self, table: str) -> IntArray:
        kept = np.flatnonzero(np.concatenate(self._whole)).astype(np.int64)
        if not kept.size:
            raise DataError(
                f'{table}: every row misses a value, so that data.missing = "drop" leaves none; '
                f"missing values by column: {self._by_column()}."
            )
        return kept

    def _by_column(self) -> str:
        return shorten([f"{name} {self.counts[name]}" for name in self._used if name in self.counts], 6)


def missing_target(where: str, count: int, rows: int) -> DataError:
    """The error for a row without a target: no policy may invent one."""
    return DataError(
        f"{where}: the target is missing (in {count} of {rows} rows); "
        'fill it in, or drop such rows with data.missing = "drop".'
    )
