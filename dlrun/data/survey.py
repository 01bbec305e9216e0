"""One pass over a table that stays in its file: what must be known of all its rows before any is learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dlrun.data.column_fit import MAX_CATEGORIES, EncodingRules, refuse_equal_features, text_encoding
from dlrun.data.column_hash import ColumnHash
from dlrun.data.dates import date_forms
from dlrun.data.encoding import ColumnEncoding, encode_table, feature_names
from dlrun.data.group_codes import GroupCodes
from dlrun.data.row_file import RowFile
from dlrun.data.stored_features import StoredFeatures
from dlrun.data.stored_tables import StoredTable
from dlrun.data.table import Column, IntArray, Table
from dlrun.data.values import memory_bytes, show_bytes
from dlrun.errors import DataError

ROW_BYTES = 80  # what every row takes in memory all the same: its target, and its number in the orders and parts


class Survey:
    """Collects from the pieces of a table its hash, target, groups, and the texts of its features."""

    def __init__(
        self, stored: StoredTable, names: Sequence[str], target: str, group: str | None, rules: EncodingRules
    ) -> None:
        needed = stored.rows * ROW_BYTES
        if needed > memory_bytes():
            raise DataError(
                f"{stored.name} has {stored.rows} rows, for whose numbers and targets alone {show_bytes(needed)} of "
                f"memory are needed, and this machine has {show_bytes(memory_bytes())}; take fewer rows."
            )
        self._stored, self._names, self._target_name, self._group = stored, names, target, group
        self._rules = rules
        self._hash = ColumnHash()
        self._texts: dict[str, dict[str, str]] = {}
        self._target: Column = np.empty(stored.rows, stored.head.columns[target].dtype)
        self._groups = GroupCodes()
        self._rows = 0

    def add(self, piece: Table) -> None:
        """The next rows."""
        self._hash.update(piece.columns)
        for name in self._names:
            values = piece.columns[name]
            if values.dtype != np.float64:
                self._collect(name, values)
        stop = self._rows + len(piece)
        self._target[self._rows : stop] = self._shared(piece.columns[self._target_name])
        if self._group is not None:
            self._groups.add(piece.columns[self._group])
        self._rows = stop

    def _collect(self, name: str, values: Column) -> None:
        known = self._texts.setdefault(name, {})
        known.update((value, value) for value in set(values.tolist()) if value is not None)
        if len(known) > MAX_CATEGORIES and not date_forms(known):
            raise self._too_many(name)

    def _shared(self, values: Column) -> Column:
        """Equal texts as one object, so that a text target takes a pointer for each row."""
        if values.dtype == np.float64:
            return values
        known = self._texts.setdefault("", {})
        shared = np.empty(len(values), dtype=object)
        shared[:] = [None if value is None else known.setdefault(value, value) for value in values.tolist()]
        return shared

    def _too_many(self, name: str) -> DataError:
        return DataError(
            f"{self._stored.name}, column {name!r} is text with {len(self._texts[name])} different values or more, as "
            "names, identifiers and dates have; leave it out by listing the columns to use in data.features."
        )

    @property
    def hash(self) -> str:
        """That of the table."""
        return self._hash.hexdigest()

    def target_table(self, kept: IntArray | None) -> Table:
        """The target's column of the rows that are kept, as a table."""
        values = self._target if kept is None else self._target[kept]
        numbers = np.arange(1, self._stored.rows + 1, dtype=np.int64) if kept is None else kept + 1
        return Table(self._stored.name, {self._target_name: values}, numbers)

    def groups(self, kept: IntArray | None) -> IntArray | None:
        """The group of each row that is kept."""
        codes = self._groups.codes
        if codes is None or kept is None:
            return codes
        _, first, codes = np.unique(codes[kept], return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[codes]  # numbered by first appearance again

    def encoding(self, kept: IntArray | None) -> tuple[ColumnEncoding, ...]:
        """How each feature is encoded, from the texts of all rows that are kept."""
        rows = self._stored.rows if kept is None else len(kept)
        if kept is not None and any(name in self._texts for name in self._names):
            self._collect_again(kept)
        columns = []
        for name in self._names:
            if self._stored.head.columns[name].dtype == np.float64:
                columns.append(ColumnEncoding(name=name, kind="numeric"))
                continue
            column = text_encoding(self._stored.name, name, set(self._texts[name]), rows, self._rules)
            if column is None:
                raise self._too_many(name)
            columns.append(column)
        refuse_equal_features(self._stored.name, columns)
        return tuple(columns)

    def _collect_again(self, kept: IntArray) -> None:
        """The texts of the rows that are kept alone: a category of dropped rows is none."""
        texts = [name for name in self._names if name in self._texts]
        for name in texts:
            self._texts[name] = {}
        for piece in _kept_pieces(self._stored, texts, kept):
            for name in texts:
                self._collect(name, piece.columns[name])


def stored_features(
    stored: StoredTable, encoding: Sequence[ColumnEncoding], kept: IntArray | None, *, gaps: bool
) -> StoredFeatures:
    """The features where they lie, if the file holds numbers row by row; else a copy of them that does."""
    names = [column.name for column in encoding]
    file = stored.row_file()
    if file is not None and all(column.kind == "numeric" for column in encoding):
        places = {name: place for place, name in enumerate(stored.head.columns)}
        return StoredFeatures(file, _as_slice([places[name] for name in names]), kept, gaps=gaps)
    width = len(feature_names(encoding))
    copy = RowFile.scratch(
        (encode_table(piece, encoding) for piece in _kept_pieces(stored, names, kept)),
        stored.name,
        rows=stored.rows if kept is None else len(kept),
        width=width,
        dtype=np.float32 if stored.narrow(names) else np.float64,
    )
    return StoredFeatures(copy, slice(0, width), None, gaps=gaps)


def _as_slice(places: list[int]) -> slice | IntArray:
    """Neighbouring columns as a slice, which takes no copy."""
    if places == list(range(places[0], places[0] + len(places))):
        return slice(places[0], places[0] + len(places))
    return np.array(places, np.int64)


def _kept_pieces(stored: StoredTable, names: Sequence[str], kept: IntArray | None) -> Iterator[Table]:
    """The pieces of the named columns, without the rows that were dropped."""
    start = 0
    for piece in stored.pieces(names):
        stop = start + len(piece)
        if kept is None:
            yield piece
        else:
            begin, end = np.searchsorted(kept, [start, stop])
            yield piece.take(kept[begin:end] - start)
        start = stop
