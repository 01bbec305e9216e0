"""Which pictures there are, which of them a run has, and which is the one to show first.

This module is cheap to import: a kind's own module, and matplotlib with it, is loaded when it is drawn.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dlrun.errors import ConfigError, RunError
from dlrun.reporting.plots.source import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user may say about a picture.

    log         a logarithmic axis for costs and errors
    by          what cost curves run over: "epoch" or "step"
    expression  the cost whose contours lie under a path, where the run's summary does not tell it
    """

    title: str | None = None
    log: bool = False
    by: str = "epoch"
    expression: str | None = None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of picture: `function` of `module` in this folder draws it from the files that `needs` names.

    needs    any of these is enough, each a file and the columns it must have; a kind with `check` asks that too
    several  whether several runs go into one picture
    """

    module: str
    function: str = "draw"
    about: str
    needs: tuple[tuple[str, ...], ...]
    several: bool = False
    check: str | None = None
    inches: tuple[float, float] = field(default=(7.2, 4.5))

    def fits(self, source: Source) -> bool:
        """Whether the run has what this picture shows."""
        if not any(source.has(*need) for need in self.needs):
            return False
        return self.check is None or bool(getattr(self._loaded(), self.check)(source))

    def draw(self, figure: Figure, sources: Sequence[Source], options: Options) -> None:
        """Draw into an empty figure."""
        function: Callable[[Figure, Sequence[Source], Options], None] = getattr(self._loaded(), self.function)
        function(figure, sources, options)

    def _loaded(self) -> object:
        return importlib.import_module(f"dlrun.reporting.plots.{self.module}")


KINDS = {
    "cost": Kind(
        module="curves",
        about="cost of train and dev over the epochs, of several runs too; mean and band over replicas",
        needs=(("metrics.csv",),),
        several=True,
    ),
    "error": Kind(
        module="curves",
        function="draw_error",
        about="error of train and dev over the epochs, beside the baseline",
        needs=(("metrics.csv",),),
        several=True,
    ),
    "learning_rate": Kind(
        module="curves",
        function="draw_learning_rate",
        about="the learning rate over the epochs: warm-up and decay",
        needs=(("metrics.csv", "learning_rate"),),
        several=True,
    ),
    "regions": Kind(
        module="regions",
        about="decision regions of a classifier of two numeric features, with the rows",
        needs=(("model.safetensors",),),
        check="has_plane",
        several=True,
    ),
    "line": Kind(
        module="regions",
        function="draw_line",
        about="answers along the only feature of a model, with the rows",
        needs=(("model.safetensors",),),
        check="has_line",
    ),
    "confusion": Kind(
        module="confusion",
        about="confusion matrix: what each class was taken for",
        needs=(("predictions.csv",), ("model.safetensors",)),
        check="has_classes",
        inches=(6.0, 5.0),
    ),
    "reliability": Kind(
        module="reliability",
        about="reliability curve: are the probabilities right?",
        needs=(("predictions.csv",), ("model.safetensors",)),
        check="has_probabilities",
        several=True,
        inches=(6.0, 5.4),
    ),
    "predicted": Kind(
        module="predicted",
        about="answers of a regression against the targets",
        needs=(("predictions.csv",), ("model.safetensors",)),
        check="has_numbers",
        several=True,
        inches=(6.0, 5.0),
    ),
    "folds": Kind(
        module="resampled",
        function="draw_folds",
        about="errors of folds or repeated holdouts as boxes, runs side by side",
        needs=(("folds.csv",),),
        several=True,
    ),
    "bootstrap": Kind(
        module="resampled",
        function="draw_bootstrap",
        about="errors of the bootstrap samples, and the estimates with their intervals",
        needs=(("replicates.csv",),),
        inches=(7.2, 5.2),
    ),
    "parallel": Kind(
        module="trials",
        about="all trials of a search as lines across the keys, blue where the score is good",
        needs=(("trials.csv",),),
        check="has_keys",
        inches=(8.0, 4.5),
    ),
    "slices": Kind(
        module="trials",
        function="draw_slices",
        about="the score of the trials along each key",
        needs=(("trials.csv",),),
        check="has_keys",
        inches=(7.2, 3.4),
    ),
    "rounds": Kind(
        module="trials",
        function="draw_rounds",
        about="the boxes of a search from coarse to fine",
        needs=(("trials.csv", "round"),),
        check="has_rounds",
    ),
    "gradcheck": Kind(
        module="checks",
        about="relative difference of each parameter's gradient, with its verdict",
        needs=(("gradcheck.csv",),),
    ),
    "epsilon": Kind(
        module="checks",
        function="draw_sweep",
        about="error of the gradient check against ε, one- and two-sided",
        needs=(("epsilon_sweep.csv",),),
    ),
    "layers": Kind(
        module="diagnosed",
        function="draw_layers",
        about="activations and gradients layer by layer: do they vanish, explode or die?",
        needs=(("layers.csv",),),
        inches=(9.0, 3.4),
        several=True,
    ),
    "learning_curve": Kind(
        module="diagnosed",
        function="draw_learning_curve",
        about="errors against the number of training rows",
        needs=(("learning_curve.csv",),),
        several=True,
    ),
    "path": Kind(
        module="path",
        about="the path of an optimizer, over the contours of a cost of two variables",
        needs=(("path.csv",),),
        several=True,
    ),
    "steps": Kind(
        module="descent",
        function="draw_steps",
        about="the cost of every batch, runs side by side",
        needs=(("steps.csv",),),
        several=True,
    ),
    "descent": Kind(
        module="descent",
        function="draw_descent",
        about="the way of two parameters over the cost of all training rows, runs side by side",
        needs=(("steps.csv",),),
        check="has_two_parameters",
        several=True,
    ),
    "clusters": Kind(
        module="clusters",
        about="the clusters of k-means, their borders and centres",
        needs=(("assignments.csv",),),
        check="has_plane",
    ),
    "elbow": Kind(
        module="clusters",
        function="draw_elbow",
        about="inertia and silhouette against the number of clusters",
        needs=(("elbow.csv",),),
        inches=(8.0, 3.6),
    ),
    "smooth": Kind(
        module="smoothed",
        about="a series with its exponentially weighted averages",
        needs=(("smoothed.csv",),),
    ),
}
# The picture to show first, by command; the first of these that the run has.
FIRST: dict[str, tuple[str, ...]] = {
    "train": ("cost", "confusion", "predicted"),
    "crossval": ("folds",),
    "holdout": ("folds",),
    "bootstrap": ("bootstrap",),
    "tune": ("rounds", "parallel"),
    "gradcheck": ("epsilon", "gradcheck"),
    "diagnose": ("learning_curve", "layers"),
    "minimize": ("path",),
    "kmeans": ("clusters", "elbow"),
}


def fitting(source: Source) -> list[str]:
    """The kinds that this run has, the one to show first in front."""
    found = [name for name, kind in KINDS.items() if kind.fits(source)]
    first = next((name for name in FIRST.get(source.command, ()) if name in found), None)
    return found if first is None else [first, *(name for name in found if name != first)]


def choose(sources: Sequence[Source], wanted: str | None) -> str:
    """The kind to draw: the one wanted, or the first that all the runs have.

    RunError where a run has no such picture, ConfigError for a kind that there is not.
    """
    if wanted is not None and wanted not in KINDS:
        near = difflib.get_close_matches(wanted, KINDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"--kind {wanted}: no such kind; {hint}There are {', '.join(KINDS)}")
    kinds = [fitting(source) for source in sources]
    for source, found in zip(sources, kinds, strict=True):
        if not found:
            raise RunError(f"{source.path}: nothing to plot: {_run(source)} leaves no file with figures to draw")
        if wanted is not None and wanted not in found:
            raise RunError(f"{source.path}: {_run(source)} has no {wanted} to plot; it has {', '.join(found)}")
    if wanted is not None:
        kind = wanted
    else:
        common = [name for name in kinds[0] if all(name in found for found in kinds)]
        together = [name for name in common if KINDS[name].several]
        if len(sources) > 1 and not together:
            raise RunError("these runs have no picture in common that takes several; plot them one by one")
        kind = (together if len(sources) > 1 else common)[0]
    if len(sources) > 1 and not KINDS[kind].several:
        raise RunError(f"--kind {kind}: shows one run, and {len(sources)} are given; plot them one by one")
    return kind


def _run(source: Source) -> str:
    return f"a run of `dlrun {source.command}`" if source.command else "this file"
