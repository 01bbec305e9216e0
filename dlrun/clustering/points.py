"""The rows to cluster: a table's features, encoded and scaled, without a target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.data.column_fit import EncodingRules, encoding_notes, fit_encoding
from dlrun.data.dataset import used_columns
from dlrun.data.encoding import ColumnEncoding, categorical_mask, encode_table, feature_names
from dlrun.data.gaps import Gaps
from dlrun.data.scaling import fit_scaling
from dlrun.data.sources import load_table
from dlrun.data.target import read_target
from dlrun.errors import DataError, DlrunError

if TYPE_CHECKING:
    from dlrun.config.schema import DataConfig
    from dlrun.data.table import Table

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Points:
    """n rows of d features.

    values   (n, d) as the table has them, encoded and filled
    scaled   (n, d) what distances are measured on; scale (d,) is what a unit of the table is there
    labels   (n,) codes of the target's classes, to compare with, where the table has a target with classes
    rows     (n,) row numbers of the table, which skip rows that were dropped
    encoding of the table's columns
    """

    name: str
    names: tuple[str, ...]
    values: FloatArray
    scaled: FloatArray
    scale: FloatArray
    labels: IntArray | None
    target: str | None
    rows: IntArray
    encoding: tuple[ColumnEncoding, ...]
    hash: str
    notes: tuple[str, ...] = ()

    @property
    def features(self) -> FloatArray:
        """`values`, as a data set calls them."""
        return self.values


def load_points(data: DataConfig, *, folder: Path, seed: int) -> Points:
    """All rows of the table, all columns but target and group; the scaling is fitted on all of them.

    Raises DataError: a missing value under missing = "error", no columns, no rows.
    """
    table = load_table(
        data.source,
        folder=folder,
        rows=data.rows,
        noise=data.noise,
        seed=seed if data.seed is None else data.seed,
        delimiter=data.delimiter,
        decimal=data.decimal,
    )
    target = table.default_target if data.target is None else data.target
    if target is not None:
        table.column(target, key="data.target")
    names = list(data.features or used_columns(table, data, target))
    if not names:
        raise DataError(f"{table.name} has no column to cluster by, besides its target {target!r}")
    for name in names:
        table.column(name, key="data.features")
    encoding = fit_encoding(table, names, EncodingRules.of(data))
    values = encode_table(table, encoding)
    columns = feature_names(encoding)
    gaps = Gaps(names)
    gaps.add(table)
    kept = gaps.settle(table.name, data)
    rows = np.arange(len(values), dtype=np.int64) if kept is None else kept
    values = values if kept is None else values[kept]
    if not len(rows):
        raise DataError(f"{table.name} has no rows to cluster")
    categorical = categorical_mask(encoding)
    every = np.arange(len(rows))
    scaling = fit_scaling(values, every, normalize=data.normalize, missing=data.missing, categorical=categorical)
    return Points(
        name=table.name,
        names=columns,
        values=np.where(np.isnan(values), scaling.fill, values),
        scaled=scaling.apply(values),
        scale=scaling.scale,
        labels=_labels(table, target, rows),
        target=target,
        rows=rows,
        encoding=encoding,
        hash=table.hash,
        notes=(*table.notes, *gaps.notes, *encoding_notes(table.name, encoding)),
    )


def _labels(table: Table, target: str | None, rows: IntArray) -> IntArray | None:
    """The target's classes, if it has any."""
    if target is None:
        return None
    try:
        task, _, codes = read_target(table, target, None)
    except DlrunError:  # nothing depends on it
        return None
    return np.asarray(codes[rows], np.int64) if task == "classification" else None
