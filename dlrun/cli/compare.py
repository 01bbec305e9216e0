"""`dlrun compare`: whether runs that were tested on the same splits differ in error."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dlrun.cli.options import DebugOption, JsonOption, NoVerifyOption, QuietOption
from dlrun.cli.resampling import ConfidenceOption
from dlrun.errors import RunError


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_A RUN_B...", help="Folders of runs of one command on the same data and splits."),
    ],
    confidence: ConfidenceOption = 0.95,
    no_verify: NoVerifyOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare the errors of runs of crossval, holdout or bootstrap, pair by pair.

    The runs must have tested the same rows: the same command, data and target, --seed, --folds, --repeats,
    --test-size, --samples and --stratify. More than two runs are corrected for being many, after Holm.
    """
    from dlrun.cli.resampled_runs import read_runs
    from dlrun.reporting.compare_report import comparison_json, comparison_table
    from dlrun.reporting.output import Output
    from dlrun.reporting.resampling_report import scheme_text
    from dlrun.resampling.comparison import compare_all

    if len(runs) < 2:
        raise RunError(f"{runs[0]}: one run by itself cannot be compared; give two or more")
    read = read_runs(runs, check=not no_verify)
    found = compare_all([each.losses for each in read], confidence=confidence)
    scheme = read[0].summary.get("scheme")
    tested = scheme_text(scheme) if isinstance(scheme, dict) else f"{found[0].folds} test parts"
    result = {
        "command": "compare",
        "runs": [{"name": each.losses.name, "folder": str(each.folder)} for each in read],
        "task": read[0].losses.task,
        "confidence": confidence,
        "data_hash": read[0].losses.data_hash,
        "split_hash": read[0].losses.split_hash,
        "comparisons": [comparison_json(each) for each in found],
    }
    Output(quiet=quiet, json=json).result(result, comparison_table(found, tested=tested))
