"""`dlrun bootstrap`: the error of an experiment from models trained on rows drawn with replacement."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.options import ExperimentArgument, Showing, Training
from dlrun.cli.resampling import ConfidenceOption, PlanOption, StratifyOption, answer


def command(
    experiment: ExperimentArgument = None,
    samples: Annotated[int, typer.Option("--samples", metavar="B", help="How many samples to draw.")] = 200,
    stratify: StratifyOption = None,
    confidence: ConfidenceOption = 0.95,
    plan: PlanOption = False,
    *,
    training: Training,
    showing: Showing,
) -> None:
    """Estimate the experiment's error four ways: apparent, out of bag, .632 and .632+, each with its interval.

    One model is trained on all rows and one on each sample; a sample is tested on the rows that it left out.
    """
    from dlrun.workflows.bootstrap import carried_out, prepared

    asked = prepared(
        experiment,
        samples=samples,
        stratify=stratify,
        confidence=confidence,
        watch=showing.output,
        **training.keywords(),
    )
    answer(asked, carried_out, showing, plan=plan)
