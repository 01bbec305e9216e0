"""Rows that a model was not trained on: which of them it answers for, and what is to be said about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.table import IntArray, Table, missing_in
from dlrun.data.values import shorten
from dlrun.errors import DataError
from dlrun.records import counted

if TYPE_CHECKING:
    from dlrun.data.preprocessing import Preprocessing
    from dlrun.workflows.watcher import Watcher


@dataclass(frozen=True, eq=False)
class NewRows:
    """The rows of `table` that are answered, `numbers` (m,) being their places from 0 in the table as it was read."""

    table: Table
    numbers: IntArray
    notes: tuple[str, ...]

    def remark(self, watch: Watcher) -> None:
        """Tell the notes."""
        for note in self.notes:
            watch.note(f"note: {note}")


def rows_to_answer(preprocessing: Preprocessing, table: Table) -> NewRows:
    """All rows of a new table, but those that miss a value where the training dropped such rows.

    Filled cells and skipped rows are counted in the notes. DataError where every row would be skipped.
    """
    columns = [column.name for column in preprocessing.encoding if column.name in table.columns]
    gaps = {name: mask for name in columns if (mask := missing_in(table.columns[name])).any()}
    every = np.arange(len(table), dtype=np.int64)
    by_column = shorten([f"{name} {int(mask.sum())}" for name, mask in gaps.items()], 6)
    if preprocessing.missing == "drop" and gaps:
        kept = every[~np.logical_or.reduce(list(gaps.values()))]
        if not kept.size:
            raise DataError(
                f"{table.name}: every row misses a value, and the model was trained without such rows; missing values "
                f"by column: {by_column}. Fill them in, or train with --set data.missing=mean."
            )
        told = f"{counted(len(table) - len(kept), 'row')} of {len(table)} miss a value and are skipped"
        return NewRows(table.take(kept), kept, (f"{table.name}: {told}, as in training (by column: {by_column})",))
    if preprocessing.missing == "mean" and gaps:
        cells = counted(sum(int(mask.sum()) for mask in gaps.values()), "missing value")
        told = f"{cells} filled with the means of the training rows (by column: {by_column})"
        return NewRows(table, every, (f"{table.name}: {told}",))
    return NewRows(table, every, ())
