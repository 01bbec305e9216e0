"""`dlrun holdout`: the error of an experiment on rows set aside, once or repeatedly."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.options import ExperimentArgument, Showing, Training
from dlrun.cli.resampling import ConfidenceOption, PlanOption, StratifyOption, answer


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
    *,
    training: Training,
    showing: Showing,
) -> None:
    """Estimate the experiment's error on rows that are set aside at random, and trained on by no model.

    The split in the experiment file is not used: rows are divided into two parts, anew for each repeat.
    """
    from dlrun.workflows.holdout import carried_out, prepared

    asked = prepared(
        experiment,
        repeats=repeats,
        test_size=test_size,
        stratify=stratify,
        confidence=confidence,
        watch=showing.output,
        **training.keywords(),
    )
    answer(asked, carried_out, showing, plan=plan)
