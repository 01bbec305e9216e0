"""The space of a search as a unit cube: one axis per key, along which values lie on the key's own scale.

A sampler draws u in [0, 1] and never needs to know what a key means; a range turns u into a value (G3):

    uniform          low + u·(high − low)
    log_uniform      10^r with r even between log₁₀ low and log₁₀ high
    one_minus_log    1 − 10^r with r even between log₁₀(1 − low) and log₁₀(1 − high), for the β's
    int_uniform      each whole number of [low, high] equally often
    int_log_uniform  k as often as log((k + ½)/(k − ½)), which is about 1/k
    choice           each choice equally often
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import ConfigError

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment, Range

FloatArray = npt.NDArray[np.float64]
EDGE = 0.02  # a value this near to an end of its axis lies on the edge


@dataclass(frozen=True)
class Dimension:
    """One key and its range."""

    key: str
    range: Range

    @property
    def ordered(self) -> bool:
        """Whether nearer values are more alike: all but choices."""
        return self.range.kind != "choice"

    @property
    def count(self) -> int | None:
        """How many values there are; None where they are real numbers."""
        if self.range.kind == "choice":
            return len(self.range.choices)
        low, high = self.range.low, self.range.high
        if self.range.kind.startswith("int"):
            assert isinstance(low, int)
            assert isinstance(high, int)
            return high - low + 1
        return None

    def value(self, u: float) -> Any:
        """The value at u in [0, 1]."""
        kind = self.range.kind
        if kind == "choice":
            return self.range.choices[min(int(u * len(self.range.choices)), len(self.range.choices) - 1)]
        low, high = self._ends()
        if u in (0, 1):  # the logarithm and back would miss the ends by their last digits
            return (int if kind.startswith("int") else float)(low if u == 0 else high)
        scaled = self._unscale(self._scale_low + u * (self._scale_high - self._scale_low))
        if kind.startswith("int"):
            return int(min(max(round(scaled) if kind == "int_log_uniform" else math.floor(scaled), low), high))
        return float(min(max(scaled, low), high))  # rounding must not leave the range

    def unit(self, value: Any) -> float:
        """The u of a value: the middle of its cell where values are counted."""
        start, stop = self.cell(value)
        return (start + stop) / 2

    def cell(self, value: Any) -> tuple[float, float]:
        """The interval of u that gives this value; a single point where values are real numbers."""
        kind = self.range.kind
        if kind == "choice":
            n, place = len(self.range.choices), self._place(value)
            return place / n, (place + 1) / n
        if kind == "int_uniform":
            return self._at(value), self._at(value + 1)
        if kind == "int_log_uniform":
            return self._at(value - 0.5), self._at(value + 0.5)
        return self._at(value), self._at(value)

    def _place(self, value: Any) -> int:
        return [value_key(choice) for choice in self.range.choices].index(value_key(value))

    def _ends(self) -> tuple[float, float]:
        low, high = self.range.low, self.range.high
        assert low is not None
        assert high is not None
        return low, high

    @property
    def _scale_low(self) -> float:
        low, _ = self._ends()
        return self._scale(low - 0.5 if self.range.kind == "int_log_uniform" else low)

    @property
    def _scale_high(self) -> float:
        _, high = self._ends()
        grown = {"int_log_uniform": 0.5, "int_uniform": 1.0}.get(self.range.kind, 0.0)
        return self._scale(high + grown)

    def _scale(self, value: float) -> float:
        if self.range.kind in ("log_uniform", "int_log_uniform"):
            return math.log(value)
        return math.log1p(-value) if self.range.kind == "one_minus_log" else float(value)

    def _unscale(self, scaled: float) -> float:
        if self.range.kind in ("log_uniform", "int_log_uniform"):
            return math.exp(scaled)
        return -math.expm1(scaled) if self.range.kind == "one_minus_log" else scaled

    def _at(self, value: float) -> float:
        span = self._scale_high - self._scale_low
        return min(max((self._scale(value) - self._scale_low) / span, 0.0), 1.0)


@dataclass(frozen=True)
class Space:
    """The keys that a search varies."""

    dimensions: tuple[Dimension, ...]

    @classmethod
    def of(cls, experiment: Experiment) -> Space:
        """`[tune.space]`. Raises ConfigError where it is empty."""
        if not experiment.tune.space:
            raise ConfigError(
                "tune.space is empty: nothing to search; should name a key and its range, as in "
                '"optimizer.learning_rate" = {log_uniform = [1e-4, 1.0]}'
            )
        return cls(tuple(Dimension(key, range_) for key, range_ in experiment.tune.space.items()))

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(each.key for each in self.dimensions)

    def values(self, units: FloatArray) -> dict[str, Any]:
        """The values at a point (d,) of the cube."""
        return {each.key: each.value(float(u)) for each, u in zip(self.dimensions, units, strict=True)}

    def units(self, values: Mapping[str, Any]) -> FloatArray:
        """The point (d,) of the cube at these values."""
        return np.array([each.unit(values[each.key]) for each in self.dimensions])


def value_key(value: Any) -> str:
    """A value as a text that equal ones share: 1, 1.0 and true are equal in Python and different choices."""
    return json.dumps(value, sort_keys=True)


def edges(experiment: Experiment, space: Space, values: Mapping[str, Any]) -> list[str]:
    """A sentence for each key whose value lies on the edge of its range, where the key would take a wider one."""
    sentences = []
    for each in space.dimensions:
        if not each.ordered:
            continue
        start, stop = each.cell(values[each.key])
        end = "lower" if start <= (0 if each.count else EDGE) else "upper"
        if end == "upper" and stop < (1 if each.count else 1 - EDGE):
            continue
        if _goes_on(experiment, each, end):
            kind, low, high = each.range.kind, each.range.low, each.range.high
            sentences.append(
                f"{each.key} = {_short(values[each.key])} of the best trial lies on the {end} edge of "
                f"{kind} = [{low:g}, {high:g}]; a wider range may hold a better value"
            )
    return sentences


def _goes_on(experiment: Experiment, dimension: Dimension, end: str) -> bool:
    """Whether the key takes values a little beyond that end of its range."""
    from dlrun.config import with_values

    low, high = dimension.range.low, dimension.range.high
    assert low is not None
    assert high is not None
    if dimension.count:
        beyond: float = low - 1 if end == "lower" else high + 1
    elif dimension.range.kind == "log_uniform":
        beyond = low * 0.99 if end == "lower" else high * 1.01
    elif dimension.range.kind == "one_minus_log":
        beyond = low - 0.01 * (1 - low) if end == "lower" else high + 0.01 * (1 - high)
    else:
        beyond = low - 0.01 * (high - low) if end == "lower" else high + 0.01 * (high - low)
    try:
        with_values(experiment, {dimension.key: beyond})
    except ConfigError:
        return False
    return True


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
