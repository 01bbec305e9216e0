"""Figures and files of a run whose divisions are folds: cross-validation and holdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlrun.errors import AnswerIsNoError
from dlrun.workflows.resampling import Finished, Prepared
from dlrun.workflows.results import Estimate, Result

if TYPE_CHECKING:
    import pandas as pd


class FoldsResult(Result):
    """The error of an experiment on rows that were not trained on."""

    @property
    def error(self) -> Estimate:
        """The share of wrong answers, or the root mean squared error: mean of the folds, spread, interval, pooled."""
        return Estimate.of(self.summary["error"])

    @property
    def baseline(self) -> Estimate:
        """The same of the majority class, or of the mean."""
        return Estimate.of(self.summary["baseline"]["error"])

    @property
    def folds(self) -> pd.DataFrame:
        """A row per fold, as in `folds.csv`."""
        return self.frame("folds.csv")

    @property
    def predictions(self) -> pd.DataFrame:
        """Every answer for a row that was tested, as in `predictions.csv`."""
        return self.frame("predictions.csv")


def finish_folds(prepared: Prepared) -> Finished:
    """Estimate the error, with `folds.csv` and `predictions.csv`."""
    from dlrun.reporting.resampling_report import folds_tables
    from dlrun.resampling.outcome import cross_validated, fold_figures
    from dlrun.runs.predictions import prediction_columns
    from dlrun.runs.resampling_files import FOLD_COLUMNS, answer_rows, fold_rows

    run = prepared.run
    data = run.problem.dataset
    folds = fold_figures(run)
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
    files = {
        "folds.csv": (FOLD_COLUMNS, lambda: fold_rows(folds)),
        "predictions.csv": (prediction_columns(data.classes), lambda: answer_rows(run.divisions, data)),
    }
    return Finished(figures, warnings, files, lambda summary, path: folds_tables(summary, folds, path), refusal)
