"""The gradient check: back-propagation against differences of the cost, parameter by parameter.

    relative difference = ‖dθ_num − dθ‖ / (‖dθ_num‖ + ‖dθ‖)

with dθ from the graph that training runs and dθ_num from costs at θ ± ε alone. About 1e-7 is great, 1e-5 asks for a
closer look, 1e-3 is a worry (Ng's course texts); here the verdicts meet half-way between these on a scale of powers.

What is not "great" is looked at more closely, since rounding (about 1e-16/ε of the cost) or the curvature that a
large ε takes in can be the cause: the differences are taken again with ε = 1e-5 and 5e-6 and extrapolated, which
leaves errors of the order ε⁴. A mistake stays what it is under another ε. Components next to a kink are not compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlrun.diagnosis.noise import rounding_error
from dlrun.diagnosis.probes import Moved, Surface
from dlrun.nn.network import Slot
from dlrun.rng import generator

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

EPSILON = 1e-7
GREAT, WORRY = 1e-6, 1e-4  # up to the first: great; above the second: worry; between them: look closer
CLOSER = 1e-5  # ε of the closer look
FLOOR = 4.0  # how many standard deviations of rounding a difference may have and still be rounding
SAMPLED_EACH = 4  # components that a sample takes of every parameter at least
FAILING = ("look closer", "worry")


@dataclass(frozen=True, kw_only=True)
class ParameterCheck:
    """What was found for one parameter.

    components  compared; `kinks` more lie next to a kink, and `size` there are in all
    relative_difference  at the ε asked for; closer_look: the extrapolated one, where it was taken
    worst       place (row, column) of the largest difference, with the values of both sides there
    verdict     great, look closer, worry; rounding: too small to be told from rounding; kinks: nothing to compare
    """

    name: str
    size: int
    components: int
    relative_difference: float
    max_absolute_difference: float
    worst: tuple[int, int] | None
    analytic: float
    numerical: float
    norm: float
    kinks: int
    closer_look: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class GradientCheck:
    """The check of all parameters. `rounding` is the standard deviation of the cost's rounding error."""

    parameters: tuple[ParameterCheck, ...]
    relative_difference: float
    epsilon: float
    one_sided: bool
    cost: float
    rounding: float
    components: int
    size: int

    @property
    def passed(self) -> bool:
        """Whether no parameter's gradient differs for good."""
        return all(each.verdict not in FAILING for each in self.parameters)

    @property
    def verdict(self) -> str:
        """The worst of the parameters' verdicts."""
        order = ("worry", "look closer", "kinks", "rounding", "great")
        found = {each.verdict for each in self.parameters}
        told = found - {"kinks", "rounding"} or found  # what cannot be told does not spoil what can
        return next(verdict for verdict in order if verdict in told)

    @property
    def failed(self) -> tuple[ParameterCheck, ...]:
        """The parameters whose gradient is wrong."""
        return tuple(each for each in self.parameters if each.verdict in FAILING)


def relative_difference(numerical: FloatArray, analytic: FloatArray) -> float:
    """‖dθ_num − dθ‖/(‖dθ_num‖ + ‖dθ‖); 0 where both are all zero."""
    both = float(np.linalg.norm(numerical) + np.linalg.norm(analytic))
    return float(np.linalg.norm(numerical - analytic)) / both if both else 0.0


def verdict_on(difference: float) -> str:
    """The verdict on a relative difference; NaN is a worry."""
    return "great" if difference <= GREAT else "look closer" if difference <= WORRY else "worry"


def sampled_components(slots: tuple[Slot, ...], count: int, *, seed: int) -> IntArray:
    """`count` components drawn at random, and no fewer than four (or all) of each parameter."""
    P = slots[-1].stop
    random = generator(seed, 0, "gradient check")
    chosen = [random.choice(P, min(count, P), replace=False)]
    for slot in slots:
        size = slot.stop - slot.start
        chosen.append(slot.start + random.choice(size, min(SAMPLED_EACH, size), replace=False))
    return np.unique(np.concatenate(chosen))


def check_gradient(
    surface: Surface,
    analytic: FloatArray,
    *,
    epsilon: float = EPSILON,
    one_sided: bool = False,
    sample: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    advance: Callable[[int], object] = lambda components: None,
) -> GradientCheck:
    """Compare `analytic` (P,) with differences of the cost, in all components or in a sample of them.

    advance(n)  is called after each parameter with the number of its components
    """
    slots = surface.net.slots
    P = slots[-1].stop
    chosen = np.arange(P) if sample is None else sampled_components(slots, sample, seed=seed)
    inspector = _Inspector(surface, analytic, epsilon, one_sided, rounding_error(surface.costs, surface.theta), jobs)
    found, numerical, smooth = [], np.zeros(P), np.zeros(P, bool)
    for slots_of_block in _by_block(surface):
        first, last = slots_of_block[0].start, slots_of_block[-1].stop
        components = chosen[(chosen >= first) & (chosen < last)]
        moved = surface.moved(components, epsilon, jobs=jobs)
        numerical[components] = moved.numerical(one_sided=one_sided)
        smooth[components] = ~inspector.kinks(moved, epsilon)
        for slot in slots_of_block:
            inside = components[(components >= slot.start) & (components < slot.stop)]
            found.append(inspector.verdict(slot, inside, numerical, smooth))
        advance(len(components))
    return GradientCheck(
        parameters=tuple(found),
        relative_difference=relative_difference(numerical[smooth], analytic[smooth]),
        epsilon=epsilon,
        one_sided=one_sided,
        cost=surface.cost,
        rounding=inspector.sigma,
        components=int(smooth.sum()),
        size=P,
    )


def _by_block(surface: Surface) -> list[list[Slot]]:
    """W_l and b_l lie in one block."""
    return [
        [slot for slot in surface.net.slots if block.start <= slot.start < block.stop] for block in surface.net.blocks
    ]


@dataclass(frozen=True)
class _Inspector:
    """Judges differences: which are kinks, which are rounding, which are mistakes."""

    surface: Surface
    analytic: FloatArray
    epsilon: float
    one_sided: bool
    sigma: float
    jobs: int

    def kinks(self, moved: Moved, epsilon: float) -> BoolArray:
        """Which components lie next to a kink: where the slopes ahead and behind differ, and a branch changes.

        The slopes of a smooth cost differ by rounding, √6·σ/ε, and by ε·J″. Only where they differ by more than
        rounding are the branches themselves looked at.
        """
        bent = ~(moved.bend <= 2 * FLOOR * np.sqrt(6) * self.sigma / epsilon)
        found = np.zeros(len(bent), bool)
        if bent.any():
            found[bent] = self.surface.at_kinks(moved.components[bent], epsilon, jobs=self.jobs)
        return found

    def verdict(self, slot: Slot, inside: IntArray, numerical: FloatArray, smooth: BoolArray) -> ParameterCheck:
        """One parameter, from the components of it that were moved."""
        compared = inside[smooth[inside]]
        num, ana = numerical[compared], self.analytic[compared]
        difference, closer = relative_difference(num, ana), None
        verdict = verdict_on(difference) if len(compared) else "kinks"
        if verdict in FAILING:
            closer, verdict = self._closer(compared)
        gaps = np.abs(num - ana)
        at = int(np.argmax(np.where(np.isnan(gaps), np.inf, gaps))) if len(compared) else None
        row, column = divmod(int(compared[at]) - slot.start, slot.shape[-1]) if at is not None else (0, 0)
        return ParameterCheck(
            name=slot.name,
            size=slot.stop - slot.start,
            components=len(compared),
            relative_difference=difference,
            max_absolute_difference=float(gaps[at]) if at is not None else 0.0,
            worst=(row, column) if at is not None else None,
            analytic=float(ana[at]) if at is not None else 0.0,
            numerical=float(num[at]) if at is not None else 0.0,
            norm=float(np.linalg.norm(ana)),
            kinks=len(inside) - len(compared),
            closer_look=closer,
            verdict=verdict,
        )

    def _closer(self, components: IntArray) -> tuple[float, str]:
        """The relative difference by (4·D(ε/2) − D(ε))/3, and the verdict on it."""
        whole = self.surface.moved(components, CLOSER, jobs=self.jobs)
        smooth = ~self.kinks(whole, CLOSER)
        if not smooth.any():
            return float("nan"), "kinks"
        half = self.surface.moved(components[smooth], CLOSER / 2, jobs=self.jobs)
        numerical = (4 * half.numerical(one_sided=False) - whole.numerical(one_sided=False)[smooth]) / 3
        analytic = self.analytic[components[smooth]]
        difference = relative_difference(numerical, analytic)
        # D has an error of σ/(√2·ε): 4/3 of it at ε/2 and 1/3 at ε are √(64 + 1)/3 of it together.
        floor = FLOOR * np.sqrt(65) / 3 * self.sigma / (np.sqrt(2) * CLOSER) * np.sqrt(len(numerical))
        if difference > GREAT and float(np.linalg.norm(numerical - analytic)) <= floor:
            return difference, "rounding"
        return difference, verdict_on(difference)
