"""`dlrun kmeans`: clusters in the rows of a table, and how many there are."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated

import typer

from dlrun.cli.options import (
    DataOption,
    DebugOption,
    ExperimentArgument,
    JsonOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    SeedOption,
    SetOption,
    TargetOption,
)
from dlrun.errors import ConfigError

if TYPE_CHECKING:
    from dlrun.clustering.points import Points
    from dlrun.reporting.kmeans_report import Choice

MOST_SILHOUETTE_ROWS = 5000  # their pairwise distances are measured; of more rows, this many drawn ones'


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
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Cluster all rows of the experiment's table by k-means; only its [data] and its seed count.

    A target, where there is one, is no part of it: it is compared with the clusters afterwards.
    """
    began = time.perf_counter()
    from dlrun.clustering.kmeans import STARTS
    from dlrun.clustering.points import load_points
    from dlrun.config import load_experiment, to_toml
    from dlrun.reporting.kmeans_report import elbow_table, kmeans_summary, write_kmeans
    from dlrun.reporting.output import Output
    from dlrun.runs.folder import claim_run_folder
    from dlrun.training.threads import computing_threads
    from dlrun.workflows.remarks import remark_on_columns

    counts = cluster_counts(clusters)
    if start not in STARTS:
        raise ConfigError(f"--start {start}: should be one of {', '.join(STARTS)}")
    output = Output(quiet=quiet, json=json)
    loaded = load_experiment(experiment, overrides=set_ or [], seed=seed, data=data, target=target, trusted=True)
    chosen = loaded.experiment
    points = load_points(chosen.data, folder=loaded.folder, seed=chosen.seed)
    remark_on_columns(output, data, chosen.data, points)
    with computing_threads(1):
        choices = [choice(points, k, starts=starts, start=start, seed=chosen.seed) for k in counts]
    with claim_run_folder(out=out, name=chosen.name, command="kmeans", overwrite=overwrite) as folder:
        folder.write_text("config.toml", to_toml(chosen))
        summary = kmeans_summary(
            chosen.name, points, choices, seed=chosen.seed, start=start, seconds=time.perf_counter() - began
        )
        write_kmeans(folder, points, choices, summary)
        summary = folder.write_summary(summary)
        table = elbow_table(summary, folder.path)
        output.result({**summary, "folder": str(folder.path)}, table, in_files=True)


def cluster_counts(text: str) -> list[int]:
    """The numbers that --clusters means: `3`, or `1-8`."""
    match = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", text.strip(), re.ASCII)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= low <= high:
        raise ConfigError(f"--clusters {text}: should be a whole number from 1, or a range such as 1-8")
    return list(range(low, high + 1))


def choice(points: Points, clusters: int, *, starts: int, start: str, seed: int) -> Choice:
    """The clustering for one number of clusters, and how far apart its clusters are."""
    import numpy as np

    from dlrun.clustering.kmeans import kmeans
    from dlrun.clustering.scores import adjusted_rand_index, silhouettes
    from dlrun.reporting.kmeans_report import Choice
    from dlrun.rng import generator

    found = kmeans(points.scaled, clusters, starts=starts, start=start, seed=seed)  # type: ignore[arg-type]
    labels = found.labels[found.best]
    rows = np.arange(len(labels))
    if len(rows) > MOST_SILHOUETTE_ROWS:
        random = generator(seed, 0, "silhouette")
        rows = np.sort(random.choice(len(rows), MOST_SILHOUETTE_ROWS, replace=False))
    apart = len(np.unique(labels[rows])) > 1
    return Choice(
        clusters=clusters,
        found=found,
        silhouette=float(silhouettes(points.scaled[rows], labels[rows]).mean()) if apart else None,
        silhouette_rows=len(rows),
        rand_index=None if points.labels is None else adjusted_rand_index(labels, points.labels),
    )
