"""A grid, kept for the comparison (G1): every combination of a few values of each key."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from math import prod

import numpy as np

from dlrun.tuning.space import Dimension, Space
from dlrun.tuning.trials import Draw, Trial


def grid_levels(space: Space, trials: int) -> list[int]:
    """Values per key, as equal as they can be with no more than `trials` points; a key has no more than it has values.

    The key with the fewest values gets the next one, the earlier key first, for as long as the points suffice.
    """
    limits = [each.count or trials for each in space.dimensions]
    levels = [1] * len(limits)
    growing = set(range(len(limits)))
    while growing:
        key = min(growing, key=lambda place: (levels[place], place))
        grown = prod(levels) // levels[key] * (levels[key] + 1)
        if levels[key] >= limits[key] or grown > trials:
            growing.discard(key)
        else:
            levels[key] += 1
    return levels


def axis(dimension: Dimension, levels: int) -> list[float]:
    """`levels` points of u, evenly apart, the ends of the range among them; a single one stands in the middle."""
    if dimension.count is not None:  # distinct values: the middles of their cells
        places = np.linspace(0, dimension.count - 1, levels) if levels > 1 else np.array([(dimension.count - 1) / 2])
        if dimension.range.kind != "int_log_uniform":
            return [(int(place) + 0.5) / dimension.count for place in places]
        spread = np.linspace(0, 1, levels) if levels > 1 else np.array([0.5])
        return [dimension.unit(value) for value in dict.fromkeys(dimension.value(float(u)) for u in spread)]
    return [float(u) for u in np.linspace(0, 1, levels)] if levels > 1 else [0.5]


class GridSearch:
    """The points of the grid, the last key varying fastest."""

    def __init__(self, space: Space, *, trials: int) -> None:
        axes = [axis(*pair) for pair in zip(space.dimensions, grid_levels(space, trials), strict=True)]
        self._points = [space.values(np.array(point)) for point in itertools.product(*axes)]
        shape = " × ".join(str(len(each)) for each in axes)
        held = [key for key, each in zip(space.keys, axes, strict=True) if len(each) == 1]
        notes = [f"the grid has {shape} = {self.total} points"]
        if held:
            notes.append(f"the grid holds {', '.join(held)} at one value; more trials would vary it")
        self.notes = tuple(notes)

    @property
    def total(self) -> int:
        return len(self._points)

    def ask(self, told: Mapping[int, Trial]) -> list[Draw]:
        if len(told) >= self.total:
            return []
        return [Draw(number=number, values=values) for number, values in enumerate(self._points)]
