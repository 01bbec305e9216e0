"""`dlrun kmeans`: clusters in rows without a target, and how many there are."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.cli.options import (
    DataOption,
    ExperimentArgument,
    OutOption,
    OverwriteOption,
    SeedOption,
    SetOption,
    Showing,
    TargetOption,
    numbered,
)
from dlrun.cli.showing import show


def command(
    experiment: ExperimentArgument = None,
    clusters: Annotated[
        str,
        typer.Option("--clusters", metavar="K", help="How many: a number, or a range such as 1-8 to choose from."),
    ] = "2-8",
    starts: Annotated[
        int, typer.Option("--starts", metavar="N", min=1, help="Starts for each number of clusters; the best counts.")
    ] = 10,
    start: Annotated[
        str, typer.Option("--start", metavar="NAME", help="How centres are drawn at first: k-means++ or random.")
    ] = "k-means++",
    data: DataOption = None,
    target: TargetOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    set_: SetOption = None,
    seed: SeedOption = None,
    *,
    showing: Showing,
) -> None:
    """Cluster all rows of the experiment's table by k-means; only its [data] and its seed count.

    A target, where there is one, is no part of it: it is compared with the clusters afterwards.
    """
    from dlrun.workflows.kmeans import kmeans

    show(
        lambda: kmeans(
            experiment,
            clusters=clusters,
            starts=starts,
            start=start,
            data=data,
            target=target,
            out=numbered(out),
            overwrite=overwrite,
            set=set_,
            seed=seed,
            watch=showing.output,
        ),
        showing,
    )
