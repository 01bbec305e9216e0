"""`dlrun diagnose`: what a trained model suffers from, and what to try next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dlrun.cli.options import (
    Device,
    DeviceOption,
    JobsOption,
    NoVerifyOption,
    OutOption,
    OverwriteOption,
    RunCodeOption,
    SeedOption,
    SetOption,
    Showing,
    numbered,
)
from dlrun.cli.showing import show


def command(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="The folder of a run of `dlrun train`.", show_default=False),
    ] = None,
    human_error: Annotated[
        float | None,
        typer.Option(
            "--human-error",
            metavar="F",
            help="The error that cannot be avoided: a share such as 0.15, or a root mean squared error. Left out, 0.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="F",
            help="A gap between errors is large above this; left out, 0.02, or 0.05 of the target's spread.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="A table from where the model will be used: it is the dev part, and the run's own the train-dev part.",
            show_default=False,
        ),
    ] = None,
    two_sample: Annotated[
        bool,
        typer.Option(
            "--two-sample", help="Also check whether train and dev rows can be told apart.", show_default=False
        ),
    ] = False,
    learning_curve: Annotated[
        bool,
        typer.Option("--learning-curve", help="Also train on growing parts of the training rows.", show_default=False),
    ] = False,
    repeats: Annotated[
        int, typer.Option("--repeats", metavar="N", min=1, help="Models per size of the learning curve.")
    ] = 5,
    initialization: Annotated[
        str | None,
        typer.Option(
            "--initialization",
            metavar="EXPERIMENT",
            help="In place of RUN: compare initializations, layer by layer, on this experiment.",
            show_default=False,
        ),
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    set_: SetOption = None,
    seed: SeedOption = None,
    run_code: RunCodeOption = False,
    no_verify: NoVerifyOption = False,
    device: DeviceOption = Device.AUTO,
    jobs: JobsOption = None,
    *,
    showing: Showing,
) -> None:
    """Say what a trained model suffers from (bias, variance, mismatch, its learning rate) and what to try next.

    With --initialization: how activations and gradients change from layer to layer under each initialization.
    """
    from dlrun.workflows.diagnose import diagnose

    show(
        lambda: diagnose(
            run,
            initialization=initialization,
            human_error=human_error,
            tolerance=tolerance,
            data=data,
            two_sample=two_sample,
            learning_curve=learning_curve,
            repeats=repeats,
            out=numbered(out),
            overwrite=overwrite,
            set=set_,
            seed=seed,
            run_code=run_code,
            verify=not no_verify,
            device=device.value,
            jobs=jobs,
            watch=showing.output,
        ),
        showing,
    )
