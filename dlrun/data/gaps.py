"""Missing values: counted piece by piece, then settled as `data.missing` and `data.missing_target` say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.table import BoolArray, IntArray, Table, missing_in
from dlrun.data.values import shorten
from dlrun.errors import DataError
from dlrun.records import counted

if TYPE_CHECKING:
    from dlrun.config.schema import DataConfig


class Gaps:
    """What is missing in the columns that are used: feed it a table, or its pieces in their order.

    After `settle`, `notes` says which rows were dropped and why.
    """

    def __init__(self, used: Sequence[str], target: str | None = None) -> None:
        self._used, self._target = list(used), target
        self.counts: dict[str, int] = {}
        self.notes: tuple[str, ...] = ()
        self._first: dict[str, tuple[int, str]] = {}  # the first cell: its row from 0, and how a message names it
        self._whole: list[BoolArray] = []  # whether a row has all values but perhaps the target
        self._told: list[BoolArray] = []  # whether it has the target
        self._rows = 0

    def add(self, piece: Table) -> None:
        """The next rows of the table."""
        whole, told = np.ones(len(piece), np.bool_), np.ones(len(piece), np.bool_)
        for name in self._used:
            mask = missing_in(piece.columns[name])
            if mask.any():
                row = int(np.argmax(mask))
                self._first.setdefault(name, (self._rows + row, piece.where(row, name)))
                self.counts[name] = self.counts.get(name, 0) + int(mask.sum())
                if name == self._target:
                    told &= ~mask
                else:
                    whole &= ~mask
        self._whole.append(whole)
        self._told.append(told)
        self._rows += len(piece)

    def settle(self, table: str, data: DataConfig) -> IntArray | None:
        """The rows to keep, None for all; or a DataError as the two keys ask."""
        if not self.counts:
            return None
        empty = [name for name in self._used if self.counts.get(name) == self._rows]
        if empty:
            raise DataError(
                f"{table}, column {empty[0]!r} has no value in any row; leave it out by listing the "
                "columns to use in data.features."
            )
        if self._target in self.counts and data.missing_target == "error":
            raise missing_target(self._first[self._target][1], self.counts[self._target], self._rows)
        if data.missing != "drop":
            self._refuse_gaps(data)
        return self._kept(table, data)

    def _refuse_gaps(self, data: DataConfig) -> None:
        """DataError for what neither is filled nor dropped."""
        if data.group in self._first:
            raise DataError(
                f"{self._first[data.group][1]}: the group is missing; fill it in, or drop such rows with "
                'data.missing = "drop".'
            )
        cells = [(row, name) for name, (row, _) in self._first.items() if name != self._target]
        if data.missing == "error" and cells:
            _, name = min(cells)
            raise DataError(
                f"{self._first[name][1]}: the value is missing (missing values by column: {self._by_column()}); "
                'set data.missing to "mean" (of the training rows) or "drop".'
            )

    def _kept(self, table: str, data: DataConfig) -> IntArray | None:
        """The rows that have what they must have; DataError where a few gaps would cost most rows."""
        told, whole = np.concatenate(self._told), np.concatenate(self._whole)
        labelled = int(told.sum())
        kept = told & whole if data.missing == "drop" else told
        left = int(kept.sum())
        if 2 * left < labelled:
            raise DataError(
                f'{table}: data.missing = "drop" leaves {left} of {counted(labelled, "row")}, fewer than half; missing '
                f"values by column: {self._by_column()}. {self._remedy(data, labelled)}"
            )
        if left == self._rows:
            return None
        self.notes = (
            f"{table}: {left} of {counted(self._rows, 'row')} are left; the others miss a value "
            f"(by column: {self._by_column()})",
        )
        return np.flatnonzero(kept).astype(np.int64)

    def _remedy(self, data: DataConfig, rows: int) -> str:
        """What to do about columns with so many gaps: leave out those without which at least half the rows stay."""
        from dlrun.config.keys import value_text

        fill = "--set data.missing=mean fills them"
        features = [name for name in self._used if name not in (self._target, data.group)]
        fullest = sorted((name for name in features if name in self.counts), key=lambda name: -self.counts[name])
        out: list[str] = []
        lost = sum(count for name, count in self.counts.items() if name != self._target)
        while fullest and 2 * lost > rows:  # no row is lost twice, at the worst
            out.append(fullest.pop(0))
            lost -= self.counts[out[-1]]
        rest = [name for name in features if name not in out]
        if 2 * lost > rows or not rest:
            return f"{fill}."
        key, names = ("exclude", [*(data.exclude or ()), *out]) if data.features is None else ("features", rest)
        left = "it" if len(out) == 1 else "them"
        return f"--set 'data.{key}={value_text(names)}' leaves {shorten(out, 6)} out; {fill.replace('them', left)}."

    def _by_column(self) -> str:
        return shorten([f"{name} {self.counts[name]}" for name in self._used if name in self.counts], 6)


def missing_target(where: str, count: int, rows: int) -> DataError:
    """The error for a row without a target: none is ever invented."""
    return DataError(
        f"{where}: the target is missing (in {count} of {rows} rows); "
        'fill it in, or drop such rows with data.missing_target = "drop".'
    )
