"""Loops over the elements of tensors: maps, which fill tensors, and reductions.

Axes along which all operands go on evenly are taken together, so that most loops have one axis, and the last one is
taken a register at a time. How a sum is ordered follows from shapes and strides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from dlrun.engines.cpu.operations import compute, scalar_of
from dlrun.engines.cpu.places import Place
from dlrun.engines.cpu.text import Code, pieces, vector
from dlrun.graph.node import Node

ABREAST = 4  # sums side by side, as an addition takes four cycles


@dataclass
class Expressions:
    """What the elements of tensors are computed from.

    number  the value of a node all of whose elements are one known number, or None
    place   where a node lies that has been computed; None for one that is to be computed here
    inputs  the nodes that a node is computed from
    shape   a node's extents
    """

    number: Callable[[Node], float | None]
    place: Callable[[Node], Place | None]
    inputs: Callable[[Node], tuple[Node, ...]]
    shape: Callable[[Node], tuple[int, ...]]

    def leaves(self, nodes: Collection[Node]) -> dict[Node, Place]:
        """The computed tensors that these are made from."""
        found: dict[Node, Place] = {}
        waiting, seen = list(nodes), set[Node]()
        while waiting:
            node = waiting.pop()
            if node in seen or self.number(node) is not None:
                continue
            seen.add(node)
            place = self.place(node)
            if place is not None:
                found[node] = place
            else:
                waiting += self.inputs(node)
        return found


@dataclass
class _Walk:
    """One nest of loops: axes with their extents, and the strides of each place along them."""

    extents: list[int]
    strides: dict[Place, list[int]]
    reduced: list[bool] = field(default_factory=list)


def _walk(shape: tuple[int, ...], places: Sequence[Place], reduced: Collection[int] = ()) -> _Walk:
    """The axes of a shape, those of extent 1 left out, neighbours taken together where all places allow it."""
    all_strides = {place: place.strides(shape) for place in places}
    extents: list[int] = []
    strides: dict[Place, list[int]] = {place: [] for place in places}
    flags: list[bool] = []
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        flag = axis in reduced
        joins = (
            bool(extents) and flags[-1] == flag and all(strides[p][-1] == all_strides[p][axis] * extent for p in places)
        )
        if joins:
            extents[-1] *= extent
            for p in places:
                strides[p][-1] = all_strides[p][axis]
        else:
            extents.append(extent)
            flags.append(flag)
            for p in places:
                strides[p].append(all_strides[p][axis])
    return _Walk(extents, strides, flags)


class _Reader:
    """Values of expressions at one place of a walk."""

    def __init__(self, code: Code, expressions: Expressions, leaves: Mapping[Node, Place], walk: _Walk) -> None:
        self.code, self.expressions, self.leaves, self.walk = code, expressions, leaves, walk
        self._single: dict[Node, str] = {}

    def prepare(self, nodes: Sequence[Node]) -> None:
        """Compute what is one number throughout, ahead of the loops."""
        for node in self._order(nodes):
            if self.expressions.number(node) is None and math.prod(self.expressions.shape(node)) == 1:
                self._single[node] = self._value(node, [], 1, {})

    def _order(self, nodes: Sequence[Node]) -> list[Node]:
        order: dict[Node, None] = {}

        def visit(node: Node) -> None:
            if node in order:
                return
            if node not in self.leaves and self.expressions.number(node) is None:
                for x in self.expressions.inputs(node):
                    visit(x)
            order[node] = None

        for node in nodes:
            visit(node)
        return list(order)

    def values(self, nodes: Sequence[Node], indices: Sequence[str], width: int) -> list[str]:
        """Of `width` neighbours along the last axis, at these indices of all axes."""
        memo: dict[Node, str] = {}
        return [self._value(node, indices, width, memo) for node in nodes]

    def _value(self, node: Node, indices: Sequence[str], width: int, memo: dict[Node, str]) -> str:
        if node in memo:
            return memo[node]
        known = self.expressions.number(node)
        scalar = scalar_of(node)
        if known is not None:
            found = self.code.constant(known, scalar, width) if scalar != "i1" else str(bool(known)).lower()
        elif node in self._single:
            found = self.code.splat(self._single[node], scalar, width)
        elif node in self.leaves:
            found = self._read(self.leaves[node], indices, width)
        else:
            inputs = [self._value(x, indices, width, memo) for x in self.expressions.inputs(node)]
            found = compute(self.code, node, inputs, width)
        memo[node] = found
        return found

    def _read(self, place: Place, indices: Sequence[str], width: int) -> str:
        strides = self.walk.strides[place]
        offset = offset_of(self.code, place, strides, indices)
        return read(self.code, place, offset, strides[-1] if strides else 0, width)


def offset_of(code: Code, place: Place, strides: Sequence[int], indices: Sequence[str]) -> str:
    """The element's number after the root's address."""
    total = str(place.offset)
    for index, stride in zip(indices, strides, strict=False):
        total = code.add(code.times(index, stride), total)
    return total


def read(code: Code, place: Place, offset: str, stride: int, width: int) -> str:
    """`width` elements, `stride` apart."""
    memory, base = place.scalar, place.root.address
    value_type = "i1" if memory == "i8" else memory
    if stride == 0 or width == 1:
        value = _truth(code, code.load(base, offset, memory), memory, 1)
        return code.splat(value, value_type, width)
    if stride == 1:
        return _truth(code, code.load(base, offset, memory, width), memory, width)
    kind = vector(memory, width)
    value = "poison"
    for lane in range(width):
        element = code.load(base, code.add(offset, str(lane * stride)), memory)
        value = code.op(f"insertelement {kind} {value}, {memory} {element}, i64 {lane}")
    return _truth(code, value, memory, width)


def _truth(code: Code, value: str, memory: str, width: int) -> str:
    return code.op(f"trunc {vector('i8', width)} {value} to {vector('i1', width)}") if memory == "i8" else value


def write(code: Code, value: str, place: Place, offset: str, stride: int, width: int) -> None:
    """The inverse of `read`."""
    memory, base = place.scalar, place.root.address
    if memory == "i8":
        value = code.op(f"zext {vector('i1', width)} {value} to {vector('i8', width)}")
    if stride == 1 or width == 1:
        code.store(value, base, offset, memory, width)
        return
    for lane in range(width):
        element = code.op(f"extractelement {vector(memory, width)} {value}, i64 {lane}")
        code.store(element, base, code.add(offset, str(lane * stride)), memory)


def map_elements(
    code: Code, expressions: Expressions, outputs: Sequence[tuple[Node, Place]], shape: tuple[int, ...]
) -> None:
    """Fill each place with its node's elements, all in one nest of loops.

    At each step everything is read and computed before anything is written: an output may lie where an input lies.
    """
    nodes = [node for node, _ in outputs]
    leaves = expressions.leaves(nodes)
    places = [*leaves.values(), *(place for _, place in outputs)]
    walk = _walk(shape, places)
    reader = _Reader(code, expressions, leaves, walk)
    reader.prepare(nodes)

    def turn(indices: Sequence[str], width: int) -> None:
        values = reader.values(nodes, indices, width)
        for (_, place), value in zip(outputs, values, strict=True):
            strides = walk.strides[place]
            write(code, value, place, offset_of(code, place, strides, indices), strides[-1] if strides else 1, width)

    widest = max((scalar_of(node) for node in (*nodes, *leaves)), key=lambda s: 8 if s == "double" else 4)
    _over(code, walk.extents, code.width(widest), turn)


def _over(code: Code, extents: Sequence[int], width: int, turn: Callable[[Sequence[str], int], None]) -> None:
    """Call `turn` for every element of the axes, the last one by registers and what is left of them."""
    if not extents:
        turn([], 1)
        return
    with ExitStack() as nest:
        outer = [nest.enter_context(code.loop(0, extent, 1)).index for extent in extents[:-1]]
        last = extents[-1]
        if last >= 2 * width:
            with code.loop(0, last - last % width, width) as loop:
                turn([*outer, loop.index], width)
        elif last >= width:
            turn([*outer, "0"], width)
        for start, size in pieces(last, width):
            turn([*outer, str(start)], size)


# -- reductions ------------------------------------------------------------------------------------

_START = {"sum": 0.0, "max": -math.inf, "min": math.inf, "prod": 1.0}


class Reduction:
    """out ← the sum (max, min, product) of a node over the axes that `out` (of as many axes) has no extent in."""

    def __init__(self, code: Code, expressions: Expressions, how: str, node: Node, out: Place) -> None:
        self.code, self.how, self.node, self.out = code, how, node, out
        self.scalar = scalar_of(node)
        shape = expressions.shape(node)
        reduced = [axis for axis, (a, b) in enumerate(zip(shape, out.shape, strict=True)) if a != b]
        leaves = expressions.leaves([node])
        self.walk = _walk(shape, [*leaves.values(), out], reduced)
        self.reader = _Reader(code, expressions, leaves, self.walk)
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
