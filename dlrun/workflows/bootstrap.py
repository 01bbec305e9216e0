"""The error of an experiment from models trained on rows drawn with replacement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from dlrun.errors import AnswerIsNoError
from dlrun.workflows.resampling import Finished, Prepared, Shared, carry_out, composed, prepare
from dlrun.workflows.results import Result

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.data.dataset import Dataset
    from dlrun.resampling.resamples import Resamples


class BootstrapResult(Result):
    """The error of an experiment four ways, each with its interval."""

    @property
    def estimates(self) -> Mapping[str, Any]:
        """`apparent`, `oob`, `632`, `632plus`: the figures of each, as in `summary.json`."""
        estimates: Mapping[str, Any] = self.summary["estimates"]
        return estimates

    @property
    def replicates(self) -> pd.DataFrame:
        """A row per sample, as in `replicates.csv`."""
        return self.frame("replicates.csv")

    @property
    def predictions(self) -> pd.DataFrame:
        """Every answer for a row that its sample had left out, as in `predictions.csv`."""
        return self.frame("predictions.csv")


def prepared(
    experiment: str | Path | None = None,
    *,
    samples: int = 200,
    **shared: Unpack[Shared],
) -> Prepared:
    """The request, ready to be planned or carried out: so many `samples`; else as in `crossval`."""

    def divide(dataset: Dataset, seed: int, strata: Any) -> Resamples:
        from dlrun.resampling.splitters import bootstrap as drawn

        return drawn(len(dataset), samples=samples, seed=seed, strata=strata, groups=dataset.groups)

    return prepare(
        "bootstrap",
        divide,
        experiment,
        options={"kind": "bootstrap", "samples": samples},
        arguments=["--samples", str(samples)],
        everything=True,
        **shared,
    )


def _finish(prepared: Prepared) -> Finished:
    """Estimate the error, with `replicates.csv` and `predictions.csv`."""
    from dlrun.reporting.resampling_report import bootstrap_table
    from dlrun.resampling.outcome import bootstrapped
    from dlrun.runs.predictions import prediction_columns
    from dlrun.runs.resampling_files import REPLICATE_COLUMNS, answer_rows, replicate_rows

    run = prepared.run
    data = run.problem.dataset
    figures: dict[str, Any] = {
        "status": "done",
        "samples": len(run.resamples),
        "estimates": None,
        "baseline": {"kind": run.baseline_kind, "estimates": None},
    }
    warnings: list[str] = []
    refusal = estimates = None
    try:
        estimates, baseline = bootstrapped(
            run, confidence=prepared.confidence, stratified=bool(prepared.scheme["stratify"])
        )
    except AnswerIsNoError as error:
        reason = next((each.result.reason for each in run.divisions if each.result.reason), "")
        figures["status"], refusal = "diverged", f"{error}; the first: {reason}"
    else:
        figures |= {
            "estimates": {name: asdict(each) for name, each in estimates.estimates.items()},
            "no_information": estimates.no_information,
            "overfitting_rate": estimates.overfitting_rate,
            "weight": estimates.weight,
            "drawn_share": float(estimates.n_unique.mean()) / len(run.problem.dataset),
        }
        figures["baseline"]["estimates"] = {name: asdict(each) for name, each in baseline.estimates.items()}
        warnings += estimates.warnings
    files = {
        "replicates.csv": (REPLICATE_COLUMNS, lambda: replicate_rows(run.divisions[1:], estimates)),
        "predictions.csv": (prediction_columns(data.classes), lambda: answer_rows(run.divisions, data)),
    }
    return Finished(figures, warnings, files, lambda summary, path: [bootstrap_table(summary, path)], refusal)


def carried_out(request: Prepared) -> BootstrapResult:
    """Estimate the experiment's error four ways: apparent, out of bag, .632 and .632+.

    One model is trained on all rows and one on each sample; a sample is tested on the rows that it left out.
    """
    return carry_out(request, _finish, BootstrapResult)


bootstrap = composed(prepared, carried_out)
