"""`dlrun predict`: a trained model's answers for the rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dlrun.cli.options import (
    DebugOption,
    Device,
    DeviceOption,
    JsonOption,
    NoVerifyOption,
    OverwriteOption,
    QuietOption,
    RunArgument,
    RunCodeOption,
)
from dlrun.errors import RunError


def command(
    run: RunArgument,
    data: Annotated[
        str, typer.Option("--data", metavar="FILE", help="The table to answer for (.csv, .parquet, .npz, .npy).")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.csv", help="Where to; left out, standard output.", show_default=False),
    ] = None,
    overwrite: OverwriteOption = False,
    run_code: RunCodeOption = False,
    no_verify: NoVerifyOption = False,
    device: DeviceOption = Device.AUTO,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Answer for each row of a table with the columns of the training data; the target may be missing.

    The rows come out in their order, numbered from 0: row 0 is the first below the header.
    """
    from dlrun.backend import select_backend
    from dlrun.records import counted
    from dlrun.reporting.output import Output
    from dlrun.runs.predictions import prediction_columns, prediction_rows
    from dlrun.runs.stored import open_model
    from dlrun.workflows.answering import answers_for, read_like_training, targets_shown

    _refuse_existing(out, overwrite)
    if out is not None and out.is_file() and out.samefile(data):
        raise RunError(f"{out}: holds the table that is answered, which would be lost; give another --out")
    model = open_model(run, run_code=run_code, check=not no_verify)
    table = read_like_training(model, data)
    classes = model.preprocessing.classes
    answers = answers_for(model, table, select_backend(device.value))
    columns = prediction_columns(classes)
    rows = prediction_rows(answers, classes, rows=range(len(table)), targets=targets_shown(model, table))
    output = Output(quiet=quiet, json=json)
    if out is not None:
        _write(out, columns, rows)
        output.note(f"{counted(len(table), 'prediction')} in {out}")
        if json:
            output.result({"command": "predict", "rows": len(table), "out": str(out)})
    elif json:
        output.result({"command": "predict", "predictions": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        output.csv(columns, rows)


def _refuse_existing(out: Path | None, overwrite: bool) -> None:
    """A file of the user is not replaced unasked; a pipe or a device is written to."""
    if out is None:
        return
    if out.is_dir():
        raise RunError(f"{out}: is a folder, where --out needs a file")
    if out.is_file() and not overwrite:
        raise RunError(f"{out}: this file exists; give --overwrite to replace it, or another --out")


def _write(out: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """The file appears whole or not at all."""
    from dlrun.runs.csv_files import CsvFile
    from dlrun.runs.files import replacing

    with replacing(out) as temporary, CsvFile(temporary, columns) as file:
        file.write_rows(rows)
