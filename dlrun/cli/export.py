"""`dlrun export`: a trained model in a format of others."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlrun.cli.options import NoVerifyOption, OverwriteOption, RunArgument, Showing
from dlrun.cli.showing import show

if TYPE_CHECKING:
    from dlrun.workflows.export import ExportResult


class Format(StrEnum):
    """What to write."""

    ONNX = "onnx"


def command(
    run: RunArgument,
    format: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.ONNX,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.onnx", help="Where to; left out, model.onnx in the run's folder.", show_default=False
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    no_verify: NoVerifyOption = False,
    *,
    showing: Showing,
) -> None:
    """Write a trained model so that other programs can ask it, with scaling, encoding and class names inside.

    An ONNX file has an input per column of the table, named as it is, and takes the values as they stand there.
    """
    from dlrun.workflows.export import export

    def work() -> ExportResult:
        found = export(run, format=format.value, out=out, overwrite=overwrite, verify=not no_verify)
        showing.output.note(f"{format.value}: {found.path}")
        return found

    show(work, showing, in_files=True)
