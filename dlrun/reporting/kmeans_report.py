"""What `dlrun kmeans` writes and shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.clustering.kmeans import Clustering
from dlrun.clustering.points import Points
from dlrun.records import counted
from dlrun.runs.folder import RunFolder
from dlrun.runs.summary import common_summary
from dlrun.runs.unkept import Unkept

if TYPE_CHECKING:
    from dlrun.reporting.tables import Table

CENTRES, ASSIGNMENTS, STARTS, ELBOW = "centres.csv", "assignments.csv", "starts.csv", "elbow.csv"


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice:
    """The clustering for one number of clusters; `silhouette` is the mean over rows, None for one cluster."""

    clusters: int
    found: Clustering
    silhouette: float | None
    silhouette_rows: int
    rand_index: float | None


def chosen(choices: Sequence[Choice]) -> Choice:
    """The one with the largest mean silhouette; the only one, or the first, where none has any."""
    return max(choices, key=lambda each: -2.0 if each.silhouette is None else each.silhouette)


def kmeans_summary(
    name: str, points: Points, choices: Sequence[Choice], *, seed: int, start: str, seconds: float
) -> dict[str, Any]:
    """What `summary.json` says. `scale` is what a unit of each feature is in the distances."""
    best = chosen(choices)
    found = best.found
    return {
        "name": name,
        **common_summary(
            command="kmeans",
            seed=seed,
            device="cpu",
            parameters=found.centres[0].size,
            seconds=seconds,
            data_hash=points.hash,
            split_hash=None,
        ),
        "rows": len(points.values),
        "features": list(points.names),
        "scale": points.scale.tolist(),
        "start": start,
        "starts": len(found.inertia),
        "clusters": best.clusters,
        "inertia": found.inertia[found.best],
        "silhouette": best.silhouette,
        "silhouette_rows": best.silhouette_rows,
        "target": points.target if points.labels is not None else None,
        "rand_index": best.rand_index,
        "sizes": np.bincount(found.labels[found.best], minlength=best.clusters).tolist(),
        "choices": [
            {
                "clusters": each.clusters,
                "inertia": each.found.inertia[each.found.best],
                "silhouette": each.silhouette,
                "rand_index": each.rand_index,
                "same_best": int(np.isclose(each.found.inertia, each.found.inertia.min(), rtol=1e-9).sum()),
            }
            for each in choices
        ],
    }


def write_kmeans(
    folder: RunFolder | Unkept, points: Points, choices: Sequence[Choice], summary: Mapping[str, Any]
) -> None:
    """centres.csv, assignments.csv of the number of clusters chosen; starts.csv and elbow.csv of all."""
    best = chosen(choices).found
    labels = best.labels[best.best]
    centres = np.stack([points.values[labels == c].mean(axis=0) for c in range(len(best.centres[0]))])
    with folder.csv(CENTRES, ["cluster", "rows", *points.names]) as file:
        file.write_rows(
            (c, size, *centre) for c, (size, centre) in enumerate(zip(summary["sizes"], centres.tolist(), strict=True))
        )
    distance = np.sqrt(((points.scaled - best.centres[best.best][labels]) ** 2).sum(axis=1))
    with folder.csv(ASSIGNMENTS, ["row", "cluster", "distance", *points.names]) as file:
        each = zip(points.rows.tolist(), labels.tolist(), distance.tolist(), points.values.tolist(), strict=True)
        file.write_rows((row, c, far, *values) for row, c, far, values in each)
    with folder.csv(STARTS, ["clusters", "start", "iterations", "inertia"]) as file:
        for k, found in ((each.clusters, each.found) for each in choices):
            pairs = zip(found.iterations.tolist(), found.inertia.tolist(), strict=True)
            file.write_rows((k, start, rounds, inertia) for start, (rounds, inertia) in enumerate(pairs))
    with folder.csv(ELBOW, ["clusters", "inertia", "silhouette", "rand_index"]) as file:
        for row in summary["choices"]:
            file.write(row["clusters"], row["inertia"], row["silhouette"], row["rand_index"])


def elbow_table(summary: Mapping[str, Any], folder: Path | None) -> Table:
    """A row for each number of clusters."""
    from dlrun.reporting.tables import Table
    from dlrun.reporting.train_report import kept_in

    columns = ["clusters", "inertia", "silhouette", "starts that found it"]
    if summary["target"] is not None:
        columns.append(f"agreement with {summary['target']}")
    table = Table(title=f"{summary['name']}: k-means of {counted(summary['rows'], 'row')}", columns=columns)
    for row in summary["choices"]:
        cells = [row["clusters"], row["inertia"], row["silhouette"], f"{row['same_best']} of {summary['starts']}"]
        table.add(*cells, *([row["rand_index"]] if summary["target"] is not None else []))
    sizes = ", ".join(map(str, summary["sizes"]))
    if len(summary["choices"]) > 1:
        table.footnotes.append(
            f"The silhouette is largest with {summary['clusters']} clusters, of {sizes} rows: those in the files."
        )
    else:
        table.footnotes.append(f"Clusters of {sizes} rows.")
    if summary["silhouette_rows"] < summary["rows"]:
        table.footnotes.append(f"Silhouettes are those of {summary['silhouette_rows']} rows, drawn at random.")
    if summary["target"] is not None:
        table.footnotes.append("Agreement is the adjusted Rand index: 1 for the same groups, 0 on average by chance.")
    table.footnotes.append(" ".join([f"{summary['seconds']:.2f} s.", *kept_in(folder)]))
    return table
