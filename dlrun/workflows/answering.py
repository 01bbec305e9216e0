"""A stored model's answers for a table that it was not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dlrun.backend import Backend
    from dlrun.data.table import Table
    from dlrun.training.model import TrainedModel


def read_like_training(model: TrainedModel, source: str) -> Table:
    """The table that `--data` names (relative to the current folder), read as the model's own was."""
    return model.preprocessing.read(source, folder=Path.cwd())


def answers_for(model: TrainedModel, table: Table, backend: Backend) -> npt.NDArray[np.float64]:
    """Probabilities (m, C), or values (m, 1). DataError for a row with which the model cannot compute."""
    import numpy as np

    features = model.preprocessing.features(table)
    with backend.quiet():  # what overflows is told below, with its row
        answers = model.answers(features, backend)
    broken = np.flatnonzero(~np.isfinite(answers).all(axis=1))
    if broken.size:
        row = int(broken[0])
        raise DataError(
            f"{table.name}, {table.numbered} {table.numbers[row]}: the model's answer is not a finite number; "
            "the row's values lie too far from those of its training"
        )
    return answers


def targets_shown(model: TrainedModel, table: Table) -> list[Any]:
    """The target of each row as text or number; None where the table does not tell it."""
    import numpy as np

    from dlrun.data.values import number_label

    name = model.preprocessing.target_name
    if name not in table.columns:
        return [None] * len(table)
    values = table.columns[name]
    if values.dtype != np.float64:
        return list(values)
    classes = bool(model.preprocessing.classes)
    return [None if np.isnan(v) else number_label(v) if classes else v for v in values.tolist()]
