"""Where a tensor of one replica lies: a root (memory with one address) and a view of it.

A root carries a NumPy array of its size, which is never read or written: views are made of it by the graph's own
rules, and offset and strides are read off. So whatever moves values without computing needs no rule here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlrun.engines.cpu.text import SCALARS, UncoveredError

_ALIGNMENT = 64


@dataclass(eq=False)
class Root:
    """Memory. `address` is the value that holds its address; that of the workspace's parts is known last.

    kept  whether its content outlives a step, so that nothing else may use the memory
    """

    array: np.ndarray[Any, Any]
    address: str = ""
    kept: bool = False

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: Any, address: str = "", *, kept: bool = False) -> Root:
        return cls(np.empty(shape, dtype), address, kept)

    @property
    def bytes(self) -> int:
        """Room that it takes, with what vectors may read beyond its end."""
        return -(-max(self.array.nbytes, 1) // _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True, eq=False)
class Place:
    """A view of a root: shape, and offset and strides in elements."""

    root: Root
    view: np.ndarray[Any, Any]

    @classmethod
    def whole(cls, root: Root) -> Place:
        return cls(root, root.array)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.view.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def scalar(self) -> str:
        """The type of an element as it lies in memory."""
        name = self.view.dtype.name
        if name not in ("float32", "float64", "bool"):
            raise UncoveredError(f"tensors of {name}")
        return "i8" if name == "bool" else SCALARS[name]

    @property
    def offset(self) -> int:
        start = int(self.view.__array_interface__["data"][0]) - int(self.root.array.__array_interface__["data"][0])
        return start // self.view.itemsize

    def strides(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Strides when it is read as a tensor of this shape; 0 where it is spread."""
        missing = len(shape) - self.view.ndim
        own = [
            0 if extent == 1 else stride // self.view.itemsize
            for extent, stride in zip(self.view.shape, self.view.strides, strict=True)
        ]
        return (*(0,) * missing, *own)

    def like(self, other: Place) -> bool:
        """Whether both are the same elements."""
        same = self.root is other.root and self.offset == other.offset
        return same and self.strides(self.shape) == other.strides(other.shape)
