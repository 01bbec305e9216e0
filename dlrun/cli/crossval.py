"""`dlrun crossval`: the error of an experiment by k-fold cross-validation, or leaving one out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.fold_report import finish_folds
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
    PlanOption,
    StratifyOption,
    execute,
    prepare,
    show_plan,
)
from dlrun.errors import ConfigError

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.resampling.resamples import Resamples

DEFAULT_FOLDS = 10


def command(
    experiment: ExperimentArgument = None,
    folds: Annotated[
        int | None,
        typer.Option("--folds", metavar="K", help="Parts, each tested once; left out, 10.", show_default=False),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", metavar="N", help="How often to deal afresh; left out, once.", show_default=False),
    ] = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="As many folds as rows (or groups).", show_default=False)
    ] = False,
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
    """Estimate the experiment's error: every row is tested by a model that never saw it.

    All folds are trained together, each with scaling, imputation and early stopping from its own training rows.
    """
    began = time.perf_counter()
    from dlrun.reporting.output import Output

    if leave_one_out and (folds is not None or repeats is not None):
        raise ConfigError("--leave-one-out has a fold for each row and nothing to repeat; give no --folds or --repeats")
    if leave_one_out and stratify:
        raise ConfigError("--leave-one-out cannot be stratified: each test part is one row; give no --stratify")
    count, times = DEFAULT_FOLDS if folds is None else folds, 1 if repeats is None else repeats

    def divide(dataset: Dataset, seed: int, strata: Any) -> Resamples:
        from dlrun.resampling.splitters import k_fold
        from dlrun.resampling.splitters import leave_one_out as one_out

        if leave_one_out:
            return one_out(len(dataset), groups=dataset.groups)
        return k_fold(
            len(dataset), folds=count, repeats=times, seed=seed, strata=strata, groups=dataset.groups,
            names=dataset.classes or None,
        )  # fmt: skip

    if leave_one_out:
        options: dict[str, Any] = {"kind": "leave_one_out"}
        arguments = ["--leave-one-out"]
    else:
        options = {"kind": "k_fold", "folds": count}
        arguments = ["--folds", str(count), "--repeats", str(times)]
    prepared = prepare(
        "crossval",
        divide,
        options=options,
        arguments=arguments,
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
    )
    if plan:
        show_plan(prepared)
    else:
        execute(prepared, finish_folds)
