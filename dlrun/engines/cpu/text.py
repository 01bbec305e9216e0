"""LLVM's language, written line by line: values have names, a block has one way in, a loop counts in i64.

Vectors are written as such, a whole register at a time, so that nothing is left to a vectoriser: the order in which
numbers are added follows from the shapes alone, and compiling takes a fraction of the time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SCALARS = {"float32": "float", "float64": "double", "bool": "i1", "uint8": "i8"}


class UncoveredError(Exception):
    """Something that this engine does not do; the message says what."""


def vector(scalar: str, width: int) -> str:
    """The type of `width` values of a scalar type; one is the scalar itself."""
    return scalar if width == 1 else f"<{width} x {scalar}>"


def number(value: float, scalar: str) -> str:
    """A floating constant, bit by bit: a float is written as the double of the same value."""
    rounded = float(np.float32(value)) if scalar == "float" else float(value)
    return "0x" + struct.pack(">d", rounded).hex().upper()


@dataclass
class Loop:
    """A loop that is being written: its counter, what it carries from turn to turn, and what comes next of that."""

    index: str
    carried: list[str]
    following: list[str] = field(default_factory=list)


class Code:
    """The body of one function."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes  # bytes of a vector register
        self.lines: list[str] = []
        self.declared: dict[str, str] = {}  # intrinsics and functions, by name
        self._count = 0
        self._label = "entry"

    def width(self, scalar: str) -> int:
        """Values of this type in a register."""
        return self.lanes // (8 if scalar == "double" else 4)

    def name(self) -> str:
        """A fresh value."""
        self._count += 1
        return f"%v{self._count}"

    def op(self, text: str) -> str:
        """The value of an instruction."""
        found = self.name()
        self.lines.append(f"  {found} = {text}")
        return found

    def do(self, text: str) -> None:
        """An instruction without a value."""
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        """The start of a block."""
        self.lines.append(f"{name}:")
        self._label = name

    def fresh_label(self, kind: str) -> str:
        """A block's name."""
        self._count += 1
        return f"{kind}{self._count}"

    def call(self, result: str, function: str, arguments: Sequence[tuple[str, str]]) -> str:
        """result ← function(type value, …), declared as it is first used."""
        types = ", ".join(kind for kind, _ in arguments)
        self.declared[function] = f"declare {result} @{function}({types})"
        given = ", ".join(f"{kind} {value}" for kind, value in arguments)
        if result == "void":
            self.do(f"call void @{function}({given})")
            return ""
        return self.op(f"call {result} @{function}({given})")

    def intrinsic(self, name: str, kind: str, *values: str) -> str:
        """llvm.name of values of one type, into the same type."""
        return self.call(kind, f"llvm.{name}.{mangled(kind)}", [(kind, value) for value in values])

    # -- numbers -------------------------------------------------------------------------------

    def splat(self, value: str, scalar: str, width: int) -> str:
        """One value in every lane."""
        if width == 1:
            return value
        kind = vector(scalar, width)
        if not value.startswith("%"):
            return f"splat ({scalar} {value})"
        first = self.op(f"insertelement {kind} poison, {scalar} {value}, i64 0")
        return self.op(f"shufflevector {kind} {first}, {kind} poison, <{width} x i32> zeroinitializer")

    def constant(self, value: float, scalar: str, width: int) -> str:
        """A floating number in every lane."""
        return self.splat(number(value, scalar), scalar, width)

    def integer(self, value: int, scalar: str, width: int) -> str:
        """An integer in every lane."""
        bits = int(scalar[1:])
        signed = (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
        return self.splat(str(signed), scalar, width)

    def add(self, a: str, b: str) -> str:
        """a + b of addresses and counters (i64); sums that are known are not computed."""
        if not a.startswith("%") and not b.startswith("%"):
            return str(int(a) + int(b))
        if "0" in (a, b):
            return b if a == "0" else a
        return self.op(f"add i64 {a}, {b}")

    def times(self, a: str, factor: int) -> str:
        """a times a known number (i64)."""
        if factor == 0:
            return "0"
        if not a.startswith("%"):
            return str(int(a) * factor)
        return a if factor == 1 else self.op(f"mul i64 {a}, {factor}")

    # -- memory --------------------------------------------------------------------------------

    def address(self, base: str, offset: str, scalar: str) -> str:
        """The place of element `offset` after `base`."""
        return base if offset == "0" else self.op(f"getelementptr {scalar}, ptr {base}, i64 {offset}")

    def load(self, base: str, offset: str, scalar: str, width: int = 1) -> str:
        """Elements that stand side by side."""
        place = self.address(base, offset, scalar)
        return self.op(f"load {vector(scalar, width)}, ptr {place}, align {size_of(scalar)}")

    def store(self, value: str, base: str, offset: str, scalar: str, width: int = 1) -> None:
        """The inverse of `load`."""
        place = self.address(base, offset, scalar)
        self.do(f"store {vector(scalar, width)} {value}, ptr {place}, align {size_of(scalar)}")

    # -- control -------------------------------------------------------------------------------

    @contextmanager
    def loop(
        self, start: int | str, stop: int | str, step: int, carried: Sequence[tuple[str, str]] = ()
    ) -> Iterator[Any]:
        """for index = start; index < stop; index += step, at least once; what carries fills `following`."""
        head, done, before = self.fresh_label("loop"), self.fresh_label("done"), self._label
        self.do(f"br label %{head}")
        self.label(head)
        index, following = self.name(), self.name()
        names = [self.name() for _ in carried]
        place = len(self.lines)
        loop = Loop(index, names)
        yield loop
        phis = [f"  {index} = phi i64 [ {start}, %{before} ], [ {following}, %{self._label} ]"]
        for (kind, first), name, after in zip(carried, names, loop.following, strict=True):
            phis.append(f"  {name} = phi {kind} [ {first}, %{before} ], [ {after}, %{self._label} ]")
        self.lines[place:place] = phis
        self.do(f"{following} = add nuw nsw i64 {index}, {step}")
        more = self.op(f"icmp slt i64 {following}, {stop}")
        self.do(f"br i1 {more}, label %{head}, label %{done}")
        self.label(done)
        loop.carried = loop.following  # a block that has ended: its last values are seen from here on

    @contextmanager
    def only_if(self, condition: str) -> Iterator[None]:
        """The block, where the condition (i1) holds."""
        then, done = self.fresh_label("then"), self.fresh_label("done")
        self.do(f"br i1 {condition}, label %{then}, label %{done}")
        self.label(then)
        yield
        self.do(f"br label %{done}")
        self.label(done)


def size_of(scalar: str) -> int:
    """Bytes of a value in memory."""
    return {"float": 4, "double": 8, "i8": 1, "i32": 4, "i64": 8}[scalar]


def mangled(kind: str) -> str:
    """A type as it stands in an intrinsic's name."""
    short = {"float": "f32", "double": "f64"}
    if kind.startswith("<"):
        count, scalar = kind[1:-1].split(" x ")
        return f"v{count}{short.get(scalar, scalar)}"
    return short.get(kind, kind)


def pieces(extent: int, width: int) -> list[tuple[int, int]]:
    """(start, width) of what is left of an extent after whole registers: by halves of the register."""
    found, start, size = [], extent - extent % width, width // 2
    while start < extent:
        if extent - start >= size:
            found.append((start, size))
            start += size
        else:
            size //= 2
    return found
