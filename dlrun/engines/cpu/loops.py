"""Loops over the elements of tensors, and maps, which fill tensors element by element.

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
class Walk:
    """One nest of loops: axes with their extents, and the strides of each place along them."""

    extents: list[int]
    strides: dict[Place, list[int]]
    reduced: list[bool] = field(default_factory=list)


def walk_over(shape: tuple[int, ...], places: Sequence[Place], reduced: Collection[int] = ()) -> Walk:
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
    return Walk(extents, strides, flags)


class Reader:
    """Values of expressions at one place of a walk."""

    def __init__(self, code: Code, expressions: Expressions, leaves: Mapping[Node, Place], walk: Walk) -> None:
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
    walk = walk_over(shape, places)
    reader = Reader(code, expressions, leaves, walk)
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
