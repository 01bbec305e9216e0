"""`dlrun holdout`: the error of an experiment on rows set aside, once or repeatedly."""

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

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.resampling.resamples import Resamples


def command(
    experiment: ExperimentArgument = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", help="How often to draw afresh.")] = 1,
    test_size: Annotated[
        float,
        typer.Option(
            "--test-size", metavar="F", help="Share of the rows to test on; left out, a third.", show_default=False
        ),
    ] = 1 / 3,
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
    """Estimate the experiment's error on rows that are set aside at random, and trained on by no model.

    The split in the experiment file is not used: rows are divided into two parts, anew for each repeat.
    """
    began = time.perf_counter()
    from dlrun.reporting.output import Output

    def divide(dataset: Dataset, seed: int, strata: Any) -> Resamples:
        from dlrun.resampling.splitters import holdout

        return holdout(
            len(dataset), test_size=test_size, repeats=repeats, seed=seed, strata=strata, groups=dataset.groups,
            names=dataset.classes or None,
        )  # fmt: skip

    prepared = prepare(
        "holdout",
        divide,
        options={"kind": "holdout", "test_size": test_size},
        arguments=["--repeats", str(repeats), "--test-size", repr(test_size)],
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
