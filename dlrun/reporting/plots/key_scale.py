"""The axis of a tuned key: values on the key's own scale (G3), laid on [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import DlrunError
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.source import Source
from dlrun.reporting.plots.style import power_of_ten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlrun.config.schema import Range

FloatArray = npt.NDArray[np.float64]
SPREAD = 50  # positive numbers that span so many times their least are shown by their logarithms


@dataclass(frozen=True)
class KeyScale:
    """A key's values as texts, and where they lie.

    kind     "linear", "log", "one_minus_log" or "choice"
    choices  for "choice", the texts in their order
    """

    key: str
    kind: str
    low: float = 0.0
    high: float = 1.0
    choices: tuple[str, ...] = ()

    def unit(self, texts: Sequence[str]) -> FloatArray:
        """The place of each value on [0, 1], NaN for a missing one."""
        if self.kind == "choice":
            places = {text: (i + 0.5) / len(self.choices) for i, text in enumerate(self.choices)}
            return np.array([places.get(text, math.nan) for text in texts])
        return np.array([self._place(float(text)) if text else math.nan for text in texts])

    def ticks(self) -> tuple[list[float], list[str]]:
        """Places of a few values, and what to write there."""
        if self.kind == "choice":
            return self.unit(self.choices).tolist(), [label(text, longest=18) for text in self.choices]
        values = self._values()
        return [self._place(value) for value in values], [self._shown(value) for value in values]

    def _values(self) -> list[float]:
        from matplotlib.ticker import MaxNLocator

        if self.kind == "linear":
            values = list(MaxNLocator(4).tick_values(self.low, self.high))
        elif self.kind == "log":
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            values = [10.0**p for p in powers] if len(powers) > 1 else [self.low, self.high]
        else:
            powers = range(math.ceil(math.log10(1 - self.high) - 1e-9), math.floor(math.log10(1 - self.low) + 1e-9) + 1)
            values = [1 - 10.0**p for p in powers] if len(powers) > 1 else [self.low, self.high]
        return [float(v) for v in values if -1e-9 <= self._place(float(v)) <= 1 + 1e-9]

    def _shown(self, value: float) -> str:
        return f"{value:.6g}" if self.kind == "one_minus_log" else power_of_ten(value)

    def _place(self, value: float) -> float:
        low, high, here = (self._scaled(v) for v in (self.low, self.high, value))
        return (here - low) / (high - low) if high != low else 0.5

    def _scaled(self, value: float) -> float:
        if self.kind == "log":
            return math.log(value) if value > 0 else math.nan
        if self.kind == "one_minus_log":
            return -math.log1p(-value) if value < 1 else math.nan
        return value


def key_scales(source: Source) -> list[KeyScale]:
    """The keys of a search in the order of trials.csv, each on the scale that its range has in config.toml."""
    table = source.table("trials.csv")
    ranges = _ranges(source)
    keys = [column for column in table.texts if "." in column]
    return [_scale(key, table.text(key).tolist(), ranges.get(key)) for key in keys]


def _scale(key: str, texts: Sequence[str], range_: Range | None) -> KeyScale:
    present = [text for text in texts if text]
    try:
        numbers = np.array([float(text) for text in present])
    except ValueError:
        numbers = np.array([])
    if not numbers.size or (range_ is not None and range_.kind == "choice"):
        known = [] if range_ is None else [as_cell(choice) for choice in range_.choices]
        return KeyScale(key, "choice", choices=tuple(known if set(known).issuperset(present) else _sorted(present)))
    low, high = float(numbers.min()), float(numbers.max())
    if range_ is None:
        kind = "log" if low > 0 and high / low > SPREAD else "linear"
        return KeyScale(key, kind, low, high)
    kind = {"log_uniform": "log", "int_log_uniform": "log", "one_minus_log": "one_minus_log"}.get(range_.kind, "linear")
    low = low if range_.low is None else float(range_.low)
    high = high if range_.high is None else float(range_.high)
    return KeyScale(key, kind, low, high)


def as_cell(value: Any) -> str:
    """A value of a key as trials.csv has it."""
    from dlrun.config.keys import value_text

    if isinstance(value, list | tuple | dict):
        return value_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sorted(texts: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(texts))
    try:
        return sorted(found, key=float)
    except ValueError:
        return sorted(found)


def _ranges(source: Source) -> Mapping[str, Range]:
    from dlrun.config import load_experiment

    path = source.file("config.toml")
    if not (source.is_folder and path.is_file()):
        return {}
    try:
        return load_experiment(path).experiment.tune.space
    except DlrunError:
        return {}
