"""The rows of a data set where the backend computes, stored once for all replicas, and gathered by index.

A stored row is [x (d), 1, y (C), present]: the inputs, the column of ones that carries the bias, the target, and 1.
One more row, all zeros, is the padding of batches that are not full.

Replicas differ in their scaling, since each is scaled by its own training rows. A model trained by itself stores its
rows under its own scaling, and nothing is left to do. A `shared` store serves many replicas. While the data is small,
a stack gathers from copies that are scaled in advance, in float64 from the values as they are: no bit of a replica's
rows then depends on other rows, and nothing is left to do at each step either. Larger data is kept once, under one
reference scaling (`storage_scaling`), which keeps large offsets out of float32 and depends on the data alone; each
gathered batch then gets its replica's own shift and scale relative to it, to rounding the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Normalization:
    """Per replica: x → (x or fill where missing − shift)·scale and y → (y − y_shift)·y_scale.

    fill, shift, scale (R, d); y_shift, y_scale (R, C).
    """

    fill: FloatArray
    shift: FloatArray
    scale: FloatArray
    y_shift: FloatArray
    y_scale: FloatArray

    def take(self, rows: npt.NDArray[np.int64]) -> Normalization:
        """That of the given replicas."""
        return Normalization(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def alike(self) -> bool:
        """Whether all replicas are scaled by the same numbers."""
        return all((getattr(self, name) == getattr(self, name)[:1]).all() for name in self.__dataclass_fields__)

    def apply(self, features: FloatArray, replica: int = 0) -> FloatArray:
        """Rows (n, d) as replica r sees them, in float64 on the host."""
        filled = np.where(np.isnan(features), self.fill[replica], features)
        return np.asarray((filled - self.shift[replica]) * self.scale[replica])


SAMPLED_ROWS = 1 << 14  # rows by which a column's middle is judged
COPY_BYTES = 4 << 20  # rows up to this size are copied for each replica of a stack


def storage_scaling(
    columns: FloatArray, scaled: npt.NDArray[np.bool_], *, extremes: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Shift and scale (k,) under which columns (n, k) keep their digits in float32; 0 and 1 where not `scaled`.

    The shift is the median and the scale a power of two near 1/median|x − shift|. A row that lies far out does not
    move them, as it would move a mean, and so takes no digits from replicas that do not have it; and a power of two
    rounds nothing. What counts is a difference that float32 can hold: values 2²⁴ times farther from the median
    than a replica's own spread would lose it. `extremes` (2, k) are the smallest and largest values, where `columns`
    are a sample.
    """
    ends = columns if extremes is None else extremes
    shift, scale = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
    for j in np.flatnonzero(scaled):
        column = columns[:, j]
        values = column[:: -(-len(column) // SAMPLED_ROWS)]
        values = values[~np.isnan(values)]
        if not values.size:
            values = column[~np.isnan(column)]
        if values.size:
            shift[j] = np.median(values)
            distance = np.abs(values - shift[j])
            spread = np.median(distance) or distance.max()
            farthest = np.nanmax(np.abs(ends[:, j] - shift[j]))
            exponent = max(np.frexp(spread)[1], np.frexp(farthest)[1] - 100, -1000)  # nothing overflows
            scale[j] = np.ldexp(1.0, -int(exponent)) if spread > 0 else 1.0
    return shift, scale


class RowStore:
    """Rows on the device. `gather` copies a batch of every replica into a buffer and scales it there."""

    in_memory = True

    def __init__(
        self,
        backend: Backend,
        features: FloatArray,  # (n, d), NaN where missing
        targets: FloatArray,  # (n, C)
        reference: Normalization,
        dtype: str,
        *,
        shared: bool,
    ) -> None:
        self._backend = backend
        self.dtype = np.dtype(dtype)
        n, d = features.shape
        self.padding = n
        self.inputs, self.outputs = d, targets.shape[1]
        self.width = d + 1 + self.outputs + 1
        self._reference = reference
        rows = np.zeros((n + 1, self.width))
        x = features if shared else np.where(np.isnan(features), reference.fill[0], features)
        rows[:n, :d] = (x - reference.shift[0]) * reference.scale[0]
        rows[:n, d] = 1
        rows[:n, d + 1 : -1] = (targets - reference.y_shift[0]) * reference.y_scale[0]
        rows[:n, -1] = 1
        self.shared = shared
        self.bytes = (n + 1) * self.width * self.dtype.itemsize
        self.copied = shared and self.bytes <= COPY_BYTES
        self._raw = (features, targets) if self.copied else None
        self.missing = bool(np.isnan(rows).any())
        self.rows = backend.to_device(rows, self.dtype)

    def own(self) -> RowStore:
        """The store for a stack to take rows from by itself: where nothing changes by that, this one."""
        return self

    def announce(self, index: npt.NDArray[np.int64]) -> None:
        """The rows (S, R, B) that will be taken next; `StreamedRows` reads them ahead."""

    def take(self, index: npt.NDArray[np.int64], out: Array) -> None:
        """out (R, B, D) ← the rows `index` (R, B), which is an array of the host."""
        backend = self._backend
        backend.take(self.rows, index if backend.name == "cpu" else backend.to_device(index), out)

    def adjustment(self, normalization: Normalization) -> Adjustment | Copies | None:
        """What gives these replicas their scaled rows; None where rows are stored as they are needed."""
        if not self.shared:
            return None
        if self._raw is not None:
            return self._copies(normalization, *self._raw)
        reference = self._reference
        R, one = len(normalization.shift), (len(normalization.shift), 1)
        shift = np.concatenate(
            [
                (normalization.shift - reference.shift) * reference.scale,
                np.zeros(one),
                (normalization.y_shift - reference.y_shift) * reference.y_scale,
                np.zeros(one),
            ],
            axis=1,
        )
        scale = np.concatenate(
            [
                normalization.scale / reference.scale,
                np.ones(one),
                normalization.y_scale / reference.y_scale,
                np.ones(one),
            ],
            axis=1,
        )
        fill = np.zeros((R, self.width))
        fill[:, : self.inputs] = (normalization.fill - reference.shift) * reference.scale
        if not self.missing and not shift.any() and (scale == 1).all():
            return None
        to_device = self._backend.to_device
        return Adjustment(
            shift=to_device(shift[:, None, :], self.dtype),
            scale=to_device(scale[:, None, :], self.dtype),
            fill=to_device(fill[:, None, :], self.dtype) if self.missing else None,
        )

    def _copies(self, normalization: Normalization, features: FloatArray, targets: FloatArray) -> Copies:
        R, n, d = len(normalization.shift), self.padding, self.inputs
        table = np.zeros((R, n + 1, self.width), self.dtype)
        table[:, :n, d] = table[:, :n, -1] = 1
        with np.errstate(over="ignore"):
            for r in range(R):
                table[r, :n, :d] = (
                    normalization.apply(features, r)
                    if self.missing
                    else (features - normalization.shift[r]) * normalization.scale[r]
                )
                table[r, :n, d + 1 : -1] = (targets - normalization.y_shift[r]) * normalization.y_scale[r]
        first = np.arange(R, dtype=np.int64)[:, None] * (n + 1)
        rows = table.reshape(R * (n + 1), self.width)
        return Copies(
            self._backend.to_device(rows) if self._backend.name != "cpu" else rows, self._backend.to_device(first)
        )


@dataclass(frozen=True)
class Copies:
    """The rows of all replicas, each scaled as its own (R·(n+1), D), and where each replica's begin (R, 1)."""

    rows: Array
    first: Array

    def take(self, places: Array) -> Copies:
        """Those of some replicas."""
        return Copies(self.rows, self.first[places])


@dataclass(frozen=True)
class Adjustment:
    """Shift and scale (R, 1, D) of gathered rows relative to the stored ones, and what stands for missing values."""

    shift: Array
    scale: Array
    fill: Array | None

    def take(self, places: Array) -> Adjustment:
        """Those of some replicas."""
        return Adjustment(self.shift[places], self.scale[places], None if self.fill is None else self.fill[places])


class BatchBuffer:
    """Room for one batch of every replica (R, B, D), seen as x, y and present."""

    def __init__(
        self, backend: Backend, store: RowStore, adjustment: Adjustment | Copies | None, R: int, B: int
    ) -> None:
        self._backend, self._store, self._adjustment = backend, store, adjustment
        self.array = backend.zeros((R, B, store.width), store.dtype)
        d = store.inputs
        self.x = self.array[:, :, : d + 1]
        self.y = self.array[:, :, d + 1 : -1]
        self.present = self.array[:, :, -1:]
        fills = isinstance(adjustment, Adjustment) and adjustment.fill is not None
        self._absent = backend.empty(self.array.shape, bool) if fills else None
        self._places = backend.empty((R, B), np.int64) if isinstance(adjustment, Copies) else None

    def gather(self, index: npt.NDArray[np.int64]) -> None:
        """Copy the rows `index` (R, B) in, an array of the host, and scale them."""
        change, xp = self._adjustment, self._backend.xp
        if isinstance(change, Copies):
            xp.add(index if self._backend.name == "cpu" else self._backend.to_device(index), change.first, self._places)
            self._backend.take(change.rows, self._places, self.array)
            return
        self._store.take(index, self.array)
        if change is None:
            return
        if change.fill is not None:
            xp.isnan(self.array, out=self._absent)
            xp.copyto(self.array, change.fill, where=self._absent)
        xp.subtract(self.array, change.shift, self.array)
        xp.multiply(self.array, change.scale, self.array)


def batch_index(
    orders: list[npt.NDArray[np.int64]], batch_size: int, padding: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each replica's rows in their order, cut into batches.

    Returns row numbers (S, R, B), padded with `padding`, and how many rows are real (S, R).
    """
    longest = max(len(order) for order in orders)
    S = -(-longest // batch_size)
    table = np.full((len(orders), S * batch_size), padding, np.int64)
    for r, order in enumerate(orders):
        table[r, : len(order)] = order
    lengths = np.array([len(order) for order in orders])
    counts = np.clip(lengths[None, :] - np.arange(S)[:, None] * batch_size, 0, batch_size)
    return np.ascontiguousarray(table.reshape(len(orders), S, batch_size).swapaxes(0, 1)), counts


def one_hot_targets(target: npt.NDArray[Any], classes: int, *, one_output: bool) -> FloatArray:
    """Class codes as (n, C) rows of 0 and 1, or (n, 1) where one output tells two classes apart."""
    if one_output:
        return np.asarray(target, np.float64)[:, None]
    return np.asarray(np.eye(classes)[target])
