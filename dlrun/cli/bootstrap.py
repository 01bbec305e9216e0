"""`dlrun bootstrap`: the error of an experiment from models trained on rows drawn with replacement."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.options import (
    DataOption,
    DebugOption,
    Device,
    DeviceOption,
    ExperimentArgument,
    JobsOption,
    JsonOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    SetOption,
    TargetOption,
)
from dlrun.cli.resampling_run import (
    ConfidenceOption,
    Finished,
    PlanOption,
    Prepared,
    StratifyOption,
    execute,
    prepare,
    show_plan,
)
from dlrun.errors import AnswerIsNoError

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.resampling.resamples import Resamples
    from dlrun.runs.folder import RunFolder


def command(
    experiment: ExperimentArgument = None,
    samples: Annotated[int, typer.Option("--samples", metavar="B", help="How many samples to draw.")] = 200,
    stratify: StratifyOption = None,
    confidence: ConfidenceOption = 0.95,
    plan: PlanOption = False,
    data: DataOption = None,
    target: TargetOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    set_: SetOption = None,
    seed: SeedOption = None,
    device: DeviceOption = Device.AUTO,
    jobs: JobsOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Estimate the experiment's error four ways: apparent, out of bag, .632 and .632+, each with its interval.

    One model is trained on all rows and one on each sample; a sample is tested on the rows that it left out.
    """
    began = time.perf_counter()
    from dlrun.reporting.output import Output

    def divide(dataset: Dataset, seed: int, strata: Any) -> Resamples:
        from dlrun.resampling.splitters import bootstrap

        return bootstrap(len(dataset), samples=samples, seed=seed, strata=strata, groups=dataset.groups)

    prepared = prepare(
        "bootstrap",
        divide,
        options={"kind": "bootstrap", "samples": samples},
        arguments=["--samples", str(samples)],
        loading={"experiment": experiment, "overrides": set_ or [], "seed": seed, "data": data, "target": target},
        stratify=stratify,
        confidence=confidence,
        device=device.value,
        jobs=jobs,
        out=out,
        overwrite=overwrite,
        resume=resume,
        output=Output(quiet=quiet, json=json),
        began=began,
        everything=True,
    )
    if plan:
        show_plan(prepared)
    else:
        execute(prepared, _finish)


def _finish(prepared: Prepared, folder: RunFolder) -> Finished:
    """Write `replicates.csv` and `predictions.csv`; estimate the error."""
    from dlrun.reporting.resampling_report import bootstrap_table
    from dlrun.resampling.outcome import bootstrapped
    from dlrun.runs.resampling_files import write_predictions, write_replicates

    run = prepared.run
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
    write_replicates(folder, run.divisions[1:], estimates)
    write_predictions(folder, run.divisions, run.problem.dataset)
    return Finished(figures, warnings, lambda summary, path: [bootstrap_table(summary, path)], refusal)
