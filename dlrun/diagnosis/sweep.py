"""The error of difference quotients against ε: falling with ε or ε² until rounding, 1e-16/ε, takes over.

    error(ε) ≈ c·ε^p + σ/(‖dθ‖·ε)    p = 1 for one-sided, 2 for two-sided differences

On double logarithmic scales the two terms are straight lines of slope p and −1; the best ε lies where they cross.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlrun.diagnosis.gradcheck import relative_difference, sampled_components
from dlrun.diagnosis.noise import rounding_error
from dlrun.diagnosis.probes import Surface

FloatArray = npt.NDArray[np.float64]
EPSILONS = tuple(10.0 ** (-k / 2) for k in range(2, 25))  # 1e-1 … 1e-12
COMPONENTS = 200
ABOVE_ROUNDING = 30.0  # a point belongs to the line of slope p where its error is so many times that of rounding
SMALL = 0.05  # and the error is so small that higher powers of ε do not count
FITTED = 5  # of those points the ones with the smallest ε


@dataclass(frozen=True, kw_only=True)
class SweepLine:
    """One way of taking differences: errors (E,) by ε, the best ε, and the slope where rounding does not count.

    slope  None where no error of that kind was seen: for one-sided differences the cost is linear in each component,
           for two-sided ones quadratic
    """

    errors: tuple[float, ...]
    best_epsilon: float
    best_error: float
    slope: float | None
    fitted: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class EpsilonSweep:
    """Errors against ε on the same components for all; `kinks` of them are next to a kink at that ε."""

    epsilons: tuple[float, ...]
    one_sided: SweepLine
    two_sided: SweepLine
    kinks: tuple[int, ...]
    components: int


def epsilon_sweep(
    surface: Surface,
    analytic: FloatArray,
    *,
    epsilons: tuple[float, ...] = EPSILONS,
    sample: int = COMPONENTS,
    seed: int = 0,
    jobs: int = 1,
) -> EpsilonSweep:
    """Relative differences for every ε, in a sample of components: those clear of kinks, as long as that is half."""
    slots = surface.net.slots
    chosen = np.arange(slots[-1].stop) if slots[-1].stop <= sample else sampled_components(slots, sample, seed=seed)
    near = np.array([surface.at_kinks(chosen, epsilon, jobs=jobs) for epsilon in epsilons])  # (E, K)
    clear = near.mean(axis=1) <= 0.5
    kept = ~near[clear].any(axis=0) if clear.any() else np.ones(len(chosen), bool)
    components, near = chosen[kept], near[:, kept]
    moves = [surface.moved(components, epsilon, jobs=jobs) for epsilon in epsilons]
    sigma = rounding_error(surface.costs, surface.theta)
    size = float(np.linalg.norm(analytic[components]))
    noise = sigma * np.sqrt(len(components)) / (2 * size or 1.0) / np.array(epsilons)
    usable = np.asarray(~near.any(axis=1))
    lines = [
        _line(
            np.array(epsilons),
            np.array([relative_difference(m.numerical(one_sided=one), analytic[components]) for m in moves]),
            noise,
            usable,
        )
        for one in (True, False)
    ]
    return EpsilonSweep(
        epsilons=tuple(epsilons),
        one_sided=lines[0],
        two_sided=lines[1],
        kinks=tuple(int(n) for n in near.sum(axis=1)),
        components=len(components),
    )


def _line(epsilons: FloatArray, errors: FloatArray, noise: FloatArray, usable: npt.NDArray[np.bool_]) -> SweepLine:
    best = int(np.argmin(np.where(usable, errors, np.inf)))
    inside = usable & (errors > ABOVE_ROUNDING * noise) & (errors < SMALL) & (epsilons >= epsilons[best])
    chosen = np.flatnonzero(inside)
    chosen = chosen[np.argsort(epsilons[chosen])][:FITTED]
    slope = None
    if len(chosen) >= 3:
        slope = float(np.polyfit(np.log10(epsilons[chosen]), np.log10(errors[chosen]), 1)[0])
    return SweepLine(
        errors=tuple(map(float, errors)),
        best_epsilon=float(epsilons[best]),
        best_error=float(errors[best]),
        slope=slope,
        fitted=tuple(map(float, epsilons[chosen])),
    )
