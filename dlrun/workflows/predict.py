"""A trained model's answers for the rows of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.workflows.results import Result
from dlrun.workflows.watcher import SILENT, Watcher

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.backend import Device

PREDICTIONS = "predictions.csv"


class PredictResult(Result):
    """An answer for each row."""

    @property
    def document(self) -> dict[str, Any]:
        """What the command prints with --json."""
        columns, rows = self.files[PREDICTIONS]
        answers = [dict(zip(columns, row, strict=True)) for row in rows()]
        return {"command": "predict", "notes": self.summary["notes"], "predictions": answers}

    @property
    def predictions(self) -> pd.DataFrame:
        """`row` from 0, `target` where the table tells it, `prediction`, and `p_NAME` of each class."""
        return self.frame(PREDICTIONS)


def predict(
    run: str | Path,
    *,
    data: str | Path | pd.DataFrame,
    run_code: bool = False,
    verify: bool = True,
    device: Device = "auto",
    watch: Watcher = SILENT,
) -> PredictResult:
    """Answer for each row of a table with the columns of the training data; the target may be missing.

    The rows come out in their order, numbered from 0: row 0 is the first below the header. One that misses a value is
    left out where the model was trained without such rows.

    run       the folder of a run of `dlrun train`, or a model.safetensors;  data  a table or a frame
    run_code  load the Python functions that the run's config.toml names;  verify  refuse files that have changed
    """
    from dlrun.backend import select_backend
    from dlrun.runs.predictions import prediction_columns, prediction_rows
    from dlrun.runs.stored import open_model
    from dlrun.workflows.answering import answers_for, targets_shown
    from dlrun.workflows.model import table_of
    from dlrun.workflows.new_rows import rows_to_answer

    model = open_model(Path(run), run_code=run_code, check=verify)
    found = rows_to_answer(model.preprocessing, table_of(model, data))
    found.remark(watch)
    table = found.table
    classes = model.preprocessing.classes
    answers = answers_for(model, table, select_backend(device))
    targets = targets_shown(model, table)
    return PredictResult(
        summary={"command": "predict", "rows": len(table), "notes": list(found.notes)},
        files={
            PREDICTIONS: (
                prediction_columns(classes),
                lambda: prediction_rows(answers, classes, rows=found.numbers, targets=targets),
            )
        },
    )
