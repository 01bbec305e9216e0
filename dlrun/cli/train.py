"""`dlrun train`: one model on the experiment's training rows."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.options import ExperimentArgument, PreflightOption, Showing, Training
from dlrun.cli.showing import show

StepsOption = Annotated[
    bool,
    typer.Option(
        "--steps",
        help="Also write steps.csv: the cost of every batch, and the way of up to 8 parameters.",
        show_default=False,
    ),
]
TensorboardOption = Annotated[
    bool,
    typer.Option(
        "--tensorboard",
        help="Also write curves, histograms and the graph for TensorBoard (an extra).",
        show_default=False,
    ),
]


def command(
    experiment: ExperimentArgument = None,
    preflight: PreflightOption = False,
    steps: StepsOption = False,
    tensorboard: TensorboardOption = False,
    *,
    training: Training,
    showing: Showing,
) -> None:
    """Train the experiment's model, and measure it on the train, dev and test parts beside a baseline."""
    from dlrun.workflows.train import train

    show(
        lambda: train(
            experiment,
            preflight=preflight,
            steps=steps,
            tensorboard=tensorboard,
            watch=showing.output,
            **training.keywords(),
        ),
        showing,
    )
