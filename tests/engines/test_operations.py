"""Every element-wise operation, and the functions behind them, against NumPy in higher precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engines.conftest import Evaluate

from dlrun.graph import arithmetic
from dlrun.graph.node import OPS, apply

RANDOM = np.random.default_rng(7)
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-3, 88.0, -88.0, 200.0, -200.0, 0.625, 2.5, 3.5]
EXACT: dict[str, Any] = {
    "negative": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "round": np.rint,
    "floor": np.floor,
    "reciprocal": lambda x: 1 / x,
    "square": np.square,
    "sqrt": np.sqrt,
    "step": lambda x: (x > 0).astype(x.dtype),
}
NEAR: dict[str, Any] = {  # with the largest error in units of the last place
    "exp": (np.exp, 2),
    "log": (np.log, 2),
    "log1p": (np.log1p, 3),
    "tanh": (np.tanh, 4),
    "sin": (np.sin, 2),
    "cos": (np.cos, 2),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 4),
    "softplus": (lambda x: np.logaddexp(x, 0), 4),
}
BINARY: dict[str, Any] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mod": np.mod,
    "power": np.power,
}
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
DTYPES = ["float32", "float64"]


def points(dtype: str) -> Any:
    """Small, middling and special values; 103 of them, which no register divides."""
    drawn = np.concatenate([RANDOM.standard_normal(44), RANDOM.uniform(-80, 80, 44)])
    return np.concatenate([drawn, SPECIAL]).astype(dtype)[None]


def test_no_operation_is_left_out() -> None:
    told = {*EXACT, *NEAR, *BINARY, *COMPARISONS, "cast", "where"}
    assert told == {name for name, op in OPS.items() if op.elementwise}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_exact(evaluate: Evaluate, name: str, dtype: str) -> None:
    x = points(dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(evaluate(lambda a: apply(name, a), x), EXACT[name](x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NEAR)
def test_functions(evaluate: Evaluate, name: str, dtype: str) -> None:
    x = points(dtype)
    function, units = NEAR[name]
    with np.errstate(all="ignore"):
        expected = function(x.astype(np.longdouble)).astype(np.longdouble)
        found = evaluate(lambda a: apply(name, a), x)
        rounded = expected.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(found[~finite], rounded[~finite])
    smallest = np.finfo(dtype).smallest_normal
    unit = np.spacing(np.maximum(np.abs(rounded[finite]), smallest)).astype(np.longdouble)
    error = np.abs(found[finite] - expected[finite]) / unit
    if name in ("sin", "cos"):
        unit = np.finfo(dtype).eps
        error = np.abs(found[finite] - expected[finite]) / unit
    assert error.max() <= units


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["exp", "log", "log1p", "tanh"])
def test_functions_over_their_range(evaluate: Evaluate, name: str, dtype: str) -> None:
    low, high = {"exp": (-80, 80), "log": (1e-30, 1e3), "log1p": (-0.99, 50), "tanh": (-9, 9)}[name]
    x = np.linspace(low, high, 20001).astype(dtype)[None]
    if name == "log":
        x = np.geomspace(low, high, 20001).astype(dtype)[None]
    expected = getattr(np, name)(x.astype(np.longdouble))
    error = np.abs(evaluate(lambda a: apply(name, a), x) - expected) / np.spacing(np.abs(expected).astype(dtype))
    assert error.max() <= NEAR[name][1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_two_operands(evaluate: Evaluate, name: str, dtype: str) -> None:
    a, b = points(dtype), RANDOM.permutation(points(dtype)[0])[None]
    if name in ("mod", "power"):
        a, b = np.abs(a[:, :88]) + 0.5, RANDOM.uniform(-3, 3, (1, 88)).astype(dtype)
    with np.errstate(all="ignore"):
        expected = BINARY[name](a, b)
    np.testing.assert_allclose(evaluate(lambda x, y: apply(name, x, y), a, b), expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(evaluate: Evaluate, name: str) -> None:
    a = points("float32")
    b = np.where(RANDOM.random(a.shape) < 0.5, a, a[:, ::-1])
    found = evaluate(lambda x, y: arithmetic.cast(apply(name, x, y), "float32"), a, b)
    np.testing.assert_array_equal(found, getattr(np, name)(a, b).astype("float32"))


def test_where_and_truth_values_in_memory(evaluate: Evaluate) -> None:
    a, b = RANDOM.standard_normal((2, 1, 37, 5)).astype("float32")
    np.testing.assert_array_equal(
        evaluate(lambda x, y: arithmetic.where(x > y, x, 2 * y), a, b), np.where(a > b, a, 2 * b)
    )
    np.testing.assert_array_equal(evaluate(lambda x, y: x > y, a, b), a > b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_that_are_spread(evaluate: Evaluate, dtype: str) -> None:
    x = RANDOM.standard_normal((1, 19, 33)).astype(dtype)
    row, column, one = x[:, :1], x[:, :, :1], x[:, :1, :1]
    found = evaluate(lambda a, r, c, o: (a - c) * r + o, x, row, column, one)
    np.testing.assert_array_equal(found, (x - column) * row + one)
