"""A trained model as Python uses it: answers for the rows of a frame or of a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from dlrun.backend import Device
    from dlrun.data.table import Table
    from dlrun.training.model import TrainedModel


@dataclass(frozen=True, eq=False)
class Model:
    """What a training has learned, with the scaling and encoding of its inputs."""

    trained: TrainedModel

    @classmethod
    def open(cls, run: str | Path, *, run_code: bool = False, verify: bool = True) -> Model:
        """The model of a run's folder, or of a model.safetensors. RunError says what is wrong with it."""
        from dlrun.runs.stored import open_model

        return cls(open_model(Path(run), run_code=run_code, check=verify))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their probabilities; empty for a regression."""
        return tuple(self.trained.preprocessing.classes)

    def predict(self, data: pd.DataFrame | str | Path, *, device: Device = "auto") -> npt.NDArray[Any]:
        """An answer for each row, (m,): the likeliest class as a text, or the value in the target's units."""
        import numpy as np

        answers = self._answers(data, device)
        return np.array(self.classes, dtype=object)[answers.argmax(axis=1)] if self.classes else answers[:, 0]

    def predict_proba(self, data: pd.DataFrame | str | Path, *, device: Device = "auto") -> npt.NDArray[np.float64]:
        """The probability of each class for each row, (m, C). TypeError for a regression, which has none."""
        if not self.classes:
            raise TypeError("this model predicts a number, and has no classes whose probabilities there could be")
        return self._answers(data, device)

    def _answers(self, data: pd.DataFrame | str | Path, device: Device) -> npt.NDArray[np.float64]:
        from dlrun.backend import select_backend
        from dlrun.workflows.answering import answers_for

        return answers_for(self.trained, table_of(self.trained, data), select_backend(device))


def table_of(model: TrainedModel, data: pd.DataFrame | str | Path) -> Table:
    """Rows to answer, read as the model's own were. DataError for a column that is missing or of another kind."""
    from dlrun.workflows.answering import read_like_training
    from dlrun.workflows.opening import NAME, csv_of

    if isinstance(data, str | Path):
        return read_like_training(model, str(data))
    with TemporaryDirectory(prefix="dlrun-") as folder:
        path = Path(folder) / "frame.csv"
        path.write_text(csv_of(data), encoding="utf-8")
        try:
            return replace(read_like_training(model, str(path)), name=NAME)
        except DlrunError as error:
            raise type(error)(str(error).replace(str(path), NAME)) from None
