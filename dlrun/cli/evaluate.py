"""`dlrun evaluate`: a trained model's figures, on the parts of its own data or on another table."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.options import Device, DeviceOption, NoVerifyOption, RunArgument, RunCodeOption, Showing
from dlrun.cli.showing import show


def command(
    run: RunArgument,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Another table with the same columns; left out, the run's own train, dev and test parts.",
            show_default=False,
        ),
    ] = None,
    run_code: RunCodeOption = False,
    no_verify: NoVerifyOption = False,
    device: DeviceOption = Device.AUTO,
    *,
    showing: Showing,
) -> None:
    """Measure the model of a run again: cost and error beside the baseline, and how it does on each class.

    On another table the cost is the mean of -ln p of the true class, or the mean squared error in the target's
    units, and the baseline is the majority (or mean) of the rows that the model was trained on.
    """
    from dlrun.workflows.evaluate import evaluate

    show(
        lambda: evaluate(
            run, data=data, run_code=run_code, verify=not no_verify, device=device.value, watch=showing.output
        ),
        showing,
    )
