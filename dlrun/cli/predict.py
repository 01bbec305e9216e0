"""`dlrun predict`: a trained model's answers for the rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dlrun.cli.options import (
    Device,
    DeviceOption,
    NoVerifyOption,
    OverwriteOption,
    RunArgument,
    RunCodeOption,
    Showing,
)
from dlrun.errors import RunError


def command(
    run: RunArgument,
    data: Annotated[
        str, typer.Option("--data", metavar="FILE", help="The table to answer for (.csv, .tsv, .parquet, .npz, .npy).")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.csv", help="Where to; left out, standard output.", show_default=False),
    ] = None,
    overwrite: OverwriteOption = False,
    run_code: RunCodeOption = False,
    no_verify: NoVerifyOption = False,
    device: DeviceOption = Device.AUTO,
    *,
    showing: Showing,
) -> None:
    """Answer for each row of a table with the columns of the training data; the target may be missing.

    The rows come out in their order, numbered from 0: row 0 is the first below the header. One that misses a value is
    left out where the model was trained without such rows.
    """
    from dlrun.records import counted
    from dlrun.workflows.predict import PREDICTIONS, predict

    _refuse_existing(out, overwrite)
    if out is not None and out.is_file() and out.samefile(data):
        raise RunError(f"{out}: holds the table that is answered, which would be lost; give another --out")
    found = predict(run, data=data, run_code=run_code, verify=not no_verify, device=device.value, watch=showing.output)
    columns, rows = found.files[PREDICTIONS]
    output, answered = showing.output, found.summary["rows"]
    if out is not None:
        _write(out, columns, rows())
        output.note(f"{counted(answered, 'prediction')} in {out}")
        if showing.json:
            output.result({"command": "predict", "rows": answered, "notes": found.summary["notes"], "out": str(out)})
    elif showing.json:
        output.result(found.document)
    else:
        output.csv(columns, rows())


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
