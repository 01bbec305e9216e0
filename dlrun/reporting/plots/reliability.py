"""Are the probabilities right? Of what is called 80 % likely, 80 % should be so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.reporting.plots.answers import Answers, answers_of
from dlrun.reporting.plots.confusion import has_classes
from dlrun.reporting.plots.kinds import Options
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import BLUE, FAINT, colour, legend, line, marker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
BINS = 10


@dataclass(frozen=True, eq=False)
class Reliability:
    """For each bin with answers in it: mean probability, share that was so with its Wilson interval, and answers.

    error   the expected calibration error Σ_b n_b/n·|share_b − mean_b|
    """

    mean: FloatArray
    share: FloatArray
    low: FloatArray
    high: FloatArray
    counts: FloatArray
    error: float


def has_probabilities(source: Source) -> bool:
    """Whether the run states probabilities: it classifies."""
    return has_classes(source)


def reliability(probability: FloatArray, so: npt.NDArray[np.bool_], *, bins: int = BINS) -> Reliability:
    """Bins of equal width over [0, 1] of stated probabilities (m,), and whether each thing was so (m,)."""
    from dlrun.resampling.intervals import wilson

    place = np.minimum((probability * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    used = counts > 0
    n = counts[used]
    mean = np.bincount(place, probability, bins)[used] / n
    right = np.bincount(place, so.astype(float), bins)[used]
    ends = [wilson(r / k, int(k), 0.95) for r, k in zip(right, n, strict=True)]
    low, high = (np.array([getattr(each, end) for each in ends], float) for end in ("low", "high"))
    error = float((n / n.sum() * np.abs(right / n - mean)).sum())
    return Reliability(mean, right / n, low, high, n.astype(float), error)


def stated(found: Answers) -> tuple[FloatArray, npt.NDArray[np.bool_], str]:
    """The probabilities to look at, whether each came true, and what they are of.

    Of two classes, that of the second; of more, that of the class answered.
    """
    if len(found.classes) == 2:
        return found.answers[:, 1], found.codes == 1, f"probability of {label(found.classes[1], longest=20)}"
    return found.answers.max(axis=1), found.called == found.codes, "probability of the class answered"


def draw(figure: Figure, sources: Sequence[Source], options: Options) -> None:
    """The curve with intervals above, the histogram of the probabilities below."""
    curve, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    curve.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--", label="probabilities that are right")
    names = set()
    for index, source in enumerate(sources):
        found = answers_of(source)
        if not found.classes:
            raise RunError(f"{source.path}: a regression states no probabilities; --kind predicted shows its answers")
        probability, so, name = stated(found)
        names.add(name)
        each = reliability(probability, so)
        shown = f"{source.name}: calibration error {each.error:.3f}"
        curve.errorbar(
            each.mean,
            each.share,
            yerr=np.maximum([each.share - each.low, each.high - each.share], 0),
            color=colour(index),
            ls=line(index),
            marker=marker(index),
            ms=4.5,
            lw=1.2,
            elinewidth=0.8,
            capsize=2,
            label=shown if len(sources) > 1 else f"{found.rows}: calibration error {each.error:.3f}",
        )
        below.hist(
            probability,
            bins=list(np.linspace(0, 1, 2 * BINS + 1)),
            histtype="step" if len(sources) > 1 else "stepfilled",
            color=colour(index) if len(sources) > 1 else BLUE,
            lw=1.2,
        )
    curve.set_xlim(0, 1)
    curve.set_ylim(-0.02, 1.02)
    curve.set_ylabel("share that was so")
    below.set_ylabel("answers")
    below.set_xlabel(names.pop() if len(names) == 1 else "probability")
    several = f"reliability of {len(sources)} runs"
    curve.set_title(options.title or (f"{sources[0].title}: reliability" if len(sources) == 1 else several))
    legend(curve)
