"""`dlrun compare`: whether runs that were tested on the same splits differ in error."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dlrun.cli.options import NoVerifyOption, Showing
from dlrun.cli.resampling import ConfidenceOption
from dlrun.cli.showing import show


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_A RUN_B...", help="Folders of runs of one command on the same data and splits."),
    ],
    confidence: ConfidenceOption = 0.95,
    no_verify: NoVerifyOption = False,
    *,
    showing: Showing,
) -> None:
    """Compare the errors of runs of crossval, holdout or bootstrap, pair by pair.

    The runs must have tested the same rows: the same command, data and target, --seed, --folds, --repeats,
    --test-size, --samples and --stratify. More than two runs are corrected for being many, after Holm.
    """
    from dlrun.workflows.compare import compare

    show(lambda: compare(*runs, confidence=confidence, verify=not no_verify), showing)
