"""Clusters in rows without a target, and how many there are."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun.errors import ConfigError
from dlrun.workflows.request import Out, Overrides, Request, claimed
from dlrun.workflows.results import Result, unkept_files
from dlrun.workflows.watcher import SILENT, Watcher

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.clustering.points import Points
    from dlrun.reporting.kmeans_report import Choice

MOST_SILHOUETTE_ROWS = 5000  # their pairwise distances are measured; of more rows, this many drawn ones'


class KmeansResult(Result):
    """The clusters of a table's rows."""

    @property
    def clusters(self) -> int:
        """The number that was chosen, by the silhouette."""
        return int(self.summary["clusters"])

    @property
    def centres(self) -> pd.DataFrame:
        """A row per cluster, in the columns' units, as in `centres.csv`."""
        return self.frame("centres.csv")

    @property
    def assignments(self) -> pd.DataFrame:
        """The cluster of each row, as in `assignments.csv`."""
        return self.frame("assignments.csv")


def kmeans(
    experiment: str | Path | None = None,
    *,
    clusters: str | int = "2-8",
    starts: int = 10,
    start: str = "k-means++",
    data: str | Path | None = None,
    target: str | None = None,
    out: Out = None,
    overwrite: bool = False,
    set: Overrides = None,
    seed: int | None = None,
    watch: Watcher = SILENT,
) -> KmeansResult:
    """Cluster all rows of the experiment's table by k-means; only its [data] and its seed count.

    clusters  how many, or a range such as "1-8" to choose from;  starts  of each, of which the best counts
    start     how centres are drawn at first: k-means++ or random

    A target, where there is one, is no part of it: it is compared with the clusters afterwards.
    """
    began = time.perf_counter()
    from dlrun.clustering.kmeans import STARTS
    from dlrun.clustering.points import load_points
    from dlrun.config import to_toml
    from dlrun.reporting.kmeans_report import elbow_table, kmeans_summary, write_kmeans
    from dlrun.training.threads import computing_threads
    from dlrun.workflows.remarks import remark_on_columns

    counts = cluster_counts(str(clusters))
    if start not in STARTS:
        raise ConfigError(f"--start {start}: should be one of {', '.join(STARTS)}")
    request = Request.of(experiment, data=data, target=target, set=set, seed=seed)
    loaded = request.load()
    chosen = loaded.experiment
    points = load_points(chosen.data, folder=loaded.folder, seed=chosen.seed)
    remark_on_columns(watch, request.data, chosen.data, points)
    with computing_threads(1):
        choices = [choice(points, k, starts=starts, start=start, seed=chosen.seed) for k in counts]
    with claimed(out, name=chosen.name, command="kmeans", overwrite=overwrite) as folder:
        folder.write_text("config.toml", to_toml(chosen))
        summary = kmeans_summary(
            chosen.name, points, choices, seed=chosen.seed, start=start, seconds=time.perf_counter() - began
        )
        write_kmeans(folder, points, choices, summary)
        summary, where = folder.write_summary(summary), folder.path
        return KmeansResult(
            summary=summary, folder=where, files=unkept_files(folder), shown=lambda: [elbow_table(summary, where)]
        )


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
