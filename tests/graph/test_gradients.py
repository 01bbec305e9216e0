"""The reverse sweep: sums over users, un-broadcasting, dtypes, depth, and back-propagation by hand."""

from __future__ import annotations

import numpy as np
import pytest
from graph.conftest import Evaluate
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from dlrun import graph as g
from dlrun.backend import Backend
from dlrun.errors import GraphError
from dlrun.graph.plan import Plan


def test_back_propagation_by_hand_equals_the_graphs(evaluate: Evaluate) -> None:
    """Three sigmoids in a chain without bias: ∂loss/∂w1 = loss'·L3'·L2'·L1'·x, and so on for w2 and w3."""
    x, y = 1.7, 0.25
    weights = [0.8, -1.3, 2.1]
    w = [g.placeholder((), "float64", name=f"w{i}") for i in (1, 2, 3)]
    a: g.Node | float = x
    for weight in w:
        a = g.sigmoid(weight * a)
    loss = (a - y) ** 2
    found = evaluate(g.gradients(loss, w), dict(zip(w, weights, strict=True)))

    def s(z: float) -> float:
        return 1 / (1 + np.exp(-z))

    a1 = s(weights[0] * x)
    a2 = s(weights[1] * a1)
    a3 = s(weights[2] * a2)
    loss_slope = 2 * (a3 - y)
    slope3, slope2, slope1 = a3 * (1 - a3), a2 * (1 - a2), a1 * (1 - a1)
    by_hand = [
        loss_slope * slope3 * weights[2] * slope2 * weights[1] * slope1 * x,
        loss_slope * slope3 * weights[2] * slope2 * a1,
        loss_slope * slope3 * a2,
    ]
    np.testing.assert_allclose(found, by_hand, rtol=1e-14)


def test_every_use_of_a_node_counts(evaluate: Evaluate) -> None:
    """d/dw of w·sin w + w² + 3w, and the second derivative of the same."""
    w = g.placeholder((), "float64")
    cost = w * g.sin(w) + w * w + 3 * w
    (first,) = g.gradients(cost, [w])
    (second,) = g.gradients(first, [w])
    found = evaluate([first, second], {w: 0.7})
    np.testing.assert_allclose(found[0], np.sin(0.7) + 0.7 * np.cos(0.7) + 2 * 0.7 + 3, rtol=1e-14)
    np.testing.assert_allclose(found[1], 2 * np.cos(0.7) - 0.7 * np.sin(0.7) + 2, rtol=1e-14)


def test_higher_derivatives_of_a_power(evaluate: Evaluate) -> None:
    w = g.placeholder((), "float64")
    nodes = [w**5]
    for _ in range(6):
        nodes += g.gradients(nodes[-1], [w])
    found = evaluate(nodes, {w: -1.5})
    w0 = -1.5
    np.testing.assert_allclose(found, [w0**5, 5 * w0**4, 20 * w0**3, 60 * w0**2, 120 * w0, 120, 0], rtol=1e-14)


def test_negative_base_with_a_whole_exponent_and_zero_base(evaluate: Evaluate) -> None:
    w = g.placeholder((4,), "float64")
    values = {w: [-2.0, 0.0, 1.0, 3.0]}
    for p in (0, 1, 2, 3, 4):
        (found,) = evaluate(g.gradients(w**p, [w]), values)
        np.testing.assert_allclose(found, [p * v ** (p - 1) if p else 0.0 for v in values[w]])


@settings(max_examples=25, deadline=None)
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3))
def test_broadcast_operands_get_gradients_of_their_shape(shapes: hnp.BroadcastableShapes) -> None:
    """Σ a·b: ∂/∂a is b summed over the axes along which a was repeated."""
    a, b = (g.placeholder(shape, "float64") for shape in shapes.input_shapes)
    random = np.random.default_rng(0)
    values = [random.normal(size=shape) for shape in shapes.input_shapes]
    backend = Backend()
    nodes = g.gradients(a * b, [a, b])
    plan = Plan(backend, nodes, dict(zip((a, b), values, strict=True)))
    plan.run()
    for node, own, other in ((nodes[0], *values), (nodes[1], *values[::-1])):
        full = np.broadcast_to(other, shapes.result_shape)
        extra = full.ndim - own.ndim
        axes = tuple(range(extra)) + tuple(
            i + extra for i, n in enumerate(own.shape) if n == 1 and full.shape[i + extra] != 1
        )
        expected = full.sum(axis=axes, keepdims=True).reshape(own.shape)
        np.testing.assert_allclose(plan.outputs[node], expected, rtol=1e-13)


def test_dynamic_shapes_are_unbroadcast_when_known(evaluate: Evaluate) -> None:
    x, w, b = g.placeholder((None, 3), "float64"), g.placeholder((3, 2), "float64"), g.placeholder((2,), "float64")
    cost = g.reduce_sum(g.square(x @ w + b))
    gradients = g.gradients(cost, [w, b, x])
    random = np.random.default_rng(0)
    for rows in (1, 4):
        X, W, B = random.normal(size=(rows, 3)), random.normal(size=(3, 2)), random.normal(size=2)
        dw, db, dx = evaluate(gradients, {x: X, w: W, b: B})
        z = X @ W + B
        np.testing.assert_allclose(dw, 2 * X.T @ z, rtol=1e-13)
        np.testing.assert_allclose(db, 2 * z.sum(0), rtol=1e-13)
        np.testing.assert_allclose(dx, 2 * z @ W.T, rtol=1e-13)


def test_a_gradient_has_the_dtype_of_its_source(evaluate: Evaluate) -> None:
    w, x = g.placeholder((2,), "float32"), g.placeholder((2,), "float64")
    (gradient,) = g.gradients(g.reduce_sum(w * x), [w])
    assert gradient.dtype == np.float32
    (found,) = evaluate([gradient], {w: [1.0, 2.0], x: [3.0, 4.0]})
    np.testing.assert_array_equal(found, np.array([3.0, 4.0], np.float32))


def test_sources_that_do_not_matter_and_the_cost_itself(evaluate: Evaluate) -> None:
    w, v = g.placeholder((2,), "float64"), g.placeholder((3,), "float64")
    cost = g.reduce_sum(w**2)
    gradients = g.gradients(cost, [v, cost, w, w * 1.0])
    found = evaluate(gradients, {w: [1.0, 2.0], v: [0.0, 0.0, 0.0]})
    for value, expected in zip(found, ([0, 0, 0], 1, [2, 4], [0, 0]), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_the_gradient_by_a_tensor_in_the_middle(evaluate: Evaluate) -> None:
    w = g.placeholder((), "float64")
    middle = w * 3
    by_middle, by_w = g.gradients(middle**2, [middle, w])
    found = evaluate([by_middle, by_w], {w: 2.0})
    assert [float(x) for x in found] == [12.0, 36.0]


def test_integers_have_no_derivatives() -> None:
    n = g.placeholder((), "int32")
    with pytest.raises(GraphError, match="int32; only a float"):
        g.gradients(n * 2, [n])


def test_concatenation_of_unknown_extents_says_why(evaluate: Evaluate) -> None:
    x = g.placeholder((None, 2), "float64", name="rows")
    with pytest.raises(GraphError, match=r"concatenate needs a known extent along axis 0, and rows is \(\?, 2\)"):
        g.gradients(g.reduce_sum(g.concatenate([x, x])), [x])


def test_a_graph_of_a_hundred_thousand_nodes(evaluate: Evaluate) -> None:
    """w ← w + c, 50 000 times, and the sweep back: nothing recurses, neither here nor when it is freed."""
    w, c = g.placeholder((), "float64"), g.placeholder((), "float64")
    x = w
    for _ in range(50_000):
        x = x + c
    dw, dc = g.gradients(x, [w, c])
    plan = Plan(Backend(), [x, dw, dc], {w: np.array(1.0), c: np.array(0.5)})
    plan.run()
    assert [float(plan.outputs[node]) for node in (x, dw, dc)] == [25_001.0, 1.0, 50_000.0]
    assert g.picture(x).count("\n") == 50_001
    del x, dw, dc, plan
