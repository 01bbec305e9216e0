"""How the rows of replicas are scaled: each by its own training rows, and shared ones by the data alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.data.dataset import Dataset
from dlrun.data.scaling import Scaling, fit_scalings
from dlrun.data.stored_features import StoredFeatures
from dlrun.training.rows import Normalization, storage_scaling
from dlrun.training.streamed_rows import streamed_storage_scaling

if TYPE_CHECKING:
    from dlrun.config.schema import DataConfig

FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def target_is_scaled(options: DataConfig, task: str) -> bool:
    """A regression's target is standardized with the inputs, unless data.normalize_target says otherwise."""
    wanted = options.normalize != "none" if options.normalize_target is None else options.normalize_target
    return wanted and task == "regression"


_ROWS = 1024  # looked at together


def pooled(scaling: Scaling, dataset: Dataset, rows: Sequence[Rows], normalize: str) -> Scaling:
    """One shift and scale for each channel, (R, d): the same pattern is the same numbers at every place.

    standard: mean and deviation over rows and places; minmax: smallest and largest. Padding does not count, and the
    numbers that say what is padding stay as they are.
    """
    assert dataset.shape is not None
    shape, channels = scaling.shift.shape, dataset.shape[-1] - dataset.masked
    shift, scale = (array.reshape(len(rows), -1, dataset.shape[-1]).copy() for array in (scaling.shift, scaling.scale))
    for r, part in enumerate(rows):
        for c in range(channels):
            first, size = _over_places(dataset, part, c, normalize)
            shift[r, :, c], scale[r, :, c] = first, 1 / size if size > 0 else 1.0
    scale[:, :, channels:] = 1.0
    return Scaling(scaling.fill, shift.reshape(shape), scale.reshape(shape))


def _over_places(dataset: Dataset, rows: Rows, channel: int, normalize: str) -> tuple[float, float]:
    """Mean and deviation, or smallest and width, of a channel over all places of some rows."""
    if normalize == "none":
        return 0.0, 1.0
    pieces = [_values(dataset, rows[at : at + _ROWS], channel) for at in range(0, len(rows), _ROWS)]
    if normalize == "minmax":
        low, high = min(piece.min() for piece in pieces), max(piece.max() for piece in pieces)
        return float(low), float(high - low)
    count = sum(piece.size for piece in pieces)
    mean = sum(float(piece.sum()) for piece in pieces) / count
    return mean, float(np.sqrt(sum(float(np.square(piece - mean).sum()) for piece in pieces) / count))


def _values(dataset: Dataset, rows: Rows, channel: int) -> FloatArray:
    """A channel of some rows, as one row of numbers; of sequences the steps that are there."""
    assert dataset.shape is not None
    block = np.asarray(dataset.features[rows]).reshape(len(rows), -1, dataset.shape[-1])
    values = block[:, :, channel]
    return np.asarray(values[block[:, :, -1] > 0] if dataset.masked else values.ravel())


@dataclass(frozen=True)
class ReplicaScaling:
    """The scaling of a data set's columns and of its C targets (n, C), which are None where they stay as they are."""

    dataset: Dataset
    options: DataConfig
    outputs: int  # C
    targets: FloatArray | None
    pooled: bool = False  # a channel of pictures, or a number of sequences, is scaled alike at all places

    def fitted(self, rows: Sequence[Rows]) -> Normalization:
        """The scaling of each replica, fitted on its training rows alone; once for replicas that share an array."""
        known: dict[int, int] = {}
        places = np.array([known.setdefault(id(part), len(known)) for part in rows], np.int64)
        if len(known) < len(rows):
            return self.fitted(list({id(part): part for part in rows}.values())).take(places)
        scaling = fit_scalings(
            self.dataset.features,
            list(rows),
            normalize=self.options.normalize,
            missing=self.options.missing,
            categorical=self.dataset.categorical,
        )
        if self.pooled:
            scaling = pooled(scaling, self.dataset, rows, self.options.normalize)
        y_shift, y_scale = self._fitted_to_targets(rows)
        return Normalization(scaling.fill, scaling.shift, scaling.scale, y_shift, y_scale)

    def _fitted_to_targets(self, rows: Sequence[Rows]) -> tuple[FloatArray, FloatArray]:
        shape = (len(rows), self.outputs)
        if self.targets is None:
            return np.zeros(shape), np.ones(shape)
        means = np.array([self.targets[part].mean(axis=0) for part in rows])
        spreads = np.array([self.targets[part].std(axis=0) for part in rows])
        return means, np.divide(1.0, spreads, out=np.ones(shape), where=spreads > 0)

    def shared(self) -> Normalization:
        """The scaling under which rows that several replicas share are stored; it follows from the data alone."""
        features, categorical = self.dataset.features, self.dataset.categorical
        numeric = ~categorical if self.options.normalize != "none" else np.zeros(len(categorical), bool)
        if isinstance(features, StoredFeatures):
            shift, scale = streamed_storage_scaling(features, numeric)
        else:
            shift, scale = storage_scaling(features, numeric)
        y_shift, y_scale = np.zeros(self.outputs), np.ones(self.outputs)
        if self.targets is not None:
            y_shift, y_scale = storage_scaling(self.targets, np.ones(self.outputs, bool))
        return Normalization(*(array[None] for array in (shift, shift, scale, y_shift, y_scale)))
