"""The data set of an experiment: encoded features, target, classes, groups."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.encoding import ColumnEncoding, categorical_mask, encode_table, feature_names, fit_encoding
from dlrun.data.gaps import Gaps
from dlrun.data.sources import load_table
from dlrun.data.table import BoolArray, FloatArray, IntArray, Table
from dlrun.data.target import Task, read_target
from dlrun.data.values import shorten
from dlrun.errors import DataError

if TYPE_CHECKING:
    from dlrun.config.schema import DataConfig


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """What a model is trained and judged on; n rows, d encoded features.

    `features` (n, d) float64 holds NaN where a value is missing (`data.missing = "mean"`; `Scaling`
    fills them). `target` (n,) is int64 codes into `classes`, or float64 for a regression, whose
    `classes` is empty. `groups` (n,) int64 or None: equal groups stay together. `rows` (n,) are the
    row numbers of the source from 0; they skip rows that were dropped. `hash` covers the source's
    content, the target and the rows, not the choice of features: models with different features
    may be compared on the same rows.
    """

    name: str
    task: Task
    features: FloatArray
    feature_names: tuple[str, ...]
    categorical: BoolArray
    target: IntArray | FloatArray
    target_name: str
    classes: tuple[str, ...]
    groups: IntArray | None
    rows: IntArray
    hash: str
    encoding: tuple[ColumnEncoding, ...]

    def __len__(self) -> int:
        return len(self.rows)


def load_dataset(data: DataConfig, *, task: Task | None, folder: Path, seed: int) -> Dataset:
    """Read, choose columns, settle what is missing, and encode.

    `folder` is what a relative path in `data.source` starts from; `seed` serves a generator unless
    `data.seed` is given; `task` None is inferred from the target (`infer_task`). Raises DataError
    (the data) or ConfigError (an option that does not go with the source).
    """
    table = load_table(
        data.source,
        folder=folder,
        rows=data.rows,
        noise=data.noise,
        seed=seed if data.seed is None else data.seed,
    )
    target_name = _target_name(table, data.target)
    names = _feature_columns(table, data, target_name)
    rows = _settle_missing(table, [*names, target_name, *([data.group] if data.group else [])], data, target_name)
    kept = table if rows.size == len(table) else table.take(rows)
    if len(kept) < 2:
        raise DataError(f"{table.name} has {len(kept)} row(s) to learn from; at least 2 are needed.")
    chosen, classes, target = read_target(kept, target_name, task)
    encoding = fit_encoding(kept, names)
    return Dataset(
        name=table.name,
        task=chosen,
        features=encode_table(kept, encoding),
        feature_names=feature_names(encoding),
        categorical=categorical_mask(encoding),
        target=target,
        target_name=target_name,
        classes=classes,
        groups=_group_codes(kept, data.group),
        rows=rows,
        hash=_hash(table, target_name, chosen, rows),
        encoding=encoding,
    )


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
        names = [name for name in table.names if name not in (target, data.group)]
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
    for name in names:
        table.column(name, key="data.features")
    return names


def _settle_missing(table: Table, used: list[str], data: DataConfig, target: str) -> IntArray:
    """The rows to keep, (n,); or a DataError as `data.missing` asks."""
    gaps = Gaps(used)
    gaps.add(table)
    kept = gaps.settle(table.name, data, target)
    return np.arange(len(table), dtype=np.int64) if kept is None else kept


def _group_codes(table: Table, group: str | None) -> IntArray | None:
    """Equal values, equal codes, (n,), numbered by first appearance."""
    if group is None:
        return None
    seen: dict[object, int] = {}
    values = table.column(group, key="data.group").tolist()
    return np.fromiter((seen.setdefault(value, len(seen)) for value in values), np.int64, len(values))


def _hash(table: Table, target: str, task: Task, rows: IntArray) -> str:
    digest = hashlib.sha256(json.dumps([table.hash, target, task]).encode())
    digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()
