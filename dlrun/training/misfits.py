"""What an experiment asks for and its data set cannot give, told before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlrun.data.dataset import Dataset
from dlrun.data.stored_features import StoredFeatures
from dlrun.errors import ConfigError
from dlrun.nn.losses import LOSSES, Loss

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment


def refuse_misfits(experiment: Experiment, data: Dataset, loss: Loss) -> None:
    """ConfigError where the loss, the kind of model or the batches do not fit the data."""
    model = experiment.model
    if loss.task != data.task:
        fitting = ", ".join(name for name, each in LOSSES.items() if each.task == data.task)
        raise ConfigError(
            f'model.loss = "{loss.name}" does not fit the {data.task} target {data.target_name!r}; '
            f"should be one of {fitting}"
        )
    if loss.one_output and len(data.classes) != 2:
        raise ConfigError(
            f'model.loss = "{loss.name}" tells two classes apart, and {data.target_name!r} has '
            f'{len(data.classes)}; should be "cross_entropy"'
        )
    wrong = {"classification": "mean", "regression": "majority"}[data.task]
    if model.kind == wrong:
        right = "majority" if wrong == "mean" else "mean"
        raise ConfigError(f'model.kind = "{wrong}" does not fit a {data.task}; its baseline is "{right}"')
    if data.task == "classification" and experiment.data.normalize_target:
        raise ConfigError(
            f"data.normalize_target = true does nothing for the classes of {data.target_name!r}; "
            "should be left out, or task be regression"
        )
    if model.batch_norm and experiment.training.batch_size == 1:
        raise ConfigError("training.batch_size = 1 leaves batch normalization no variance; should be 2 or more")
    if model.kind == "nearest_neighbor" and isinstance(data.features, StoredFeatures):
        raise ConfigError(
            f'model.kind = "nearest_neighbor" keeps all rows in memory, and those of {data.name} stay in their '
            "file; should be another kind, or data.stream = false"
        )
