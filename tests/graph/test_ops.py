"""Every operation: its values against NumPy or SciPy, its derivative against float64 two-sided differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.special
from graph.conftest import Evaluate

from dlrun import graph as g
from dlrun.errors import GraphError
from dlrun.graph.node import OPS, Node, apply

RANDOM = np.random.default_rng(20)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape)


def positive(*shape: int) -> np.ndarray:
    return RANDOM.uniform(0.3, 2.0, size=shape)


def away_from_integers(*shape: int) -> np.ndarray:
    return RANDOM.integers(-4, 4, shape) + RANDOM.uniform(0.2, 0.8, shape)


@dataclass(frozen=True)
class Case:
    """Inputs, the operation on nodes, and the same by another library; `smooth` inputs have a derivative."""

    inputs: tuple[np.ndarray, ...]
    build: Callable[..., Node]
    reference: Callable[..., Any]
    smooth: int = 99  # how many of the inputs, from the first


def unary(name: str, reference: Any, values: np.ndarray) -> list[Case]:
    return [Case((values,), lambda x: apply(name, x), reference)]


def binary(name: str, reference: Any, a: Any = normal, b: Any = normal) -> list[Case]:
    """Equal shapes, and shapes that broadcast both ways."""
    shapes = [((3, 4), (3, 4)), ((3, 1), (1, 4)), ((4,), (2, 3, 4)), ((2, 3), ())]
    return [Case((a(*s), b(*t)), lambda x, y: apply(name, x, y), reference) for s, t in shapes]


def reduction(name: str, reference: Any, values: np.ndarray) -> list[Case]:
    return [
        Case((values,), lambda x, k=axes: apply(name, x, axes=k), lambda x, k=axes: reference(x, axis=k, keepdims=True))
        for axes in (None, 0, -1, (0, 2), ())
    ]


PICTURES = RANDOM.permutation(2 * 3 * 5 * 6 * 2).reshape(2, 3, 5, 6, 2) / 100  # no two numbers tie, by a wide margin


def windows_of(x: np.ndarray, k: int, s: int, pads: tuple[tuple[int, int], tuple[int, int]]) -> np.ndarray:
    """(R, B, H', W', k, k, C), by NumPy's own sliding windows on the padded picture."""
    padded = np.pad(x, ((0, 0), (0, 0), *pads, (0, 0)))
    found = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, ::s, ::s]
    return np.moveaxis(found, 4, -1)


def patches_case(k: int, s: int, padding: str, pads: tuple[tuple[int, int], tuple[int, int]]) -> Case:
    def reference(x: np.ndarray) -> np.ndarray:
        found = windows_of(x, k, s, pads)
        return found.reshape(x.shape[0], -1, k * k * x.shape[-1])

    return Case((normal(2, 3, 5, 6, 2),), lambda x: g.patches(x, k, stride=s, padding=padding), reference)


def folded(patches: np.ndarray) -> np.ndarray:
    """The adjoint of valid 2 × 2 patches of (1, 1, 3, 3, 1), each place by itself."""
    out = np.zeros((1, 1, 3, 3, 1))
    for y, x, i, j in np.ndindex(2, 2, 2, 2):
        out[0, 0, y + i, x + j, 0] += patches[0, 2 * y + x, 2 * i + j]
    return out


def pool(reduce: Any, k: int, s: int) -> Any:
    return lambda x: reduce(windows_of(x, k, s, ((0, 0), (0, 0))), axis=(4, 5))


def share_of_average(gradient: np.ndarray) -> np.ndarray:
    """The adjoint of pooling (1, 1, 4, 4, 1) by means of 2 × 2."""
    return np.repeat(np.repeat(gradient, 2, axis=2), 2, axis=3) / 4


def to_largest(x: np.ndarray, largest: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    out = np.zeros_like(x)
    for y, z in np.ndindex(2, 2):
        window = x[0, 0, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2, 0]
        i, j = np.unravel_index(np.argmax(window), (2, 2))
        out[0, 0, 2 * y + i, 2 * z + j, 0] = gradient[0, 0, y, z, 0]
    return out


TOKENS = np.array([[[0, 2, 2, 1]], [[1, 1, 0, 3]]], float)  # (2, 1, 4)
TIES = np.array([0, 0, 3, 1, 0, 0, 1, 3, 2, 1, 5, 5, 1, 2, 5, 5.0]).reshape(1, 1, 4, 4, 1)


def _prod_of_others(x: np.ndarray) -> np.ndarray:
    result = np.empty_like(x)
    for i, row in enumerate(x):
        for j in range(len(row)):
            result[i, j] = np.prod(np.delete(row, j))
    return result


ZEROS = normal(3, 4)
ZEROS[0, 1] = ZEROS[1, 0] = ZEROS[1, 2] = 0.0

CASES: dict[str, list[Case]] = {
    "add": binary("add", np.add),
    "subtract": binary("subtract", np.subtract),
    "multiply": binary("multiply", np.multiply),
    "divide": binary("divide", np.divide, normal, positive),
    "mod": binary("mod", np.mod, away_from_integers, lambda *s: np.full(s, 1.0)),
    "power": [
        *binary("power", np.power, positive, normal),
        *(Case((normal(3, 2),), lambda x, p=p: x**p, lambda x, p=p: x**p) for p in (2, 3, 1, -1, -2)),
        Case((normal(3),), lambda x: x**0, lambda x: np.ones(3), smooth=0),
        Case((positive(3),), lambda x: x**0.5, np.sqrt),
        Case((positive(3),), lambda x: 2**x, lambda x: 2**x),
        Case((positive(2, 3),), lambda x: x ** np.array([1.0, 2.0, 3.0]), lambda x: x ** np.array([1.0, 2.0, 3.0])),
    ],
    "maximum": binary("maximum", np.maximum),
    "minimum": binary("minimum", np.minimum),
    "negative": unary("negative", np.negative, normal(3, 4)),
    "abs": unary("abs", np.abs, normal(3, 4)),
    "reciprocal": unary("reciprocal", np.reciprocal, positive(3, 4)),
    "square": unary("square", np.square, normal(3, 4)),
    "sqrt": unary("sqrt", np.sqrt, positive(3, 4)),
    "exp": unary("exp", np.exp, normal(3, 4)),
    "log": unary("log", np.log, positive(3, 4)),
    "log1p": unary("log1p", np.log1p, positive(3, 4)),
    "sin": unary("sin", np.sin, normal(3, 4)),
    "cos": unary("cos", np.cos, normal(3, 4)),
    "tanh": unary("tanh", np.tanh, normal(3, 4)),
    "sigmoid": [
        *unary("sigmoid", scipy.special.expit, normal(3, 4)),
        Case((np.array([-800.0, -40.0, 0.0, 40.0, 800.0]),), g.sigmoid, scipy.special.expit),
    ],
    "softplus": [
        *unary("softplus", lambda x: np.logaddexp(x, 0), normal(3, 4)),
        Case((np.array([-800.0, -40.0, 0.0, 40.0, 800.0]),), g.softplus, lambda x: np.logaddexp(x, 0)),
    ],
    "cast": [
        Case((normal(3),), lambda x: g.cast(x, "float64"), lambda x: x),
        Case((away_from_integers(5),), lambda x: g.cast(x, "int32"), lambda x: x.astype("int32"), smooth=0),
    ],
    "where": [
        Case(
            (normal(3, 4), normal(3, 1)), lambda a, b: g.where(a > b, a, b * 2), lambda a, b: np.where(a > b, a, b * 2)
        )
    ],
    "less": binary("less", np.less),
    "less_equal": binary("less_equal", np.less_equal),
    "greater": binary("greater", np.greater),
    "greater_equal": binary("greater_equal", np.greater_equal),
    "equal": binary("equal", np.equal),
    "not_equal": binary("not_equal", np.not_equal),
    "sign": unary("sign", np.sign, away_from_integers(3, 4)),
    "round": unary("round", np.rint, away_from_integers(3, 4)),
    "floor": unary("floor", np.floor, away_from_integers(3, 4)),
    "step": unary("step", lambda x: np.heaviside(x, 0), away_from_integers(3, 4)),
    "reshape": [
        Case((normal(3, 4),), lambda x: g.reshape(x, (2, -1)), lambda x: x.reshape(2, -1)),
        Case((normal(3, 4),), lambda x: g.reshape(g.transpose(x), (6, 2)), lambda x: x.T.reshape(6, 2)),
    ],
    "reshape_like": [
        Case((normal(3, 4),), lambda x: apply("reshape_like", x, normal(4, 3)), lambda x: x.reshape(4, 3))
    ],
    "squeeze": [
        Case((normal(3, 1, 4, 1),), lambda x: g.squeeze(x), lambda x: x.squeeze()),
        Case((normal(3, 1, 4, 1),), lambda x: g.squeeze(x, 1), lambda x: x.squeeze(1)),
    ],
    "transpose": [
        Case((normal(3, 4),), lambda x: g.transpose(x), np.transpose),
        Case((normal(2, 3, 4),), lambda x: g.transpose(x), lambda x: x.swapaxes(1, 2)),
        Case((normal(2, 3, 4),), lambda x: g.transpose(x, (1, -1, 0)), lambda x: x.transpose(1, 2, 0)),
    ],
    "broadcast_like": [
        Case(
            (normal(3, 1),),
            lambda x: apply("broadcast_like", x, normal(2, 3, 4)),
            lambda x: np.broadcast_to(x, (2, 3, 4)),
        )
    ],
    "index": [
        Case((normal(3, 4, 5),), lambda x, k=k: x[k], lambda x, k=k: x[k])
        for k in (
            1,
            -1,
            (slice(None), 2),
            (..., 0),
            (slice(0, 2), None, slice(None, None, 2)),
            slice(None, None, -1),
            (1, 2, 3),
            (slice(1, 1),),
        )
    ],
    "place": [
        Case(
            (normal(2, 4),),
            lambda x: apply("place", x, normal(3, 4), key=(slice(1, 3),)),
            lambda x: np.concatenate([np.zeros((1, 4)), x]),
        )
    ],
    "concatenate": [
        Case(
            (normal(2, 3), normal(2, 1)), lambda a, b: g.concatenate([a, b], -1), lambda a, b: np.concatenate([a, b], 1)
        ),
        Case((normal(2, 3),), lambda a: g.concatenate([a, a, a * 2]), lambda a: np.concatenate([a, a, a * 2])),
    ],
    "pack": [
        Case(
            (normal(2, 3), normal(2, 2, 2)),
            lambda a, b: apply("pack", a, b),
            lambda a, b: np.concatenate([a, b.reshape(2, -1)], 1),
        )
    ],
    "stop_gradient": unary("stop_gradient", lambda x: x, normal(3)),
    "shape": unary("shape", lambda x: np.array(x.shape), normal(3, 4)),
    "sum": reduction("sum", np.sum, normal(3, 4, 5)),
    "prod": [*reduction("prod", np.prod, normal(2, 3, 4)), *reduction("prod", np.prod, ZEROS[:, None, :])],
    "max": reduction("max", np.max, normal(3, 4, 5)),
    "min": reduction("min", np.min, normal(3, 4, 5)),
    "prod_of_others": [Case((ZEROS,), lambda x: apply("prod_of_others", x, axes=1), _prod_of_others)],
    "sum_like": [
        Case((normal(2, 3, 4),), lambda x: apply("sum_like", x, normal(3, 1)), lambda x: x.sum((0, 2))[:, None]),
        Case((normal(2, 3, 4),), lambda x: apply("sum_like", x, normal(4)), lambda x: x.sum((0, 1))),
        Case((normal(2, 3),), lambda x: apply("sum_like", x, normal(1, 1)), lambda x: x.sum(keepdims=True)),
    ],
    "count": [Case((normal(3, 4),), lambda x: apply("count", x, axes=0), lambda x: np.array(3.0), smooth=0)],
    "matmul": [
        Case((normal(3, 4), normal(4, 5)), g.matmul, np.matmul),
        Case((normal(2, 3, 4), normal(2, 4, 5)), g.matmul, np.matmul),
        Case((normal(3, 4), normal(6, 4, 2)), g.matmul, np.matmul),
        Case((normal(6, 3, 4), normal(1, 4, 2)), g.matmul, np.matmul),
        Case((normal(4, 3), normal(4, 5)), lambda a, b: g.matmul(a, b, transpose_a=True), lambda a, b: a.T @ b),
        Case((normal(3, 4), normal(5, 4)), lambda a, b: g.matmul(a, b, transpose_b=True), lambda a, b: a @ b.T),
        Case(
            (normal(2, 4, 3), normal(2, 5, 4)),
            lambda a, b: g.matmul(a, b, transpose_a=True, transpose_b=True),
            lambda a, b: a.swapaxes(1, 2) @ b.swapaxes(1, 2),
        ),
    ],
    "append_ones": [
        Case(
            (normal(2, 3, 4),),
            lambda x: apply("append_ones", x),
            lambda x: np.concatenate([x, np.ones((2, 3, 1))], -1),
        ),
        Case(
            (normal(2, 3, 4), normal(2, 5, 2)),
            lambda x, A: g.affine(x, A),
            lambda x, A: x @ A[:, :-1] + A[:, -1:],
        ),
    ],
}

CASES |= {
    "patches": [
        patches_case(3, 1, "same", ((1, 1), (1, 1))),
        patches_case(2, 1, "same", ((0, 1), (0, 1))),
        patches_case(3, 2, "same", ((1, 1), (0, 1))),
        patches_case(3, 1, "valid", ((0, 0), (0, 0))),
        patches_case(2, 2, "valid", ((0, 0), (0, 0))),
        patches_case(1, 1, "valid", ((0, 0), (0, 0))),
    ],
    "patches_adjoint": [
        Case(
            (normal(1, 4, 4),),
            lambda p: apply("patches_adjoint", p, g.constant(np.zeros((1, 1, 3, 3, 1))), kernel=2, stride=1,
                            padding="valid"),
            folded,
        )
    ],
    "max_pool": [
        Case((PICTURES,), lambda x: g.max_pool(x, 2), pool(np.max, 2, 2)),
        Case((PICTURES,), lambda x: g.max_pool(x, 3, stride=1), pool(np.max, 3, 1)),
    ],
    "max_pool_gradient": [
        Case(
            (TIES, TIES[:, :, ::2, ::2] * 0 + np.array([0, 3, 2, 5.0]).reshape(1, 1, 2, 2, 1), normal(1, 1, 2, 2, 1)),
            lambda x, y, d: apply("max_pool_gradient", x, y, d, size=2, stride=2),
            to_largest,
        )
    ],
    "average_pool": [
        Case((PICTURES,), lambda x: g.average_pool(x, 2), pool(np.mean, 2, 2)),
        Case((PICTURES,), lambda x: g.average_pool(x, 3, stride=2), pool(np.mean, 3, 2)),
    ],
    "average_pool_gradient": [
        Case(
            (normal(1, 1, 2, 2, 1),),
            lambda d: apply("average_pool_gradient", d, g.constant(np.zeros((1, 1, 4, 4, 1))), size=2, stride=2),
            share_of_average,
        )
    ],
    "lookup": [
        Case(
            (normal(2, 4, 3),),
            lambda W: g.lookup(W, g.constant(TOKENS)),
            lambda W: np.stack([W[r][TOKENS[r].astype(int)] for r in range(2)]),
        )
    ],
    "lookup_gradient": [
        Case(
            (normal(2, 1, 4, 3),),
            lambda d: apply("lookup_gradient", d, g.constant(TOKENS), g.constant(np.zeros((2, 4, 3)))),
            lambda d: np.einsum("rbtv,rbtu->rvu", np.eye(4)[TOKENS.astype(int)], d),
        )
    ],
    "assemble": [
        Case(
            (normal(2, 3), normal(2, 1)),
            lambda a, b: apply("assemble", a, b, g.constant(np.zeros((2, 6))),
                               keys=((slice(None), slice(0, 3)), (slice(None), slice(4, 5)))),
            lambda a, b: np.concatenate([a, np.zeros((2, 1)), b, np.zeros((2, 1))], axis=1),
        )
    ],
}  # fmt: skip

# Operations whose derivative is zero wherever it exists, or which pass none on …
CONSTANT = {
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "sign", "round", "floor", "step",
    "stop_gradient", "shape", "count",
}  # fmt: skip
# … and those without one: `pack` collects gradients, `prod_of_others` is the gradient of a product.
WITHOUT = {"pack", "prod_of_others", "max_pool_gradient", "lookup_gradient"}
# Second derivatives: all but of those that are made of operations without a derivative.
WITHOUT_SECOND = {"prod", "max_pool", "lookup"}


def test_every_operation_has_its_cases() -> None:
    assert set(CASES) == set(OPS)
    assert {name for name, op in OPS.items() if op.gradient is None} == WITHOUT


ALL = [pytest.param(name, case, id=f"{name}-{i}") for name, cases in CASES.items() for i, case in enumerate(cases)]
SMOOTH = [p for p in ALL if p.values[0] not in CONSTANT | WITHOUT and p.values[1].smooth]


def leaves_of(case: Case) -> list[Node]:
    return [g.placeholder(x.shape, "float64", name=f"x{i}") for i, x in enumerate(case.inputs)]


@pytest.mark.parametrize(("name", "case"), ALL)
def test_values(name: str, case: Case, evaluate: Evaluate) -> None:
    leaves = leaves_of(case)
    node = case.build(*leaves)
    expected = np.asarray(case.reference(*case.inputs))
    (found,) = evaluate([node], dict(zip(leaves, case.inputs, strict=True)))
    assert node.shape == found.shape == expected.shape
    assert node.dtype == found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def two_sided(cost: Callable[..., float], inputs: tuple[np.ndarray, ...], which: int, h: float) -> np.ndarray:
    """(J(x + h) − J(x − h))/2h for each component of one input."""
    result = np.zeros(inputs[which].shape)
    for place in np.ndindex(result.shape):
        sides = []
        for sign in (1, -1):
            moved = [x.copy() for x in inputs]
            moved[which][place] += sign * h
            sides.append(cost(*moved))
        result[place] = (sides[0] - sides[1]) / (2 * h)
    return result


def objective(node: Node) -> tuple[Node, np.ndarray]:
    """Σ c·node with coefficients c of its own for each component, so that no error can cancel."""
    c = np.random.default_rng(7).uniform(0.5, 1.5, tuple(e or 0 for e in node.shape))
    return g.reduce_sum(node * c), c


@pytest.mark.parametrize(("name", "case"), SMOOTH)
def test_derivative(name: str, case: Case, evaluate: Evaluate) -> None:
    """Against differences of the reference, not of our own values."""
    leaves = leaves_of(case)
    cost, c = objective(case.build(*leaves))
    found = evaluate(g.gradients(cost, leaves), dict(zip(leaves, case.inputs, strict=True)))
    for which, gradient in enumerate(found[: case.smooth]):
        expected = two_sided(lambda *x: float(np.sum(case.reference(*x) * c)), case.inputs, which, 1e-6)
        assert gradient.shape == case.inputs[which].shape
        np.testing.assert_allclose(gradient, expected, rtol=2e-7, atol=2e-8)


@pytest.mark.parametrize(("name", "case"), [p for p in SMOOTH if p.values[0] not in WITHOUT_SECOND])
def test_second_derivative(name: str, case: Case, evaluate: Evaluate) -> None:
    """d/dx Σ (∂J/∂x)²·c against differences of the first derivative, which the test above has checked."""
    leaves = leaves_of(case)
    first = g.gradients(objective(case.build(*leaves))[0], leaves)
    cost = sum((objective(g.square(gradient))[0] for gradient in first), g.constant(0.0, "float64"))
    second = g.gradients(cost, leaves)
    found = evaluate(second, dict(zip(leaves, case.inputs, strict=True)))

    def value(*inputs: np.ndarray) -> float:
        return float(evaluate([cost], dict(zip(leaves, inputs, strict=True)))[0])

    for which, gradient in enumerate(found):
        expected = two_sided(value, case.inputs, which, 1e-5)
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "case"), [p for p in ALL if p.values[0] in CONSTANT])
def test_constant_operations_pass_no_gradient(name: str, case: Case, evaluate: Evaluate) -> None:
    leaves = leaves_of(case)
    node = g.cast(case.build(*leaves), "float64")
    cost = g.reduce_sum(node) + g.reduce_sum(leaves[0] * 3)
    found = evaluate(g.gradients(cost, leaves), dict(zip(leaves, case.inputs, strict=True)))
    np.testing.assert_array_equal(found[0], np.full(case.inputs[0].shape, 3.0))
    for gradient in found[1:]:
        assert not gradient.any()


@pytest.mark.parametrize("name", sorted(WITHOUT))
def test_no_derivative_is_an_error(name: str) -> None:
    case = CASES[name][0]
    leaves = leaves_of(case)
    with pytest.raises(GraphError, match=f"'{name}' has no derivative"):
        g.gradients(case.build(*leaves), leaves)


def test_ties_share_the_gradient(evaluate: Evaluate) -> None:
    x = g.placeholder((4,), "float64")
    values = {x: np.array([2.0, 5.0, 5.0, 1.0])}
    (of_max,) = evaluate(g.gradients(g.reduce_max(x), [x]), values)
    np.testing.assert_array_equal(of_max, [0, 0.5, 0.5, 0])
    a, b = g.gradients(g.reduce_sum(g.maximum(x, x[::-1] * 1.0)), [x]), np.array([1.0, 1.0, 1.0, 1.0])
    (of_maximum,) = evaluate(a, {x: np.ones(4)})
    np.testing.assert_array_equal(of_maximum, b)


def test_relus(evaluate: Evaluate) -> None:
    x = g.placeholder((5,), "float64")
    values = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    relu, leaky = g.relu(x), g.leaky_relu(x, 0.1)
    nodes = [relu, leaky, *g.gradients(relu, [x]), *g.gradients(leaky, [x])]
    found = evaluate(nodes, {x: values})
    np.testing.assert_allclose(found[0], np.maximum(values, 0))
    np.testing.assert_allclose(found[1], np.where(values > 0, values, 0.1 * values))
    np.testing.assert_allclose(found[2], [0, 0, 0, 1, 1])
    np.testing.assert_allclose(found[3], [0.1, 0.1, 0.1, 1, 1])
