"""Plans: the same values as a naive evaluator, with less work, in memory that is taken once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from backend.strict import StrictBackend
from hypothesis import given, settings
from hypothesis import strategies as st

from dlrun import graph as g
from dlrun.backend import Backend
from dlrun.errors import GraphError
from dlrun.graph.gradients import topological_order
from dlrun.graph.node import Node, apply
from dlrun.graph.plan import Plan
from dlrun.graph.shaping import pack

UNARY = {
    "negative": np.negative, "sin": np.sin, "tanh": np.tanh, "square": np.square, "abs": np.abs, "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "softplus": lambda x: np.logaddexp(x, 0.0),
    "step": lambda x: np.heaviside(x, 0.0), "stop_gradient": lambda x: x, "sign": np.sign,
}  # fmt: skip
BINARY = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "maximum": np.maximum,
    "minimum": np.minimum, "mod": lambda a, b: np.mod(a, b),
}  # fmt: skip


def naive(targets: Sequence[Node], values: Mapping[Node, np.ndarray]) -> list[np.ndarray]:
    """Each node by itself, in new memory, by NumPy alone."""
    found: dict[Node, Any] = dict(values)
    for node in topological_order(targets):
        if node in found:
            continue
        x = [found[i] for i in node.inputs]
        if node.op == "constant":
            found[node] = node.value
        elif node.op in UNARY:
            found[node] = UNARY[node.op](x[0])
        elif node.op in BINARY:
            found[node] = BINARY[node.op](*x)
        else:
            found[node] = OTHERS[node.op](node, *x)
    return [np.asarray(found[node]) for node in targets]


OTHERS: dict[str, Any] = {
    "sqrt": lambda node, x: np.sqrt(x),
    "greater": lambda node, a, b: a > b,
    "where": lambda node, c, a, b: np.where(c, a, b),
    "cast": lambda node, x: x.astype(node.dtype),
    "sum": lambda node, x: x.sum(axis=node.attributes["axes"], keepdims=True),
    "max": lambda node, x: x.max(axis=node.attributes["axes"], keepdims=True),
    "broadcast_like": lambda node, x, like: np.broadcast_to(x, like.shape),
    "transpose": lambda node, x: x.transpose(node.attributes["axes"]),
    "reshape": lambda node, x: x.reshape(node.attributes["shape"]),
    "index": lambda node, x: x[node.attributes["key"]],
    "squeeze": lambda node, x: x.squeeze(node.attributes["axes"]),
    "matmul": lambda node, a, b: a @ b,
    "append_ones": lambda node, x: np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype)], -1),
    "pack": lambda node, *x: np.concatenate([a.reshape(len(a), -1) for a in x], 1),
    "concatenate": lambda node, *x: np.concatenate(x, node.attributes["axis"]),
    "divide": lambda node, a, b: a / b,
    "count": lambda node, x: np.float64(x.size),
}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], list[Node], list[Node]]:
    """A random graph over (R, n, n) tensors: leaves, fetches, and fetches with targets."""
    R, n = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    leaves = [g.placeholder((R, n, n), "float64", name=f"x{i}") for i in range(3)]
    nodes = [*leaves, g.constant(1.0, "float64"), g.constant(0.0, "float64"), g.constant(-0.5, "float64")]
    full: list[Node] = list(leaves)
    for _ in range(draw(st.integers(3, 25))):
        kind = draw(st.integers(0, 9))
        x, y = draw(st.sampled_from(full)), draw(st.sampled_from([*full, *nodes]))
        match kind:
            case 0 | 1:
                node = apply(draw(st.sampled_from(sorted(UNARY))), g.tanh(x))
            case 2 | 3 | 4:
                a, b = (x, y) if draw(st.booleans()) else (y, x)
                node = apply(draw(st.sampled_from(["add", "subtract", "multiply", "maximum", "minimum"])), a, b)
            case 5:
                node = apply("broadcast_like", g.reduce_sum(x, draw(st.integers(0, 2)), keepdims=True), x)
            case 6:
                node = g.transpose(x) if draw(st.booleans()) else g.reshape(g.transpose(x), (R, n, n))
            case 7:
                node = g.where(x > y, x, y + x)
            case 8:
                node = g.tanh(g.affine(x[:, :, : n - 1] if n > 1 else x[:, :, :0], x))
            case _:
                node = g.mod(x, g.constant(1.5, "float64")) * g.reduce_mean(x)
        if node.shape != (R, n, n):
            node = node + leaves[0] * 0.0
        full.append(node)
    fetches = draw(st.lists(st.sampled_from([*full, *nodes]), min_size=1, max_size=5))
    if draw(st.booleans()):
        fetches.append(pack([draw(st.sampled_from(full)) for _ in range(draw(st.integers(1, 3)))]))
    targeted = [node for node in dict.fromkeys(fetches) if draw(st.booleans())]
    return leaves, fetches, targeted


@pytest.mark.parametrize("kind", [Backend, StrictBackend])
@settings(max_examples=120, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 9))
def test_a_plan_computes_what_each_node_says(
    kind: type[Backend], graph: tuple[list[Node], list[Node], list[Node]], seed: int
) -> None:
    """In-place work, reused buffers, shared and folded expressions, packing, targets: nothing shows in the values."""
    leaves, fetches, targeted = graph
    backend, random = kind(), np.random.default_rng(seed)
    bindings = {leaf: backend.zeros(leaf.shape, leaf.dtype) for leaf in leaves}
    targets = {node: backend.zeros(node.shape, node.dtype) for node in targeted}
    plan = Plan(backend, fetches, bindings, targets)
    for _ in range(2):  # what one run leaves behind must not show in the next
        values = {leaf: random.normal(size=leaf.shape) for leaf in leaves}
        for leaf, value in values.items():
            backend.xp.copyto(bindings[leaf], backend.to_device(value))
        with backend.quiet():
            plan.run()
        for node, expected in zip(fetches, naive(fetches, values), strict=True):
            found = backend.to_host(plan.outputs[node])
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
            if node in targets:
                np.testing.assert_array_equal(backend.to_host(targets[node]), found)
        for leaf, value in values.items():
            np.testing.assert_array_equal(backend.to_host(bindings[leaf]), value)  # inputs are never written to


def planned(fetches: Sequence[Node], values: Mapping[Node, Any], **targets: Any) -> Plan:
    arrays = {leaf: np.array(value, leaf.dtype) for leaf, value in values.items()}
    plan = Plan(Backend(), fetches, arrays, **targets)
    plan.run()
    return plan


def names(plan: Plan) -> list[str]:
    return [getattr(call.func, "__name__", "?") for call in plan.calls]  # type: ignore[attr-defined]


def test_equal_expressions_are_computed_once() -> None:
    x = g.placeholder((3,), "float64")
    a, b = g.sin(x) * 2, g.sin(x) * 2
    plan = planned([a + b, a, b], {x: [1.0, 2.0, 3.0]})
    assert names(plan) == ["sin", "multiply", "add"]
    np.testing.assert_allclose(plan.outputs[b], 2 * np.sin([1.0, 2.0, 3.0]))


def test_different_attributes_are_different_expressions() -> None:
    x = g.placeholder((2, 3), "float64")
    plan = planned([g.reduce_sum(x, 0), g.reduce_sum(x, 1), x[0], x[1]], {x: np.arange(6.0).reshape(2, 3)})
    found = [value.tolist() for value in plan.outputs.values()]
    assert found == [[3, 5, 7], [3, 12], [0, 1, 2], [3, 4, 5]]


def test_known_numbers_are_worked_out_beforehand() -> None:
    """The 1 that a derivative begins with, spread over a batch and divided by its size, costs no kernel."""
    x = g.placeholder((4, 3), "float64")
    cost = g.reduce_mean(g.square(x))
    plan = planned(g.gradients(cost, [x]), {x: np.ones((4, 3))})
    assert names(plan) == ["multiply", "multiply"]  # 2x, times 1/12
    np.testing.assert_allclose(next(iter(plan.outputs.values())), np.full((4, 3), 2 / 12))
    assert names(planned([x * 1 + 0], {x: np.ones((4, 3))})) == []
    everywhere = apply("broadcast_like", g.constant(2.0, "float64"), x) * 3 - 1
    plan = planned([everywhere], {x: np.ones((4, 3))})
    assert names(plan) == []
    np.testing.assert_array_equal(plan.outputs[everywhere], np.full((4, 3), 5.0))


def test_a_mean_counts_what_it_is_given() -> None:
    """The count must not live in memory that other results pass through."""
    x = g.placeholder((None, None), "float32")
    node = g.reduce_mean(g.exp(g.square(x) * 0) * x, 0)
    for shape in ((4, 3), (1, 2), (5, 1)):
        plan = planned([node], {x: np.arange(np.prod(shape)).reshape(shape)})
        plan.run()
        np.testing.assert_allclose(plan.outputs[node], np.arange(np.prod(shape)).reshape(shape).mean(0))


def test_views_are_not_computed() -> None:
    x = g.placeholder((2, 3, 4), "float64")
    node = g.reshape(g.transpose(x, (1, 0, 2))[1:], (-1, 2, 4))
    X = np.arange(24.0).reshape(2, 3, 4)
    plan = Plan(Backend(), [node], {x: X})
    assert plan.calls == []
    X[0, 1, 0] = -1
    np.testing.assert_array_equal(plan.outputs[node], X.transpose(1, 0, 2)[1:])


def test_results_are_written_where_they_are_packed() -> None:
    a, b = g.placeholder((2, 3), "float64"), g.placeholder((2, 2, 2), "float64")
    row = pack([g.sin(a), g.cos(b)])
    out = np.zeros((2, 7))
    plan = planned([row], {a: np.ones((2, 3)), b: np.zeros((2, 2, 2))}, targets={row: out})
    assert names(plan) == ["sin", "cos"]
    np.testing.assert_allclose(out, [[np.sin(1)] * 3 + [1.0] * 4] * 2)
    assert plan.bytes == 0


def test_what_is_packed_but_not_computed_is_copied() -> None:
    a = g.placeholder((2, 3), "float64")
    twice = g.sin(a)
    row = pack([a, twice, twice, twice[:, ::-1], apply("broadcast_like", g.constant(0.5, "float64"), a)])
    plan = planned([row], {a: [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]})
    A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    expected = np.concatenate([A, np.sin(A), np.sin(A), np.sin(A)[:, ::-1], np.full((2, 3), 0.5)], 1)
    np.testing.assert_allclose(plan.outputs[row], expected)


def test_ones_are_appended_in_place() -> None:
    x, A = g.placeholder((1, 5, 3), "float64"), g.placeholder((1, 4, 2), "float64")
    hidden = g.tanh(x)
    node = g.affine(hidden, A)
    random = np.random.default_rng(0)
    X, W = random.normal(size=(1, 5, 3)), random.normal(size=(1, 4, 2))
    plan = planned([node, hidden], {x: X, A: W})
    assert names(plan) == ["tanh", "matmul"]
    np.testing.assert_allclose(plan.outputs[node], np.tanh(X) @ W[:, :3] + W[:, 3:])
    np.testing.assert_allclose(plan.outputs[hidden], np.tanh(X))


def test_targets_of_views_numbers_and_twins_are_filled() -> None:
    """Also again after the caller has written over them, as clipping a gradient does."""
    x = g.placeholder((2, 3), "float64")
    nodes = [
        g.transpose(x),
        apply("broadcast_like", g.constant(2.0, "float64"), x),
        x * 1,
        g.sin(x),
        g.sin(x),
        x,
    ]
    targets = {node: np.zeros(node.shape) for node in nodes}
    X = np.arange(6.0).reshape(2, 3)
    plan = Plan(Backend(), nodes, {x: X}, targets)
    for _ in range(2):
        plan.run()
        for node, expected in zip(nodes, (X.T, np.full((2, 3), 2.0), X, np.sin(X), np.sin(X), X), strict=True):
            np.testing.assert_array_equal(targets[node], expected)
            assert plan.outputs[node] is targets[node]
            targets[node][:] = -7


def test_a_target_may_have_gaps() -> None:
    x = g.placeholder((4, 3), "float64")
    X = np.arange(12.0).reshape(4, 3)
    nodes = [g.reshape(g.transpose(x), (2, 6)), g.sin(x), x @ g.transpose(x), g.reduce_sum(x, 1)]
    wide = [np.zeros((2, 12)), np.zeros((4, 6)), np.zeros((4, 8)), np.zeros(8)]
    targets = {node: array[..., ::2] for node, array in zip(nodes, wide, strict=True)}
    Plan(Backend(), nodes, {x: X}, targets).run()
    for node, expected in zip(nodes, (X.T.reshape(2, 6), np.sin(X), X @ X.T, X.sum(1)), strict=True):
        np.testing.assert_allclose(targets[node], expected)
    assert all((array[..., 1::2] == 0).all() for array in wide)


def test_memory_is_reused_but_not_what_is_fetched() -> None:
    x = g.placeholder((1000,), "float64")
    y = x
    for _ in range(50):
        y = g.sin(g.sin(y) * y)
    plan = planned([y], {x: np.ones(1000)})
    assert plan.bytes <= 3 * 8064
    middle = g.cos(x)
    end = g.sin(g.sin(middle * 2))
    plan = planned([middle, end], {x: np.ones(1000)})
    np.testing.assert_allclose(plan.outputs[middle], np.cos(np.ones(1000)))


def _network(dtype: str) -> tuple[list[Node], dict[Node, Any]]:
    x, y = g.placeholder((1, 256, 128), dtype), g.placeholder((1, 256, 96), dtype)
    A, B = g.placeholder((1, 129, 128), dtype), g.placeholder((1, 129, 96), dtype)
    hidden = g.relu(g.affine(x, A))
    z = g.affine(hidden, B)
    shifted = z - g.stop_gradient(g.reduce_max(z, -1, keepdims=True))
    cost = g.reduce_mean(g.log(g.reduce_sum(g.exp(shifted), -1)) - g.reduce_sum(y * shifted, -1))
    random = np.random.default_rng(0)
    values = {leaf: random.normal(size=leaf.shape).astype(dtype) for leaf in (x, y, A, B)}
    return [cost, pack(g.gradients(cost, [A, B]))], values


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_allocates_nothing(dtype: str) -> None:
    """No array: neither one that stays, nor one that comes and goes."""
    fetches, values = _network(dtype)
    plan = Plan(Backend(), fetches, values)
    for _ in range(5):
        plan.run()
    tracemalloc.start()
    try:
        plan.run()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(50):
            plan.run()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1000
    # NumPy takes up to 8192 elements of scratch inside a call with gaps in an operand; the arrays are larger.
    assert peak - before < 8192 * np.dtype(dtype).itemsize + 8000 < 256 * 96 * np.dtype(dtype).itemsize


def test_a_plan_says_what_is_missing_or_does_not_fit() -> None:
    x = g.placeholder((None, 3), "float32", name="x")
    with pytest.raises(GraphError, match=r"x \(placeholder\) has no value"):
        Plan(Backend(), [x * 2], {})
    with pytest.raises(GraphError, match=r"x expects \(\?, 3\) float32 and was given \(2, 4\) float32"):
        Plan(Backend(), [x * 2], {x: np.zeros((2, 4), "float32")})
    with pytest.raises(GraphError, match=r"given \(2, 3\) float64"):
        Plan(Backend(), [x * 2], {x: np.zeros((2, 3))})
    y = g.placeholder((None, 3), "float32", name="y")
    with pytest.raises(GraphError, match=r"add of \(2, 3\) and \(4, 3\)"):
        Plan(Backend(), [x + y], {x: np.zeros((2, 3), "float32"), y: np.zeros((4, 3), "float32")})
