"""Reductions: sums, products, largest and smallest elements over axes, of a tensor or of what is computed on the way.

How a sum is ordered follows from shapes and strides alone: registers side by side, and then across their lanes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack

from dlrun.engines.cpu.loops import Expressions, Reader, offset_of, walk_over, write
from dlrun.engines.cpu.operations import scalar_of
from dlrun.engines.cpu.places import Place
from dlrun.engines.cpu.text import Code, pieces, vector
from dlrun.graph.node import Node

ABREAST = 4  # sums side by side, as an addition takes four cycles
_START = {"sum": 0.0, "max": -math.inf, "min": math.inf, "prod": 1.0}


class Reduction:
    """out ← the sum (max, min, product) of a node over the axes that `out` (of as many axes) has no extent in."""

    def __init__(self, code: Code, expressions: Expressions, how: str, node: Node, out: Place) -> None:
        self.code, self.how, self.node, self.out = code, how, node, out
        self.scalar = scalar_of(node)
        shape = expressions.shape(node)
        reduced = [axis for axis, (a, b) in enumerate(zip(shape, out.shape, strict=True)) if a != b]
        leaves = expressions.leaves([node])
        self.walk = walk_over(shape, [*leaves.values(), out], reduced)
        self.reader = Reader(code, expressions, leaves, self.walk)
        self.width = code.width(self.scalar)

    def write(self) -> None:
        self.reader.prepare([self.node])
        kept = [axis for axis, flag in enumerate(self.walk.reduced) if not flag]
        if self.walk.reduced and not self.walk.reduced[-1]:
            self._by_columns(kept)
        else:
            self._by_rows(kept)

    def _indices(self, found: Mapping[int, str]) -> list[str]:
        return [found[axis] for axis in range(len(self.walk.extents))]

    def _value(self, found: Mapping[int, str], width: int) -> str:
        return self.reader.values([self.node], self._indices(found), width)[0]

    def _store(self, value: str, found: Mapping[int, str], width: int) -> None:
        strides = self.walk.strides[self.out]
        indices = [found.get(axis, "0") for axis in range(len(strides))]
        last = strides[-1] if strides and not self.walk.reduced[-1] else 1
        write(self.code, value, self.out, offset_of(self.code, self.out, strides, indices), last, width)

    def _both(self, a: str, b: str, width: int) -> str:
        kind = vector(self.scalar, width)
        if self.how in ("max", "min"):
            return self.code.intrinsic(f"{self.how}imum", kind, a, b)
        return self.code.op(f"{'fadd' if self.how == 'sum' else 'fmul'} {kind} {a}, {b}")

    def _start(self, width: int) -> str:
        return self.code.constant(_START[self.how], self.scalar, width)

    def _across(self, value: str, width: int) -> str:
        """One number from all lanes: halves upon halves."""
        while width > 1:
            half = width // 2
            kind = vector(self.scalar, width)
            parts = []
            for start in (0, half):
                lanes = ", ".join(f"i32 {start + lane}" for lane in range(half))
                parts.append(self.code.op(f"shufflevector {kind} {value}, {kind} poison, <{half} x i32> <{lanes}>"))
            if half == 1:
                one = vector(self.scalar, 1)
                parts = [self.code.op(f"extractelement <1 x {one}> {part}, i64 0") for part in parts]
            value, width = self._both(parts[0], parts[1], half), half
        return value

    def _by_columns(self, kept: list[int]) -> None:
        """The last axis stays: registers side by side go down the reduced ones."""
        extents = self.walk.extents
        last = len(extents) - 1
        with ExitStack() as nest:
            found = {
                axis: nest.enter_context(self.code.loop(0, extents[axis], 1)).index for axis in kept if axis != last
            }
            block = ABREAST * self.width
            whole = extents[last] - extents[last] % block
            if whole:
                with self.code.loop(0, whole, block) as loop:
                    starts = [(self.code.add(loop.index, str(k * self.width)), self.width) for k in range(ABREAST)]
                    self._columns(found, starts)
            rest = extents[last] - whole
            left = [(str(whole + start), self.width) for start in range(0, rest - rest % self.width, self.width)]
            left += [(str(whole + start), size) for start, size in pieces(rest, self.width)]
            if left:
                self._columns(found, left)

    def _columns(self, found: dict[int, str], columns: list[tuple[str, int]]) -> None:
        last = len(self.walk.extents) - 1
        down = [axis for axis, flag in enumerate(self.walk.reduced) if flag]

        def descend(axes: list[int], at: dict[int, str], sums: list[str]) -> list[str]:
            if not axes:
                return [
                    self._both(total, self._value({**at, last: start}, size), size)
                    for total, (start, size) in zip(sums, columns, strict=True)
                ]
            carried = [(vector(self.scalar, size), total) for total, (_, size) in zip(sums, columns, strict=True)]
            with self.code.loop(0, self.walk.extents[axes[0]], 1, carried) as loop:
                loop.following = descend(axes[1:], {**at, axes[0]: loop.index}, loop.carried)
            return list(loop.carried)

        totals = descend(down, found, [self._start(size) for _, size in columns])
        for total, (start, size) in zip(totals, columns, strict=True):
            self._store(total, {**found, last: start}, size)

    def _by_rows(self, kept: list[int]) -> None:
        """The last axis is reduced: by registers, then across them."""
        extents = self.walk.extents
        down = [axis for axis, flag in enumerate(self.walk.reduced) if flag]
        with ExitStack() as nest:
            found = {axis: nest.enter_context(self.code.loop(0, extents[axis], 1)).index for axis in kept}
            if not down:
                self._store(self._value(found, 1), found, 1)
                return

            def descend(axes: list[int], at: dict[int, str], total: str) -> str:
                if len(axes) == 1:
                    return self._both(total, self._row(at, axes[0]), 1)
                with self.code.loop(0, extents[axes[0]], 1, [(self.scalar, total)]) as loop:
                    loop.following = [descend(axes[1:], {**at, axes[0]: loop.index}, loop.carried[0])]
                return str(loop.carried[0])

            self._store(descend(down, found, self._start(1)), found, 1)

    def _row(self, at: dict[int, str], axis: int) -> str:
        """What the elements of one row come to."""
        extent, width = self.walk.extents[axis], self.width
        parts: list[str] = []
        whole = extent - extent % (ABREAST * width)
        if whole:
            carried = [(vector(self.scalar, width), self._start(width))] * ABREAST
            with self.code.loop(0, whole, ABREAST * width, carried) as loop:
                loop.following = [
                    self._both(
                        total, self._value({**at, axis: self.code.add(loop.index, str(k * width))}, width), width
                    )
                    for k, total in enumerate(loop.carried)
                ]
            parts = list(loop.carried)
        for start in range(whole, extent - extent % width, width):
            parts.append(self._value({**at, axis: str(start)}, width))
        totals: list[str] = []
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=False)
            parts = [self._both(a, b, width) for a, b in pairs] + parts[len(parts) & ~1 :]
        totals += [self._across(part, width) for part in parts]
        totals += [
            self._across(self._value({**at, axis: str(start)}, size), size) for start, size in pieces(extent, width)
        ]
        total = totals[0]
        for other in totals[1:]:
            total = self._both(total, other, 1)
        return total
