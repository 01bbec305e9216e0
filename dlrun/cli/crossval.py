"""`dlrun crossval`: the error of an experiment by k-fold cross-validation, or leaving one out."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.options import ExperimentArgument, Showing, Training
from dlrun.cli.resampling import ConfidenceOption, PlanOption, StratifyOption, answer


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
    *,
    training: Training,
    showing: Showing,
) -> None:
    """Estimate the experiment's error: every row is tested by a model that never saw it.

    All folds are trained together, each with scaling, imputation and early stopping from its own training rows.
    """
    from dlrun.workflows.crossval import carried_out, prepared

    asked = prepared(
        experiment,
        folds=folds,
        repeats=repeats,
        leave_one_out=leave_one_out,
        stratify=stratify,
        confidence=confidence,
        watch=showing.output,
        **training.keywords(),
    )
    answer(asked, carried_out, showing, plan=plan)
