"""How the rows of replicas are scaled: each by its own training rows, and shared ones by the data alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.data.dataset import Dataset
from dlrun.data.scaling import fit_scalings
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


@dataclass(frozen=True)
class ReplicaScaling:
    """The scaling of a data set's columns and of its C targets (n, C), which are None where they stay as they are."""

    dataset: Dataset
    options: DataConfig
    outputs: int  # C
    targets: FloatArray | None

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
