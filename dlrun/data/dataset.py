"""The data set of an experiment: encoded features, target, classes, groups."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.column_fit import EncodingRules, encoding_notes, fit_encoding
from dlrun.data.encoding import ColumnEncoding, categorical_mask, encode_table, feature_names
from dlrun.data.gaps import Gaps
from dlrun.data.group_codes import GroupCodes
from dlrun.data.row_shapes import padding_marks, row_shape
from dlrun.data.sources import STORED_SUFFIXES, load_table, open_stored
from dlrun.data.stored_features import Features
from dlrun.data.table import BoolArray, FloatArray, IntArray, Table
from dlrun.data.target import Task, read_target
from dlrun.data.values import shorten, suggestion
from dlrun.errors import ConfigError, DataError

if TYPE_CHECKING:
    from dlrun.config.schema import DataConfig
    from dlrun.data.stored_tables import StoredTable

STREAM_BYTES = 256_000_000  # rows × columns × 8 of a table from which on its rows stay in the file


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """What a model is trained and judged on; n rows, d encoded features.

    `features` (n, d) float64 holds NaN where a value is missing (`data.missing = "mean"`; `Scaling`
    fills them); of a large table they stay in the file (`StoredFeatures`), and `features[rows]` reads
    rows. `target` (n,) is int64 codes into `classes`, or float64 for a regression, whose `classes` is
    empty. `groups` (n,) int64 or None: equal groups stay together. `rows` (n,) are the row numbers of
    the source from 0; they skip rows that were dropped. `hash` covers the source's content, the target
    and the rows, not the choice of features: models with different features may be compared on the
    same rows.
    """

    name: str
    task: Task
    features: Features
    feature_names: tuple[str, ...]
    categorical: BoolArray
    target: IntArray | FloatArray
    target_name: str
    classes: tuple[str, ...]
    groups: IntArray | None
    rows: IntArray
    hash: str
    encoding: tuple[ColumnEncoding, ...]
    shape: tuple[int, ...] | None = None  # of a row that is a picture (H, W, C) or a sequence (T, d)
    masked: bool = False  # the last number of each step says whether it is there
    tokens: int = 0  # how many tokens there are, where steps are their numbers
    notes: tuple[str, ...] = ()  # what is to be said about how it was read

    def __len__(self) -> int:
        return len(self.rows)


def load_dataset(data: DataConfig, *, task: Task | None, folder: Path, seed: int) -> Dataset:
    """Read, choose columns, settle what is missing, and encode.

    `folder` is what a relative path in `data.source` starts from; `seed` serves a generator unless
    `data.seed` is given; `task` None is inferred from the target (`infer_task`). Raises DataError
    (the data) or ConfigError (an option that does not go with the source).
    """
    stored = open_stored(data.source, folder=folder) if data.stream is not False else None
    if data.stream and stored is None:
        raise ConfigError(
            f"data.stream = true goes with {' and '.join(STORED_SUFFIXES)} files and not with "
            f"data.source = {data.source!r}; leave it out."
        )
    if stored is not None and (data.stream or stored.rows * len(stored.head.columns) * 8 > STREAM_BYTES):
        return _from_file(stored, data, task)
    return _from_memory(data, task, folder, seed)


def _from_memory(data: DataConfig, task: Task | None, folder: Path, seed: int) -> Dataset:
    table = load_table(
        data.source,
        folder=folder,
        rows=data.rows,
        noise=data.noise,
        seed=seed if data.seed is None else data.seed,
        delimiter=data.delimiter,
        decimal=data.decimal,
        image=data.image,
    )
    return dataset_of(table, data, task=task)


def dataset_of(table: Table, data: DataConfig, *, task: Task | None) -> Dataset:
    """The data set of a table in memory; `data` says all but where it came from. Raises DataError or ConfigError."""
    target_name = _target_name(table, data.target)
    names = _feature_columns(table, data, target_name)
    gaps = Gaps(_used(names, target_name, data), target_name)
    gaps.add(table)
    rows = gaps.settle(table.name, data)
    kept = table if rows is None else table.take(rows)
    _refuse_few(table.name, len(kept))
    chosen, classes, target = read_target(kept, target_name, task)
    encoding = fit_encoding(kept, names, EncodingRules.of(data))
    groups = GroupCodes()
    if data.group is not None:
        groups.add(kept.column(data.group, key="data.group"))
    rows = np.arange(len(table), dtype=np.int64) if rows is None else rows
    return Dataset(
        name=table.name,
        task=chosen,
        features=encode_table(kept, encoding),
        feature_names=feature_names(encoding),
        categorical=categorical_mask(encoding) | padding_marks(table),
        target=target,
        target_name=target_name,
        classes=classes,
        groups=groups.codes,
        rows=rows,
        hash=_hash(table.hash, target_name, chosen, rows),
        encoding=encoding,
        shape=row_shape(table, data, encoding),
        masked=table.masked,
        notes=(*table.notes, *gaps.notes, *encoding_notes(table.name, encoding)),
    )


def _from_file(stored: StoredTable, data: DataConfig, task: Task | None) -> Dataset:
    """The same, of rows that stay in their file."""
    from dlrun.data.survey import Survey, stored_features

    target_name = _target_name(stored.head, data.target)
    names = _feature_columns(stored.head, data, target_name)
    survey = Survey(stored, names, target_name, data.group, EncodingRules.of(data))
    gaps = Gaps(_used(names, target_name, data), target_name)
    for piece in stored.pieces():
        gaps.add(piece)
        survey.add(piece)
    kept = gaps.settle(stored.name, data)
    rows = np.arange(stored.rows, dtype=np.int64) if kept is None else kept
    _refuse_few(stored.name, len(rows))
    chosen, classes, target = read_target(survey.target_table(kept), target_name, task)
    encoding = survey.encoding(kept)
    holes = data.missing == "mean" and any(name in gaps.counts for name in names)
    return Dataset(
        name=stored.name,
        task=chosen,
        features=stored_features(stored, encoding, kept, gaps=holes),
        feature_names=feature_names(encoding),
        categorical=categorical_mask(encoding),
        target=target,
        target_name=target_name,
        classes=classes,
        groups=survey.groups(kept),
        rows=rows,
        hash=_hash(survey.hash, target_name, chosen, rows),
        encoding=encoding,
        shape=row_shape(stored.head, data, encoding),
        notes=(*gaps.notes, *encoding_notes(stored.name, encoding)),
    )


def _used(names: list[str], target: str, data: DataConfig) -> list[str]:
    return [*names, target, *([data.group] if data.group else [])]


def _refuse_few(table: str, rows: int) -> None:
    if rows < 2:
        raise DataError(f"{table} has {rows} row(s) to learn from; at least 2 are needed.")


def _target_name(table: Table, given: str | None) -> str:
    name = table.default_target if given is None else given
    if name is None:
        raise DataError(
            f"data.target is missing: name the column of {table.name} to predict "
            f"(--target on the command line). Columns: {shorten(table.names, 30)}"
        )
    table.column(name, key="data.target")
    return name


def _feature_columns(table: Table, data: DataConfig, target: str) -> list[str]:
    """The columns to predict from, all but target and group unless they are listed."""
    if data.group is not None:
        table.column(data.group, key="data.group")
        if data.group == target:
            raise DataError(f"data.group = {target!r} is the target too; it must be another column.")
    if data.features is None:
        names = used_columns(table, data, target)
    else:
        names = list(data.features)
        if target in names:
            raise DataError(
                f"data.features lists the target {target!r}: the answer would be given with the question; take it out."
            )
    if not names:
        raise DataError(
            f"{table.name} leaves no feature to predict {target!r} from; its columns: {shorten(table.names)}. "
            "At least one more is needed."
        )
    if any(name in table.unusable for name in names):
        fit_encoding(table, names)  # which names all that cannot be used, these and others
    for name in names:
        table.column(name, key="data.features")
    return names


def used_columns(table: Table, data: DataConfig, target: str | None) -> list[str]:
    """All columns but the target, the group and those excluded. DataError for an excluded one that is not there."""
    excluded = data.exclude or ()
    for name in excluded:
        if name not in table.names:
            raise DataError(
                f"{table.name} has no column {name!r} (data.exclude){suggestion(name, table.names, what='Columns')}"
            )
    if target in excluded:
        raise DataError(f"data.exclude names the target {target!r}; take it out.")
    return [name for name in table.names if name not in (target, data.group, *excluded)]


def _hash(table: str, target: str, task: Task, rows: IntArray) -> str:
    digest = hashlib.sha256(json.dumps([table, target, task]).encode())
    digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()
