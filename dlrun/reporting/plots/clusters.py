"""What `dlrun kmeans` found: the clusters in a plane, and what tells how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import BLUE, FAINT, GREEN, INK, colour, evenly, marker, whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
ASSIGNMENTS, ELBOW, STARTS = "assignments.csv", "elbow.csv", "starts.csv"
FIXED = ("row", "cluster", "distance")
MOST_POINTS = 3000
STEPS = 301
MARGIN = 0.08


def has_plane(source: Source) -> bool:
    """Whether there are two features to draw in."""
    return len([name for name in source.table(ASSIGNMENTS).texts if name not in FIXED]) >= 2


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Rows, centres and, of two features, the borders; of more features their first two principal components."""
    source = sources[0]
    table = source.table(ASSIGNMENTS)
    names = [name for name in table.texts if name not in FIXED]
    X = np.stack([table.numbers(name) for name in names], axis=1)
    labels = table.numbers("cluster").astype(np.int64)
    scale = np.asarray(source.summary.get("scale") or np.ones(len(names)), float)
    if scale.shape != (len(names),):
        raise RunError(f"{source.path}: summary.json has {scale.size} scales for {len(names)} features")
    axes = figure.add_subplot()
    axes.grid(False)
    if len(names) == 2:
        plane, shown = X, [label(name) for name in names]
    else:
        plane, shown = _components(X * scale)
    centres = np.stack([plane[labels == c].mean(axis=0) for c in np.unique(labels)])
    ends = [(v.min(), v.max()) for v in plane.T]
    ends = [(low - MARGIN * (high - low or 1), high + MARGIN * (high - low or 1)) for low, high in ends]
    if len(names) == 2:
        _borders(axes, centres, scale, ends)
    _rows(axes, plane, labels, centres)
    axes.set_xlim(*ends[0])
    axes.set_ylim(*ends[1])
    axes.set_xlabel(shown[0])
    axes.set_ylabel(shown[1])
    axes.set_title(options.title or f"{source.title}: {len(centres)} clusters")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _components(X: FloatArray) -> tuple[FloatArray, list[str]]:
    """The rows along their first two principal components, and how much of the variance these hold."""
    centred = X - X.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:2] * np.sign(
        directions[:2].sum(axis=1, keepdims=True)
    )  # one of two signs, always the same
    shares = sizes**2 / max(float((sizes**2).sum()), 1e-300)
    names = [f"principal component {i + 1} ({shares[i]:.0%} of the variance)" for i in range(2)]
    return centred @ directions.T, names


def _borders(axes: Axes, centres: FloatArray, scale: FloatArray, ends: Sequence[tuple[float, float]]) -> None:
    """Where two centres are equally near, in the units that distances were measured in."""
    x, y = (np.linspace(*end, STEPS) for end in ends)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    distances = (((grid[:, :, None, :] - centres) * scale) ** 2).sum(axis=3)
    for c in range(len(centres)):
        if len(centres) > 1:
            others = np.delete(distances, c, axis=2).min(axis=2)
            axes.contour(x, y, others - distances[:, :, c], levels=[0.0], colors=[FAINT], linewidths=0.9)


def _rows(axes: Axes, plane: FloatArray, labels: npt.NDArray[np.int64], centres: FloatArray) -> None:
    kept = np.array(evenly(len(plane), MOST_POINTS), np.int64)
    plane, labels = plane[kept], labels[kept]
    size = 5.0 if len(plane) <= 300 else 3.2
    for c in range(len(centres)):
        a, b = plane[labels == c].T
        axes.plot(a, b, ls="", marker=marker(c), ms=size, mec="#FFFFFF", mew=0.3, color=colour(c), label=f"cluster {c}")
    axes.plot(*centres.T, ls="", marker="*", ms=15, color=INK, mec="#FFFFFF", mew=1.0, label="centres")


def draw_elbow(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """Inertia and mean silhouette against the number of clusters, with every start a point."""
    source = sources[0]
    table = source.table(ELBOW)
    k = table.numbers("clusters")
    left, right = figure.subplots(1, 2)
    if source.has(STARTS):
        starts = source.table(STARTS)
        left.plot(
            starts.numbers("clusters"), starts.numbers("inertia"), ".", color=FAINT, alpha=0.6, label="every start"
        )
    left.plot(k, table.numbers("inertia"), "o-", color=BLUE, ms=5, label="the best start")
    left.set_ylabel("inertia")
    left.set_ylim(0, None)
    left.legend(loc="best")
    silhouette = table.numbers("silhouette")
    right.plot(k, silhouette, "s-", color=GREEN, ms=5)
    if np.isfinite(silhouette).any():
        best = int(np.nanargmax(silhouette))
        right.axvline(k[best], color=FAINT, ls=":", lw=1.2, label=f"largest with {k[best]:g} clusters")
        right.legend(loc="best")
    right.set_ylabel("mean silhouette")
    for axes in (left, right):
        axes.set_xlabel("clusters")
        whole_ticks(axes.xaxis)
    figure.suptitle(options.title or f"{source.title}: how many clusters?", x=0.01, ha="left", fontsize=11)
