"""`dlrun tune`: search an experiment's space."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.options import ExperimentArgument, Showing, Training
from dlrun.cli.showing import show

TrialsOption = Annotated[
    int | None,
    typer.Option("--trials", metavar="N", min=1, help="How many points to try.", show_default="32"),
]
SamplerOption = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="NAME",
        help="Where to try next: random, grid, coarse-to-fine, sobol, or optuna (an extra).",
        show_default="random",
    ),
]
FoldsOption = Annotated[
    int | None,
    typer.Option(
        "--folds",
        metavar="K",
        min=2,
        help="Score by K-fold cross-validation of the train and dev rows; left out, by the dev part.",
        show_default=False,
    ),
]
OuterFoldsOption = Annotated[
    int | None,
    typer.Option(
        "--outer-folds",
        metavar="K",
        min=2,
        help="Search inside each of K outer folds too, which tells without bias how good a tuned model is.",
        show_default=False,
    ),
]
HalvingOption = Annotated[
    bool | None,
    typer.Option(
        "--halving/--no-halving",
        help="Prune: at a ninth and a third of the epochs only the best third of the trials goes on.",
        show_default="no-halving",
    ),
]
RoundsOption = Annotated[
    int | None,
    typer.Option("--rounds", metavar="N", min=1, help="Rounds of coarse-to-fine.", show_default="3"),
]


def command(
    experiment: ExperimentArgument = None,
    trials: TrialsOption = None,
    sampler: SamplerOption = None,
    folds: FoldsOption = None,
    outer_folds: OuterFoldsOption = None,
    halving: HalvingOption = None,
    rounds: RoundsOption = None,
    *,
    training: Training,
    showing: Showing,
) -> None:
    """Search the experiment's [tune.space] for the values with the least error."""
    from dlrun.workflows.tune import tune

    show(
        lambda: tune(
            experiment,
            trials=trials,
            sampler=sampler,
            folds=folds,
            outer_folds=outer_folds,
            halving=halving,
            rounds=rounds,
            watch=showing.output,
            **training.keywords(),
        ),
        showing,
    )
