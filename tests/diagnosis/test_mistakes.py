"""Mistakes planted in derivatives: each must be found, in the parameters that it spoils and in no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dlrun.diagnosis.batch import CheckedBatch
from dlrun.diagnosis.gradcheck import GradientCheck, check_gradient
from dlrun.graph.arithmetic import cast
from dlrun.graph.gradients import gradients
from dlrun.graph.node import OPS, Node, apply, constant
from dlrun.graph.reductions import matmul
from dlrun.graph.shaping import pack, stop_gradient
from dlrun.nn.layers import batch_norm
from dlrun.nn.network import NetworkGraph

if TYPE_CHECKING:
    from tests.diagnosis.conftest import Checked

Plant = Callable[[pytest.MonkeyPatch], None]


def checked_gradient(batch: CheckedBatch, **options: Any) -> GradientCheck:
    return check_gradient(batch.surface(), batch.gradient(), **options)


def rule(op: str, wrong: Callable[[Node, Node], Any]) -> Plant:
    """An operation whose derivative is `wrong(node, g)`; None there stands for the right one."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = OPS[op].gradient
        assert right is not None
        patch.setitem(OPS, op, replace(OPS[op], gradient=lambda node, g: wrong(node, g) or right(node, g)))

    return plant


def objective(wrong: Callable[[NetworkGraph, Node], Node]) -> Plant:
    """A graph that differentiates something else than cost + penalty."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        def gradient(self: NetworkGraph) -> Node:
            right = self.cost if self.penalty is None else self.cost + self.penalty
            return pack(gradients(wrong(self, right), list(self.blocks.values())))

        patch.setattr(NetworkGraph, "_gradient", gradient)

    return plant


def constant_statistics(patch: pytest.MonkeyPatch) -> None:
    right = batch_norm._batch_mean
    patch.setattr(batch_norm, "_batch_mean", lambda x, site: stop_gradient(right(x, site)))


def named(node: Node, name: str) -> bool:
    return node.name.endswith(name)


def without_bias(node: Node, g: Node) -> Any:
    """∂/∂[W; b] with the row of b forgotten."""
    a, A = node.inputs
    if A.name[0] != "A":
        return None
    keep = np.ones((1, A.shape[1] or 0, 1))
    keep[0, -1] = 0
    return matmul(g, A, transpose_b=True), matmul(a, g, transpose_a=True) * constant(keep)


def one_layer_off(node: Node, g: Node) -> Any:
    """dW2 from z1 in place of a1 = relu(z1)."""
    a, A = node.inputs
    if A.name != "A2":
        return None
    z = a.inputs[0].inputs[0]
    da = matmul(g, A, transpose_b=True)
    return da, matmul(apply("append_ones", z), g, transpose_a=True)


def last_row_forgotten(node: Node, g: Node) -> Any:
    a, A = node.inputs
    if A.name != "A1":
        return None
    keep = np.ones((1, 12, 1))
    keep[0, -1] = 0
    return matmul(g, A, transpose_b=True), matmul(a * constant(keep), g, transpose_a=True)


ALL = {"W1", "b1", "W2", "b2"}
LOWER = {"W1", "b1"}
MISTAKES: dict[str, tuple[dict[str, Any], Plant, set[str]]] = {
    "1/m is missing": ({}, objective(lambda graph, right: 12 * graph.cost), ALL),
    "the penalty is forgotten": ({"l2": True}, objective(lambda graph, right: graph.cost), {"W1", "W2"}),
    "the penalty is not halved": (
        {"l2": True},
        rule("square", lambda node, g: (g * (4 * node.inputs[0]),)),
        {"W1", "W2"},
    ),
    "L1 has lost its sign": ({"l1": True}, rule("abs", lambda node, g: (g,)), {"W1", "W2"}),
    "the weight is transposed the wrong way": (
        {"hidden": (5, 5), "activation": "tanh"},
        rule("append_ones", lambda node, g: (matmul(g.inputs[0], g.inputs[1][..., :-1, :]),) if _square(g) else None),
        LOWER,
    ),
    "the mask is forgotten": (
        {"dropout": (True,)},
        rule("multiply", lambda node, g: (g, g) if named(node.inputs[1], "mask1") else None),
        LOWER,
    ),
    "keep_prob is forgotten behind the mask": (
        {"dropout": (True,)},
        rule(
            "multiply",
            lambda node, g: (g * cast(node.inputs[1] > 0, g.dtype), g) if named(node.inputs[1], "mask1") else None,
        ),
        LOWER,
    ),
    "the bias is dropped": ({}, rule("matmul", without_bias), {"b1", "b2"}),
    "the batch's statistics are taken as constants": (
        {"batch_norm": True},
        constant_statistics,
        {"W1"},
    ),
    "a sign": ({"activation": "sigmoid"}, rule("sigmoid", lambda node, g: (-g * (node * (1 - node)),)), LOWER),
    "one layer off": ({}, rule("matmul", one_layer_off), {"W2"}),
    "the wrong derivative of the activation": (
        {"activation": "tanh"},
        rule("tanh", lambda node, g: (g * (1 - node),)),
        LOWER,
    ),
    "the loss without −y": (
        {"outputs": 1, "loss": "binary_cross_entropy"},
        rule("multiply", lambda node, g: (0 * g, 0 * g) if named(node.inputs[0], "y") else None),
        ALL,
    ),
    "γ without the normalized z": (
        {"batch_norm": True},
        rule("multiply", lambda node, g: (g, g * node.inputs[0]) if named(node.inputs[0], "gamma1") else None),
        {"gamma1"},
    ),
    "a row of the batch is left out": ({}, rule("matmul", last_row_forgotten), {"W1", "b1"}),
    "a slope of 0 in leaky ReLU": (
        {"activation": "leaky_relu"},
        rule(
            "multiply",
            lambda node, g: (g * cast(node.inputs[0] > 0, g.dtype), 0 * g) if _leaky(node) else None,
        ),
        LOWER,
    ),
    "a thousandth too much": (
        {"activation": "tanh"},
        rule("tanh", lambda node, g: (1.001 * g * (1 - node * node),)),
        LOWER,
    ),
}


def _square(g: Node) -> bool:
    return g.op == "matmul" and g.inputs[1].name == "A2"


def _leaky(node: Node) -> bool:
    return node.inputs[1].op == "add" and node.inputs[1].inputs[1].op == "multiply"


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_found_where_it_is(name: str, checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    options, plant, spoiled = MISTAKES[name]
    before = checked_gradient(checked(**options))
    assert before.passed
    assert {each.verdict for each in before.parameters} == {"great"}
    plant(monkeypatch)
    after = checked_gradient(checked(**options))
    assert {each.name for each in after.failed} == spoiled
    assert not after.passed
    assert after.verdict in ("look closer", "worry")
    for each in after.failed:
        assert each.worst is not None
        assert each.analytic != pytest.approx(each.numerical, rel=1e-5)


def test_there_are_a_dozen() -> None:
    assert len(MISTAKES) >= 12


@pytest.mark.parametrize("factor", [1 + 1e-5, 1 + 1e-4])
def test_a_small_mistake_asks_for_a_closer_look_and_stays(factor: float, checked: Checked) -> None:
    """A difference that is the same at another ε comes neither from rounding nor from curvature."""
    batch = checked(activation="tanh")
    surface, gradient = batch.surface(), batch.gradient()
    gradient[:30] *= factor  # W1
    check = check_gradient(surface, gradient)
    assert [each.name for each in check.failed] == ["W1"]
    found = check.failed[0]
    assert found.relative_difference == pytest.approx((factor - 1) / 2, rel=0.01)  # ‖δ‖/(2‖dθ‖)
    assert found.closer_look == pytest.approx((factor - 1) / 2, rel=1e-3)
    assert found.verdict == "look closer"


def test_a_gradient_that_is_not_a_number_is_a_worry(checked: Checked) -> None:
    batch = checked()
    gradient = batch.gradient()
    gradient[3] = np.nan
    check = check_gradient(batch.surface(), gradient)
    assert [(each.name, each.verdict, each.worst) for each in check.failed] == [("W1", "worry", (0, 3))]
    assert check.verdict == "worry"
