"""Element-wise programs: tiles and threads change the speed, never a bit of the result."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from backend.strict import StrictBackend
from graph.test_plan import naive
from hypothesis import given, settings
from hypothesis import strategies as st

from dlrun import graph as g
from dlrun.backend import Backend
from dlrun.errors import GraphError
from dlrun.graph.elementwise import ElementwiseProgram
from dlrun.graph.node import Node, apply

RANDOM = np.random.default_rng(5)


def leaf(name: str, dtype: str = "float32") -> Node:
    return g.placeholder((None, None), dtype, name=name)


def adam_like() -> tuple[list[Node], list[Node]]:
    """θ, g, v, s and coefficients (R, 1); the new v, s and θ."""
    theta, gradient, v, s, rate, beta, epsilon = leaves = [leaf(name) for name in "θgvsαβε"]
    new_v = beta * v + gradient
    new_s = beta * s + gradient * gradient
    return leaves, [new_v, new_s, theta - rate * 2 * (new_v / (g.sqrt(new_s) + epsilon))]


def values_of(R: int, P: int) -> list[np.ndarray]:
    full = [RANDOM.normal(size=(R, P)).astype("float32") for _ in range(4)]
    return [*full[:3], np.abs(full[3]), *(RANDOM.uniform(0.1, 0.9, (R, 1)).astype("float32") for _ in range(3))]


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 7), (4, 50), (2, 333), (7, 3), (1, 1000)])
@pytest.mark.parametrize("tile", [4, 64, 1 << 14])
@pytest.mark.parametrize("threads", [False, True])
def test_tiles_and_threads_give_the_bits_of_the_whole(
    shape: tuple[int, int], tile: int, threads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlrun.graph.elementwise.THREADED", 1)
    leaves, expressions = adam_like()
    values = values_of(*shape)
    expected = naive(expressions, dict(zip(leaves, values, strict=True)))
    arrays = [value.copy() for value in values]
    targets = [arrays[2], arrays[3], arrays[0]]
    program = ElementwiseProgram(
        Backend(),
        list(zip(expressions, targets, strict=True)),
        dict(zip(leaves, arrays, strict=True)),
        tile=tile,
    )
    with ThreadPoolExecutor(1) as pool:
        program.run(pool if threads else None)
    for target, value in zip(targets, expected, strict=True):
        np.testing.assert_array_equal(target, value)
    for i in (1, 4, 5, 6):
        np.testing.assert_array_equal(arrays[i], values[i])


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Node], list[Node], list[int], tuple[int, int]]:
    """Leaves, assigned expressions, and which array each goes to: the leaf's own of that number, or a new one."""
    leaves = [leaf(f"x{i}", "float64") for i in range(4)]
    nodes: list[Node] = list(leaves)
    for _ in range(draw(st.integers(1, 12))):
        x, y = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        match draw(st.integers(0, 5)):
            case 0:
                nodes.append(apply(draw(st.sampled_from(["sin", "sigmoid", "step", "square", "softplus"])), g.tanh(x)))
            case 1:
                nodes.append(g.where(x > y, y, x * 0.5))
            case 2:
                nodes.append(g.mod(x, y * y + 1.0))
            case 3:
                nodes.append(g.cast(x > 0.1, "float64") + y)
            case _:
                nodes.append(apply(draw(st.sampled_from(["add", "subtract", "multiply", "maximum"])), x, y))
    made = [node for node in nodes if node.inputs]
    chosen = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    places = draw(st.permutations(range(5)))[: len(chosen)]  # leaf 3 is (R, 1): 3 and 4 stand for new arrays
    return leaves, chosen, list(places), (draw(st.integers(1, 3)), draw(st.integers(1, 9)))


@pytest.mark.parametrize("kind", [Backend, StrictBackend])
@settings(max_examples=150, deadline=None)
@given(program=programs(), tile=st.sampled_from([2, 5, 1 << 14]))
def test_assignments_see_the_old_values(
    kind: type[Backend], program: tuple[list[Node], list[Node], list[int], tuple[int, int]], tile: int
) -> None:
    """Whatever is overwritten, and in whatever order: every expression is that of the values before."""
    leaves, expressions, places, (R, P) = program
    backend = kind()
    values = [RANDOM.normal(size=(R, P)) for _ in range(3)] + [RANDOM.normal(size=(R, 1))]
    arrays = [backend.to_device(value) for value in values]
    fresh = [backend.zeros((R, P), "float64") for _ in range(2)]
    targets = [arrays[i] if i < 3 else fresh[i - 3] for i in places]
    expected = naive(expressions, dict(zip(leaves, values, strict=True)))
    compiled = ElementwiseProgram(
        backend,
        list(zip(expressions, targets, strict=True)),
        dict(zip(leaves, arrays, strict=True)),
        tile=tile,
    )
    with backend.quiet():
        compiled.run()
    for target, value in zip(targets, expected, strict=True):
        np.testing.assert_allclose(backend.to_host(target), np.broadcast_to(value, (R, P)), rtol=1e-12, atol=1e-12)


def test_a_run_allocates_nothing() -> None:
    leaves, expressions = adam_like()
    arrays = values_of(1, 200_000)
    bindings = dict(zip(leaves, arrays, strict=True))
    program = ElementwiseProgram(
        Backend(), list(zip(expressions, [arrays[2], arrays[3], arrays[0]], strict=True)), bindings
    )
    program.run()
    tracemalloc.start()
    try:
        program.run()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(20):
            program.run()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1000  # objects of Python that come and go; a tile is 64 KB
    assert peak - before < 5000


def bound(*nodes: Node) -> Mapping[Node, Any]:
    return {node: np.zeros((2, 3), "float32") for node in nodes}


def test_what_is_no_assignment_is_refused() -> None:
    x, y = leaf("x"), leaf("y")
    out = np.zeros((2, 3), "float32")
    with pytest.raises(GraphError, match="sum is not an element-wise operation"):
        ElementwiseProgram(Backend(), [(g.reduce_sum(x, 1, keepdims=True), out)], bound(x))
    with pytest.raises(GraphError, match=r"y \(placeholder\) has no value"):
        ElementwiseProgram(Backend(), [(x + y, out)], bound(x))
    with pytest.raises(GraphError, match="an expression of its own"):
        ElementwiseProgram(Backend(), [(x, out)], bound(x))
    both = x + y
    with pytest.raises(GraphError, match="an expression of its own"):
        ElementwiseProgram(Backend(), [(both, out), (both, out.copy())], bound(x, y))
