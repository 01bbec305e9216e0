"""Files and figures of a run whose divisions are folds: cross-validation and holdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlrun.cli.resampling_run import Finished, Prepared
from dlrun.errors import AnswerIsNoError

if TYPE_CHECKING:
    from dlrun.runs.folder import RunFolder


def finish_folds(prepared: Prepared, folder: RunFolder) -> Finished:
    """Write `folds.csv` and `predictions.csv`; estimate the error."""
    from dlrun.reporting.resampling_report import folds_tables
    from dlrun.resampling.outcome import cross_validated, fold_figures
    from dlrun.runs.resampling_files import write_folds, write_predictions

    run = prepared.run
    folds = fold_figures(run)
    write_folds(folder, folds)
    write_predictions(folder, run.divisions, run.problem.dataset)
    figures: dict[str, Any] = {
        "status": "done",
        "folds": len(folds),
        "error": None,
        "interval": None,
        "baseline": {"kind": run.baseline_kind, "error": None},
    }
    warnings: list[str] = []
    refusal = None
    try:
        model, baseline = cross_validated(run, confidence=prepared.confidence)
    except AnswerIsNoError as error:
        figures["status"], refusal = "diverged", f"{error}; the first: {run.divisions[0].result.reason}"
    else:
        figures |= {"error": model.summary(), "interval": model.interval}
        figures["baseline"] |= {"error": baseline.summary(), "interval": baseline.interval}
        warnings += model.warnings
    return Finished(figures, warnings, lambda summary, path: folds_tables(summary, folds, path), refusal)
