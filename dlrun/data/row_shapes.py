"""Rows that are pictures or sequences: their shape, from the source or from `data.image`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.encoding import ColumnEncoding, feature_names
from dlrun.data.table import BoolArray, Table
from dlrun.errors import ConfigError
from dlrun.records import counted

if TYPE_CHECKING:
    from dlrun.config.schema import DataConfig


def row_shape(table: Table, data: DataConfig, encoding: tuple[ColumnEncoding, ...]) -> tuple[int, ...] | None:
    """(H, W, C) or (T, d), the last running fastest; None for a table. ConfigError where the columns are no picture."""
    d = len(feature_names(encoding))
    if table.shape is not None:
        if d != math.prod(table.shape):
            raise ConfigError(
                f"data.features or data.exclude leaves {counted(d, 'column')} of {table.name}, whose rows are of the "
                f"shape {table.shape}; all of them are needed"
            )
        return table.shape
    if data.image is None:
        return None
    size, channels = data.image.size, data.image.channels or 1
    if size is None or math.prod(size) * channels != d or any(column.kind != "numeric" for column in encoding):
        wanted = "size = [height, width]" if size is None else f"{size[0]} × {size[1]} × {channels} numbers a row"
        raise ConfigError(
            f"data.image: {table.name} has {counted(d, 'feature')}; should be {wanted}, with channels = 1 or 3"
        )
    return (*size, channels)


def padding_marks(table: Table) -> BoolArray:
    """Which columns say whether a step is there, and are never scaled; one False where there are none."""
    if not table.masked or table.shape is None:
        return np.zeros(1, bool)
    steps, width = table.shape
    marks = np.zeros((steps, width), bool)
    marks[:, -1] = True
    return marks.ravel()
