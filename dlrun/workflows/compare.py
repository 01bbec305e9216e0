"""Whether runs that were tested on the same splits differ in error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlrun.errors import RunError
from dlrun.workflows.results import Result


class CompareResult(Result):
    """The differences of runs, pair by pair, each with its interval, test and verdict."""

    @property
    def document(self) -> dict[str, Any]:
        """What the command prints with --json: it leaves no folder."""
        return dict(self.summary)

    @property
    def comparisons(self) -> list[dict[str, Any]]:
        """A pair each, as the command's JSON has it."""
        return list(self.summary["comparisons"])


def compare(*runs: str | Path, confidence: float = 0.95, verify: bool = True) -> CompareResult:
    """Compare the errors of runs of crossval, holdout or bootstrap, pair by pair.

    The runs must have tested the same rows: the same command, data and target, --seed, --folds, --repeats,
    --test-size, --samples and --stratify. More than two runs are corrected for being many, after Holm.

    runs  folders of runs;  verify  refuse files that have changed
    """
    from dlrun.reporting.compare_report import comparison_json, comparison_table
    from dlrun.reporting.resampling_report import scheme_text
    from dlrun.resampling.comparison import compare_all
    from dlrun.workflows.tested_runs import read_runs

    if len(runs) < 2:
        raise RunError(f"{runs[0] if runs else 'compare'}: one run by itself cannot be compared; give two or more")
    read = read_runs([Path(run) for run in runs], check=verify)
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
    return CompareResult(summary=result, shown=lambda: [comparison_table(found, tested=tested)])
