"""Building graphs: operators, names, static shapes and dtypes, and errors that say what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graph.conftest import Evaluate
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlrun import graph as g
from dlrun.errors import GraphError


def p(*shape: int | None, dtype: str = "float32") -> g.Node:
    return g.placeholder(shape, dtype, name="x")


def test_operators_build_what_python_computes(evaluate: Evaluate) -> None:
    x, y = p(2, 2, dtype="float64"), p(2, 2, dtype="float64")
    a, b = np.array([[1.5, -2.0], [3.0, 0.5]]), np.array([[2.0, 0.25], [-1.0, 4.0]])
    formulas: list[Callable[[Any, Any], Any]] = [
        lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, lambda x, y: x % y,
        lambda x, y: x @ y, lambda x, y: -x, lambda x, y: +x, lambda x, y: abs(x), lambda x, y: x**3,
        lambda x, y: 2 + x, lambda x, y: 2 - x, lambda x, y: 2 * x, lambda x, y: 2 / y, lambda x, y: 2 % y,
        lambda x, y: 2**x, lambda x, y: x < y, lambda x, y: x <= y, lambda x, y: x > y, lambda x, y: x >= y,
        lambda x, y: a @ y, lambda x, y: a + y, lambda x, y: x[0], lambda x, y: x[1, None, ::-1],
        lambda x, y: (x + 1) * (y - 1) / 3 - x**2 / y**-1,
    ]  # fmt: skip
    found = evaluate([f(x, y) for f in formulas], {x: a, y: b})
    for formula, value in zip(formulas, found, strict=True):
        np.testing.assert_allclose(value, formula(a, b), rtol=1e-14)


def test_round_and_iteration(evaluate: Evaluate) -> None:
    x = p(3, dtype="float64")
    rounded, *parts = round(x), *x
    found = evaluate([rounded, *parts], {x: [0.5, 1.5, -2.7]})
    np.testing.assert_array_equal(found[0], [0.0, 2.0, -3.0])
    assert [float(v) for v in found[1:]] == [0.5, 1.5, -2.7]
    with pytest.raises(GraphError, match="rounded to integers"):
        round(x, 2)


@pytest.mark.parametrize(
    ("build", "parts"),
    [
        (lambda: p(2, 3) + p(4, 3), ["add", "(2, 3) and (4, 3)", "axis -2"]),
        (lambda: p(2, 3) @ p(2, 3), ["matmul", "(2, 3) and (2, 3)", "inner extents 3 and 2"]),
        (lambda: p(2, 3) @ p(3), ["matmul", "(2, 3) and (3,)", "two axes"]),
        (lambda: p(2, 2, 3) @ p(4, 3, 1), ["matmul", "(2, 2, 3) and (4, 3, 1)"]),
        (lambda: p(2, None) * p(3, 4), ["multiply", "(2, ?) and (3, 4)"]),
        (lambda: g.reduce_sum(p(2, 3), 2), ["sum", "(2, 3)", "axis 2", "rank 2"]),
        (lambda: g.reduce_max(p(2, 3), (0, -2)), ["max", "axes (0, -2) name one axis twice"]),
        (lambda: g.reshape(p(2, 3), (4, 2)), ["reshape", "(2, 3)", "6 elements do not fill (4, 2)"]),
        (lambda: g.reshape(p(2, 3), (-1, -1)), ["reshape", "more than one extent open"]),
        (lambda: g.transpose(p(2, 3), (0, 0)), ["transpose", "(2, 3)", "(0, 0)"]),
        (lambda: p(2, 3)[2], ["index", "(2, 3)", "index 2 is outside axis 0 of extent 2"]),
        (lambda: p(2, 3)[0, 0, 0], ["index", "3 indices for a tensor of rank 2"]),
        (lambda: p(2, 3)["a"], ["index", "'a'"]),
        (lambda: p(2, 3)[True], ["index", "True"]),
        (lambda: p(2, 3)[..., 0, ...], ["index", "one ellipsis"]),
        (lambda: p(4)[::0], ["index", "step"]),
        (lambda: g.concatenate([p(2, 3), p(3, 3)], 1), ["concatenate", "(2, 3) and (3, 3)"]),
        (lambda: g.concatenate([p(2, 3), p(3)]), ["concatenate", "rank"]),
        (lambda: g.concatenate([]), ["concatenate", "at least one"]),
        (lambda: g.squeeze(p(2, 1), 0), ["squeeze", "(2, 1)", "extent 1"]),
        (lambda: g.where(p(2), p(2), p(2)), ["where", "float32", "bool"]),
        (lambda: (p(2) > 0) + 1, ["add", "truth values"]),
        (lambda: g.exp(p(2) > 0), ["exp", "truth values"]),
        (lambda: p(2) + "a", ["constant"]),
        (lambda: p(2, dtype="int8") + 1000, ["constant", "1000"]),
        (lambda: g.placeholder((-1,)), ["placeholder", "(-1,)"]),
        (lambda: g.placeholder((2.5,)), ["placeholder", "2.5"]),
        (lambda: g.placeholder((), "float16"), ["float16", "float32, float64"]),
        (lambda: g.placeholder((), "nonsense"), ["nonsense"]),
        (lambda: g.variable("a"), ["variable", "<U1"]),
        (lambda: g.variable(1 + 2j), ["complex128"]),
        (lambda: g.variable([[1, 2], [3]]), ["variable"]),
        (lambda: g.variable(p(2)), ["variable", "needs a value"]),
        (lambda: bool(p()), ["has no value yet"]),
        (lambda: list(p(None)), ["cannot be iterated"]),
        (lambda: g.cast(p(2), "complex64"), ["complex64"]),
    ],
)  # fmt: skip
def test_errors_name_the_operation_and_the_shapes(build: Callable[[], Any], parts: list[str]) -> None:
    with pytest.raises(GraphError) as raised:
        build()
    for part in parts:
        assert part in str(raised.value)


def test_errors_name_the_scope() -> None:
    with (
        g.name_scope("layer1"),
        g.name_scope("inner"),
        pytest.raises(GraphError, match=r"^layer1/inner/add of \(2,\) and"),
    ):
        p(2) + p(3)


def test_names_and_scopes() -> None:
    with g.name_scope("layer1"):
        node = (p(2) + 1).named("z")
        with g.name_scope("deep"):
            inner = node * 2
    assert (node.name, inner.name, inner.scope) == ("layer1/z", "layer1/deep/multiply", "layer1/deep/")
    assert (node + 1).scope == ""
    assert repr(node) == "<layer1/z: add (2,) float32>"
    assert repr(p(2, None)) == "<x: placeholder (2, ?) float32>"


# -- dtypes ------------------------------------------------------------------------------------

TYPES = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8"]


@pytest.mark.parametrize("a", TYPES)
@pytest.mark.parametrize("b", TYPES)
def test_two_types_give_numpys(a: str, b: str) -> None:
    assert (p(2, dtype=a) * p(2, dtype=b)).dtype == np.result_type(a, b)
    divided = np.dtype(np.result_type(a, b))
    expected = divided if divided.kind == "f" else np.dtype("float32" if divided.itemsize <= 2 else "float64")
    assert (p(2, dtype=a) / p(2, dtype=b)).dtype == expected


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["exp", "sqrt", "inv", "sigmoid", "log1p", "floor", "round", "tanh"])
def test_float_functions_of_integers_compute_in_floats(name: str, dtype: str, evaluate: Evaluate) -> None:
    x = p(3, dtype=dtype)
    (found,) = evaluate([getattr(g, name)(x)], {x: np.array([1, 2, 5])})
    reference: Any = {"inv": np.reciprocal, "sigmoid": lambda v: 1 / (1 + np.exp(-v)), "round": np.rint}
    expected = reference.get(name, getattr(np, name, None))(np.array([1.0, 2.0, 5.0]))
    assert found.dtype.kind == "f"
    np.testing.assert_allclose(found, expected, rtol=1e-15 if found.dtype == "float64" else 3e-7)


def test_numbers_take_the_type_of_the_tensor_beside_them() -> None:
    assert (p(2) * 0.1).dtype == np.float32
    assert (p(2, dtype="float64") * 0.1).inputs[1].value == 0.1  # not rounded to float32 on the way
    assert (p(2, dtype="int64") * 2).dtype == np.int64
    assert (p(2, dtype="int64") * 0.5).dtype == np.float64
    assert (p(2) * [1, 2]).dtype == np.float32
    assert (p(2) * np.array([1.0, 2.0])).dtype == np.float64  # an array keeps its own type
    assert g.where(p(2) > 0, 0.1, p(2, dtype="float64")).inputs[1].value == 0.1


def test_variables_written_in_python_are_float32() -> None:
    assert g.variable(0).dtype == g.variable(0.5).dtype == g.variable([1, 2]).dtype == np.float32
    assert g.variable(np.zeros(2)).dtype == np.float64
    assert g.variable(0, "int32").dtype == np.int32
    initial = np.zeros(2)
    w = g.variable(initial)
    initial[0] = 1
    assert w.value[0] == 0  # its own copy


def test_sums_of_integers_and_truth_values(evaluate: Evaluate) -> None:
    small, truth = p(200, dtype="uint8"), p(200, dtype="bool")
    found = evaluate(
        [g.reduce_sum(small), g.reduce_sum(truth), g.reduce_mean(small), g.reduce_mean(truth)],
        {small: np.full(200, 200), truth: np.arange(200) < 50},
    )
    assert [x.item() for x in found] == [40000, 50, 200.0, 0.25]


# -- shapes ------------------------------------------------------------------------------------


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3))
def test_broadcasting_is_numpys(shapes: hnp.BroadcastableShapes) -> None:
    a, b = shapes.input_shapes
    assert (p(*a) + p(*b)).shape == shapes.result_shape


@given(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4).flatmap(
    lambda shape: st.tuples(st.just(shape), hnp.basic_indices(shape, allow_newaxis=True))
))  # fmt: skip
def test_indexing_is_numpys(case: tuple[tuple[int, ...], Any]) -> None:
    shape, key = case
    expected = np.empty(shape)[key]
    assert p(*shape)[key].shape == np.shape(expected)


def test_unknown_extents() -> None:
    x = p(None, 3)
    assert (x + p(1, 3)).shape == (None, 3)
    assert (x + p(5, 3)).shape == (5, 3)
    assert (x @ p(3, 2)).shape == (None, 2)
    assert g.reduce_sum(x, 0).shape == (3,)
    assert g.reduce_mean(x, 1).shape == (None,)
    assert x[0].shape == (3,)
    assert x[:-1].shape == (None, 3)
    assert x[:, 1].shape == (None,)
    assert g.concatenate([x, x]).shape == (None, 3)
    assert g.shape(x).shape == (2,)
    assert p(None, None, None)[5, 1:].shape == (None, None)
    assert g.placeholder(None).shape == ()
    assert g.placeholder(4).shape == (4,)
