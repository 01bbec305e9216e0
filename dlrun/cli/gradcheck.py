"""`dlrun gradcheck`: whether the gradient of an experiment can be trusted."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from dlrun.cli.options import (
    DataOption,
    ExperimentArgument,
    JobsOption,
    OutOption,
    OverwriteOption,
    SeedOption,
    SetOption,
    Showing,
    TargetOption,
    numbered,
)
from dlrun.cli.showing import show


class Dropout(StrEnum):
    """Whether the checked network has dropout."""

    OFF = "off"
    FIXED = "fixed"


def command(
    experiment: ExperimentArgument = None,
    epsilon: Annotated[float, typer.Option("--epsilon", metavar="E", help="How far a component is moved, ε.")] = 1e-7,
    one_sided: Annotated[
        bool, typer.Option("--one-sided", help="(J(θ+ε)-J(θ))/ε, not (J(θ+ε)-J(θ-ε))/2ε.", show_default=False)
    ] = False,
    after_epochs: Annotated[
        int, typer.Option("--after-epochs", metavar="N", min=0, help="Train so many epochs first.")
    ] = 0,
    dropout: Annotated[
        Dropout, typer.Option("--dropout", help="Switch dropout off, or hold its masks fixed.")
    ] = Dropout.OFF,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            min=1,
            help="Compare so many random components, for very large networks; left out, all.",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows",
            metavar="N",
            min=1,
            help="Rows of the batch; left out, the first batch of the training, at most 64 of it.",
            show_default=False,
        ),
    ] = None,
    epsilon_sweep: Annotated[
        bool,
        typer.Option("--epsilon-sweep", help="Also show the error against ε, on both kinds.", show_default=False),
    ] = False,
    data: DataOption = None,
    target: TargetOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    set_: SetOption = None,
    seed: SeedOption = None,
    jobs: JobsOption = None,
    *,
    showing: Showing,
) -> None:
    """Compare the gradient that training uses with differences of the cost, parameter by parameter, in float64.

    The verdict on a relative difference of about 1e-7 is great, of 1e-5 look closer, of 1e-3 worry. The status is 1
    if a gradient is wrong.
    """
    from dlrun.workflows.gradcheck import gradcheck

    show(
        lambda: gradcheck(
            experiment,
            data=data,
            target=target,
            epsilon=epsilon,
            one_sided=one_sided,
            after_epochs=after_epochs,
            dropout=dropout.value,
            sample=sample,
            rows=rows,
            epsilon_sweep=epsilon_sweep,
            out=numbered(out),
            overwrite=overwrite,
            set=set_,
            seed=seed,
            jobs=jobs,
            watch=showing.output,
        ),
        showing,
    )
