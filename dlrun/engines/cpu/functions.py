"""exp, ln, ln(1+x), tanh and their like over vectors, by polynomials, as branches would cost more than they save.

Largest errors, in units of the last place of the result: exp 1.5, ln 1, ln(1+x) 2, tanh 3, in float32 and float64.
Numbers below the smallest normal one count as 0, here as in all of a compiled step. NaN gives NaN; infinities and
zeros give what NumPy gives.
"""

from __future__ import annotations

import math

from dlrun.engines.cpu.text import Code, vector

_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_EXP_DOUBLE = tuple(1 / math.factorial(k) for k in range(13, 1, -1))
_LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_LOG_DOUBLE = (
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)
_TANH = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
_TANH_P = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
_TANH_Q = (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3)


class Functions:
    """Functions of vectors of one type and width, written into `code`."""

    def __init__(self, code: Code, scalar: str, width: int) -> None:
        self.code, self.scalar, self.width = code, scalar, width
        self.kind = vector(scalar, width)
        self.double = scalar == "double"
        self._bits, self._mantissa = ("i64", 52) if self.double else ("i32", 23)
        self._integers = vector(self._bits, width)

    # -- arithmetic ----------------------------------------------------------------------------

    def number(self, value: float) -> str:
        return self.code.constant(value, self.scalar, self.width)

    def add(self, a: str, b: str) -> str:
        return self.code.op(f"fadd {self.kind} {a}, {b}")

    def subtract(self, a: str, b: str) -> str:
        return self.code.op(f"fsub {self.kind} {a}, {b}")

    def multiply(self, a: str, b: str) -> str:
        return self.code.op(f"fmul {self.kind} {a}, {b}")

    def divide(self, a: str, b: str) -> str:
        return self.code.op(f"fdiv {self.kind} {a}, {b}")

    def fma(self, a: str, b: str, c: str) -> str:
        return self.code.intrinsic("fmuladd", self.kind, a, b, c)

    def negative(self, a: str) -> str:
        return self.code.op(f"fneg {self.kind} {a}")

    def absolute(self, a: str) -> str:
        return self.code.intrinsic("fabs", self.kind, a)

    def larger(self, a: str, b: str) -> str:
        """max(a, b), NaN where either is."""
        return self.code.intrinsic("maximum", self.kind, a, b)

    def smaller(self, a: str, b: str) -> str:
        return self.code.intrinsic("minimum", self.kind, a, b)

    def compare(self, how: str, a: str, b: str) -> str:
        return self.code.op(f"fcmp {how} {self.kind} {a}, {b}")

    def select(self, condition: str, a: str, b: str) -> str:
        conditions = vector("i1", self.width)
        return self.code.op(f"select {conditions} {condition}, {self.kind} {a}, {self.kind} {b}")

    def polynomial(self, x: str, coefficients: tuple[float, ...]) -> str:
        """Horner's rule, the highest power first."""
        value = self.number(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.fma(value, x, self.number(coefficient))
        return value

    def _cast(self, value: str, source: str, target: str) -> str:
        return self.code.op(f"bitcast {source} {value} to {target}")

    def _integer(self, name: str, a: str, b: int) -> str:
        return self.code.op(f"{name} {self._integers} {a}, {self.code.integer(b, self._bits, self.width)}")

    # -- functions -----------------------------------------------------------------------------

    def exp(self, x: str) -> str:
        """2ⁿ·eʳ with n whole and |r| ≤ ln 2 / 2; the factor in two halves, so that neither overflows before e does."""
        lowest, highest = (-746.0, 710.0) if self.double else (-104.0, 89.0)
        x = self.select(self.compare("olt", x, self.number(lowest)), self.number(lowest), x)
        x = self.select(self.compare("ogt", x, self.number(highest)), self.number(highest), x)
        shift = 1.5 * 2.0**self._mantissa  # added, it leaves the whole number in the lowest bits
        moved = self.fma(x, self.number(math.log2(math.e)), self.number(shift))
        n = self.code.op(f"fsub {self.kind} {moved}, {self.number(shift)}")
        high, low = (6.93145751953125e-1, 1.42860682030941723212e-6) if self.double else (0.693359375, -2.12194440e-4)
        r = self.fma(n, self.number(-high), x)
        r = self.fma(n, self.number(-low), r)
        p = self.polynomial(r, _EXP_DOUBLE if self.double else _EXP)
        e = self.add(self.fma(p, self.multiply(r, r), r), self.number(1))
        whole = self._cast(moved, self.kind, self._integers)
        whole = self._integer("sub", whole, 0x4338000000000000 if self.double else 0x4B400000)  # the bits of the shift
        half = self._integer("ashr", whole, 1)
        rest = self.code.op(f"sub {self._integers} {whole}, {half}")
        return self.multiply(self.multiply(e, self._power_of_two(half)), self._power_of_two(rest))

    def _power_of_two(self, n: str) -> str:
        biased = self._integer("add", n, 1023 if self.double else 127)
        return self._cast(self._integer("shl", biased, self._mantissa), self._integers, self.kind)

    def log(self, x: str) -> str:
        """e·ln 2 + ln m with m between √½ and √2."""
        root = 0x3FE6A09E667F3BCD if self.double else 0x3F3504F3
        bits = self._cast(x, self.kind, self._integers)
        exponent = self._integer("ashr", self._integer("sub", bits, root), self._mantissa)
        taken = self._integer("shl", exponent, self._mantissa)
        m = self._cast(self.code.op(f"sub {self._integers} {bits}, {taken}"), self._integers, self.kind)
        e = self.code.op(f"sitofp {self._integers} {exponent} to {self.kind}")
        f = self.code.op(f"fsub {self.kind} {m}, {self.number(1)}")
        found = self._log_double(e, f) if self.double else self._log_float(e, f)
        smallest = 2.0 ** (-1022 if self.double else -126)
        found = self.select(self.compare("olt", x, self.number(smallest)), self.number(-math.inf), found)
        found = self.select(self.compare("olt", x, self.number(0)), self.number(math.nan), found)
        return self.select(self.compare("olt", x, self.number(math.inf)), found, self.add(x, x))

    def _log_float(self, e: str, f: str) -> str:
        z = self.multiply(f, f)
        y = self.multiply(self.multiply(f, z), self.polynomial(f, _LOG))
        y = self.fma(e, self.number(-2.12194440e-4), y)
        y = self.fma(z, self.number(-0.5), y)
        return self.fma(e, self.number(0.693359375), self.add(f, y))

    def _log_double(self, e: str, f: str) -> str:
        s = self.divide(f, self.add(f, self.number(2)))
        z = self.multiply(s, s)
        R = self.multiply(z, self.polynomial(z, _LOG_DOUBLE))
        half = self.multiply(self.multiply(f, f), self.number(0.5))
        inner = self.fma(e, self.number(1.90821492927058770002e-10), self.multiply(s, self.add(half, R)))
        outer = self.code.op(f"fsub {self.kind} {self.code.op(f'fsub {self.kind} {half}, {inner}')}, {f}")
        return self.code.op(f"fsub {self.kind} {self.multiply(e, self.number(6.93147180369123816490e-01))}, {outer}")

    def log1p(self, x: str) -> str:
        """ln w with w = 1 + x as rounded, and what the rounding took: (x − (w − 1))/w."""
        plain = self.kind
        w = self.code.op(f"fadd {plain} {x}, {self.number(1)}")
        lost = self.code.op(f"fsub {plain} {x}, {self.code.op(f'fsub {plain} {w}, {self.number(1)}')}")
        found = self.log(w)
        mended = self.code.op(f"fadd {plain} {found}, {self.divide(lost, w)}")
        fine = self.compare("olt", self.absolute(found), self.number(math.inf))
        return self.select(fine, mended, found)

    def tanh(self, x: str) -> str:
        """A polynomial near 0; elsewhere 1 − 2/(e²ˣ + 1)."""
        size = self.absolute(x)
        z = self.multiply(x, x)
        if self.double:
            ratio = self.divide(self.polynomial(z, _TANH_P), self.polynomial(z, _TANH_Q))
            near = self.fma(self.multiply(x, z), ratio, x)
        else:
            near = self.fma(self.multiply(x, z), self.polynomial(z, _TANH), x)
        tail = self.divide(self.number(2), self.add(self.exp(self.add(size, size)), self.number(1)))
        far = self.code.intrinsic("copysign", self.kind, self.subtract(self.number(1), tail), x)
        return self.select(self.compare("olt", size, self.number(0.625)), near, far)

    def sigmoid(self, x: str) -> str:
        return self.divide(self.number(1), self.add(self.exp(self.negative(x)), self.number(1)))

    def softplus(self, x: str) -> str:
        """max(x, 0) + ln(1 + e^−|x|)."""
        tail = self.log1p(self.exp(self.negative(self.absolute(x))))
        return self.add(self.larger(x, self.number(0)), tail)

    def remainder(self, a: str, b: str) -> str:
        """a mod b with the sign of b."""
        r = self.code.op(f"frem {self.kind} {a}, {b}")
        conditions = vector("i1", self.width)
        other = self.compare("olt", self.multiply(r, b), self.number(0))
        moved = self.select(other, self.add(r, b), r)
        zero = self.code.op(f"fcmp oeq {self.kind} {r}, {self.number(0)}")
        signed = self.code.intrinsic("copysign", self.kind, self.number(0), b)
        return self.code.op(f"select {conditions} {zero}, {self.kind} {signed}, {self.kind} {moved}")

    def sign(self, x: str) -> str:
        """−1, 0 or 1; NaN of NaN."""
        one = self.code.intrinsic("copysign", self.kind, self.number(1), x)
        flat = self.compare("ueq", x, self.number(0))  # 0, or NaN
        return self.select(flat, x, one)
