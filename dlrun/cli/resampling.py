"""What the commands that train on many divisions of the rows have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dlrun.cli.options import Showing
from dlrun.cli.showing import show

if TYPE_CHECKING:
    from dlrun.workflows.resampling import Prepared
    from dlrun.workflows.results import Result

StratifyOption = Annotated[
    bool | None,
    typer.Option(
        "--stratify/--no-stratify",
        help="Keep the classes' shares (bins of a regression's target) in each part; left out, data.split.stratify.",
        show_default=False,
    ),
]
ConfidenceOption = Annotated[
    float, typer.Option("--confidence", metavar="C", help="Of the intervals, between 0 and 1.")
]
PlanOption = Annotated[
    bool,
    typer.Option(
        "--plan", help="Say what the run would take (parameters, memory, stacks, time), and run nothing.",
        show_default=False,
    ),
]  # fmt: skip


def answer(prepared: Prepared, carry_out: Callable[[Prepared], Result], showing: Showing, *, plan: bool) -> None:
    """Carry the request out and show its result; with `plan`, say what it would take."""
    if not plan:
        show(lambda: carry_out(prepared), showing)
        return
    from dlrun.reporting.resampling_report import plan_table

    name = prepared.run.problem.experiment.name
    found = prepared.plan()
    shown = {"command": prepared.command, "name": name, "scheme": prepared.scheme, "plan": asdict(found)}
    showing.output.result(shown, plan_table(name, prepared.scheme, found))
