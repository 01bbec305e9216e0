"""Matrix products: small ones as loops over registers, others by the BLAS that NumPy brings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlrun.engines.cpu.places import Place, Root
from dlrun.engines.cpu.text import Code, UncoveredError, number, pieces, vector

ROWS = 6  # rows of the result that are held in registers at once
OWN = 1 << 22  # m·n·k up to which loops are as fast as OpenBLAS or faster (measured, float32 and float64, AVX-512)
DEEPEST = 1024  # products of a sum: in one pass, more would lose digits that a library keeps
GEMM = {"float": "cblas_sgemm", "double": "cblas_dgemm"}  # as the module calls them; `blas` knows their addresses
_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112


@dataclass(frozen=True)
class Matrix:
    """A matrix in memory: extents, and strides in elements."""

    place: Place
    rows: int
    columns: int
    down: int
    across: int

    @classmethod
    def of(cls, place: Place, *, transposed: bool = False) -> Matrix:
        """The last two axes of a tensor whose other axes have no extent."""
        if place.view.ndim < 2 or math.prod(place.shape[:-2]) != 1:
            raise UncoveredError(f"a product of tensors of shape {place.shape}")
        rows, columns = place.shape[-2:]
        down, across = place.strides(place.shape)[-2:]
        found = cls(place, rows, columns, down or columns, across or 1)
        return found.turned if transposed else found

    @property
    def turned(self) -> Matrix:
        return Matrix(self.place, self.columns, self.rows, self.across, self.down)

    @property
    def spread(self) -> bool:
        """Whether an element stands for many, as no library reads a matrix."""
        strides = self.place.strides(self.place.shape)[-2:]
        return any(s == 0 and e > 1 for s, e in zip(strides, self.place.shape[-2:], strict=True))


class Product:
    """out ← a·b."""

    def __init__(self, out: Place, a: Place, b: Place, attributes: Mapping[str, Any]) -> None:
        self.a = Matrix.of(a, transposed=bool(attributes.get("transpose_a")))
        self.b = Matrix.of(b, transposed=bool(attributes.get("transpose_b")))
        self.out = Matrix.of(out)
        self.scalar = out.scalar
        if self.scalar not in GEMM or not a.view.dtype == b.view.dtype == out.view.dtype:
            raise UncoveredError(f"a product of {a.view.dtype} and {b.view.dtype}")
        if self.a.spread or self.b.spread or 1 not in (self.out.across, self.out.columns):
            raise UncoveredError("a product of tensors whose elements are repeated")
        m, n, k = self.out.rows, self.out.columns, self.a.columns
        self.own = k <= DEEPEST and (m * n * k <= OWN or min(m, n, k) == 1)
        if self.own and n < 8 <= m and self.a.down == 1 and m > n:
            # few columns: the transposed product fills registers
            self.a, self.b, self.out = self.b.turned, self.a.turned, self.out.turned
        self.packed: Root | None = None
        if self.own and self.b.across != 1 and self.b.columns > 1:
            self.packed = Root.of((self.b.rows, self.b.columns), out.view.dtype)
        elif not self.own and not all(1 in (x.down, x.across) for x in (self.a, self.b)):
            raise UncoveredError("a product of matrices without neighbours in memory")

    def write(self, code: Code) -> None:
        if self.own:
            _Loops(code, self).write()
        else:
            self._call(code)

    def _call(self, code: Code) -> None:
        a, b, out = self.a, self.b, self.out
        given = [("i32", str(_ROW_MAJOR))]
        given += [("i32", str(_PLAIN if x.across == 1 else _TRANSPOSED)) for x in (a, b)]
        given += [("i64", str(extent)) for extent in (out.rows, out.columns, a.columns)]
        given += [(self.scalar, number(1.0, self.scalar))]
        for x in (a, b):
            apart = max(x.down, x.columns) if x.across == 1 else max(x.across, x.rows)  # of one row it may be anything
            given += [("ptr", self._address(code, x)), ("i64", str(apart))]
        given += [(self.scalar, number(0.0, self.scalar)), ("ptr", self._address(code, out)), ("i64", str(out.down))]
        code.call("void", GEMM[self.scalar], given)

    def _address(self, code: Code, x: Matrix) -> str:
        return code.address(x.place.root.address, str(x.place.offset), self.scalar)


class _Loops:
    """Some rows and registers of the result at a time: each turn adds one column of a times one row of b."""

    def __init__(self, code: Code, product: Product) -> None:
        self.code, self.scalar = code, product.scalar
        self.a, self.b, self.out = product.a, product.b, product.out
        self._packed = product.packed
        self.width = code.width(self.scalar)

    def write(self) -> None:
        if self._packed is not None:
            self._pack(self._packed)
        n, width = self.out.columns, self.width
        breadth = 4 if n >= 4 * width else max(1, n // width)
        block = breadth * width
        whole = n - n % block
        if whole > block:
            with self.code.loop(0, whole, block) as loop:
                self._rows([(self.code.add(loop.index, str(k * width)), width) for k in range(breadth)])
        elif whole == block and n >= width:
            self._rows([(str(k * width), width) for k in range(breadth)])
        else:
            whole = 0
        rest = n - whole
        left = [(str(whole + start), width) for start in range(0, rest - rest % width, width)]
        left += [(str(whole + start), size) for start, size in pieces(rest, width)]
        if left:
            self._rows(left)

    def _pack(self, root: Root) -> None:
        """b with its rows' elements side by side."""
        b, code = self.b, self.code
        with code.loop(0, b.rows, 1) as row, code.loop(0, b.columns, 1) as column:
            source = code.add(code.times(row.index, b.down), code.times(column.index, b.across))
            value = code.load(b.place.root.address, code.add(source, str(b.place.offset)), self.scalar)
            code.store(value, root.address, code.add(code.times(row.index, b.columns), column.index), self.scalar)
        self.b = Matrix(Place.whole(root), b.rows, b.columns, b.columns, 1)

    def _rows(self, columns: list[tuple[str, int]]) -> None:
        m = self.out.rows
        registers = 24 if self.code.lanes == 64 else 12  # for results: of 32, or of 16
        height = min(m, ROWS if len(columns) > 2 else 8, max(1, registers // len(columns)))
        whole = m - m % height
        if whole > height:
            with self.code.loop(0, whole, height) as loop:
                self._block([self.code.add(loop.index, str(k)) for k in range(height)], columns)
        else:
            self._block([str(k) for k in range(height)], columns)
        if m > whole:
            self._block([str(k) for k in range(whole, m)], columns)

    def _block(self, rows: list[str], columns: list[tuple[str, int]]) -> None:
        code, scalar = self.code, self.scalar
        zero = [(vector(scalar, size), code.constant(0.0, scalar, size)) for _, size in columns]
        starts = [code.add(code.times(row, self.a.down), str(self.a.place.offset)) for row in rows]
        if self.a.columns == 1:
            sums = self._turn("0", starts, columns, [first for _ in rows for _, first in zero])
        else:
            with code.loop(0, self.a.columns, 1, [each for _ in rows for each in zero]) as loop:
                loop.following = self._turn(loop.index, starts, columns, loop.carried)
            sums = loop.carried
        places = iter(sums)
        for row in rows:
            for start, size in columns:
                self._store(next(places), row, start, size)

    def _turn(self, k: str, starts: list[str], columns: list[tuple[str, int]], sums: list[str]) -> list[str]:
        code, scalar = self.code, self.scalar
        along = code.add(code.times(k, self.b.down), str(self.b.place.offset))
        b = [code.load(self.b.place.root.address, code.add(along, start), scalar, size) for start, size in columns]
        found, places = [], iter(sums)
        step = code.times(k, self.a.across)
        for start in starts:
            value = code.load(self.a.place.root.address, code.add(start, step), scalar)
            for (_, size), row in zip(columns, b, strict=True):
                many = code.splat(value, scalar, size)
                found.append(code.intrinsic("fmuladd", vector(scalar, size), many, row, next(places)))
        return found

    def _store(self, value: str, row: str, start: str, size: int) -> None:
        code, out = self.code, self.out
        place = code.add(code.times(row, out.down), str(out.place.offset))
        if out.across == 1 or size == 1:
            offset = code.add(place, code.times(start, out.across))
            code.store(value, out.place.root.address, offset, self.scalar, size)
            return
        for lane in range(size):
            element = code.op(f"extractelement {vector(self.scalar, size)} {value}, i64 {lane}")
            offset = code.add(place, code.times(code.add(start, str(lane)), out.across))
            code.store(element, out.place.root.address, offset, self.scalar)


def float_type(dtype: Any) -> str:
    """float32 or float64 as LLVM calls them."""
    return {"float32": "float", "float64": "double"}[np.dtype(dtype).name]
