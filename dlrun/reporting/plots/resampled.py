"""Errors of folds as boxes; errors of bootstrap samples as a distribution with its estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.errors import RunError
from dlrun.records import counted, four_digits
from dlrun.reporting.plots.curves import error_label
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, SKY, VERMILLION, colour, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 24
# The estimates of a bootstrap in the order of the texts, with a colour and a line each.
ESTIMATES = {
    "apparent": ("apparent", ORANGE, ":"),
    "oob": ("out of bag", BLUE, "-"),
    "632": (".632", GREEN, "--"),
    "632plus": (".632+", VERMILLION, "-."),
}


def draw_folds(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """A box per run over its folds' errors, every fold a point, the mean with its interval beside it."""
    axes = figure.add_subplot()
    for index, source in enumerate(sources):
        errors = source.table("folds.csv").numbers("error")
        finite = errors[np.isfinite(errors)]
        if not finite.size:
            raise RunError(f"{source.path}: folds.csv holds no finite error: every fold diverged")
        axes.boxplot(
            [finite],
            positions=[index],
            widths=0.45,
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": colour(index) + "40", "edgecolor": colour(index)},
            medianprops={"color": colour(index), "linewidth": 2},
            whiskerprops={"color": colour(index)},
            capprops={"color": colour(index)},
            manage_ticks=False,
        )
        beside = index + 0.16 * _spread(len(finite))
        axes.plot(beside, finite, "o", ms=3.5, color=colour(index), alpha=0.65, mew=0)
        _mean(axes, source, index)
    if len(sources) == 1:
        _baseline(axes, sources[0])
    axes.set_xticks(range(len(sources)), [_folds_name(source, len(sources) > 1) for source in sources])
    axes.set_xlim(-0.7, len(sources) - 0.3)
    axes.grid(False, axis="x")
    axes.set_ylabel(error_label(sources))
    if axes.get_ylim()[0] < 0:
        axes.set_ylim(bottom=-0.025 * axes.get_ylim()[1])  # no error is below 0, and a point at 0 is to be seen whole
    several = f"errors of the folds of {len(sources)} runs"
    axes.set_title(options.title or (f"{sources[0].title}: errors of the folds" if len(sources) == 1 else several))
    legend(axes)


def _spread(n: int) -> Any:
    """Offsets in [−1, 1] that keep neighbours apart, the same each time (the golden ratio's multiples)."""
    return 2 * ((np.arange(n) * 0.6180339887) % 1) - 1


def _folds_name(source: Source, several: bool) -> str:
    table = source.table("folds.csv")
    repeats = len(np.unique(table.numbers("repeat")))
    folds = len(table) // max(repeats, 1)
    shape = f"{folds} folds" if repeats == 1 else f"{repeats} × {folds} folds"
    if folds == 1:
        shape = f"{repeats} holdout{'s' if repeats > 1 else ''}"
    return f"{source.name}\n{shape}" if several else shape


def _mean(axes: Axes, source: Source, index: int) -> None:
    told = source.summary.get("error")
    if not isinstance(told, Mapping) or not isinstance(told.get("mean"), int | float):
        return
    mean, low, high = told["mean"], told.get("ci_low"), told.get("ci_high")
    ends = None if low is None or high is None else [[max(mean - low, 0)], [max(high - mean, 0)]]
    name = ("mean and its interval" if ends else "mean") if index == 0 else None
    axes.errorbar([index + 0.36], [mean], yerr=ends, fmt="D", ms=5, color=INK, capsize=3, lw=1.2, label=name)


def _baseline(axes: Axes, source: Source) -> None:
    baseline = source.summary.get("baseline")
    if not isinstance(baseline, Mapping):
        return
    error = baseline.get("error")
    error = error.get("mean") if isinstance(error, Mapping) else error
    if isinstance(error, int | float):
        name = baseline.get("kind") or "baseline"
        axes.axhline(error, color=FAINT, ls=":", lw=1.4, label=f"{name} baseline")


def draw_bootstrap(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """How the samples' errors are spread, and where the four estimates with their intervals lie."""
    source = sources[0]
    table = source.table("replicates.csv")
    errors = table.numbers("oob_error")
    sample = errors[np.isfinite(errors)]
    if not sample.size:
        raise RunError(f"{source.path}: replicates.csv holds no finite oob_error: every sample diverged")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.1])
    trained = table.numbers("train_error") if "train_error" in table else np.zeros(0)
    trained = trained[np.isfinite(trained)]
    edges = np.histogram_bin_edges(np.concatenate([sample, trained]), bins=BINS).tolist()
    axes.hist(sample, bins=edges, color=SKY, alpha=0.6, label="out-of-bag error of each sample")
    if trained.size:
        axes.hist(trained, bins=edges, histtype="step", color=PURPLE, lw=1.3, label="training error of each sample")
    estimates = source.summary.get("estimates") or {}
    told = [(key, *ESTIMATES[key]) for key in ESTIMATES if key in estimates]
    for row, (key, name, shade, style) in enumerate(told):
        value, low, high = _estimate(estimates[key])
        if value is None:
            continue
        axes.axvline(value, color=shade, ls=style, lw=1.8, label=f"{name}: {four_digits(value)}")
        ends = None if low is None or high is None else [[max(value - low, 0)], [max(high - value, 0)]]
        below.errorbar([value], [row], xerr=ends, fmt="o", ms=5, color=shade, capsize=3, lw=1.4)
    below.set_yticks(range(len(told)), [name for _, name, _, _ in told])
    below.set_ylim(len(told) - 0.4, -0.6)
    below.grid(False, axis="y")
    axes.set_ylabel("samples")
    below.set_xlabel(error_label(sources))
    axes.set_title(options.title or f"{source.title}: {counted(len(sample), 'bootstrap sample')}")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)  # bars may be anywhere


def _estimate(told: Any) -> tuple[float | None, float | None, float | None]:
    """An estimate's value and interval."""
    if isinstance(told, Mapping):
        return told.get("value"), told.get("ci_low"), told.get("ci_high")
    return told, None, None
