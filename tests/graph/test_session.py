"""Construction, then execution: placeholders, variables, sessions, and graphs as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from dlrun import graph as g
from dlrun.backend import Backend
from dlrun.errors import GraphError


@pytest.fixture
def session(compute: Backend) -> g.Session:
    return g.Session(compute)


def test_a_graph_is_built_once_and_run_many_times(session: g.Session) -> None:
    x = g.placeholder((None, 2), name="x")
    w = g.variable([[1.0], [2.0]], name="w")
    y = x @ w + 0.5
    np.testing.assert_array_equal(session.run(y, {x: [[1, 1]]}), [[3.5]])
    np.testing.assert_array_equal(session.run(y, {x: np.eye(2)}), [[1.5], [2.5]])
    total, both = session.run([g.reduce_sum(y), y], {x: [[0, 0], [1, 1]]})
    assert total == np.float32(4.0)
    np.testing.assert_array_equal(both, [[0.5], [3.5]])


def test_values_are_the_callers_own(session: g.Session) -> None:
    w = g.variable(np.zeros(2), name="w")
    first = session.run(w * 1)
    first[0] = 7
    assert session.run(w)[0] == 0
    kept = session.run(w + 1.0)
    session.assign(w, [5.0, 5.0])
    assert kept.tolist() == [1.0, 1.0]
    assert session.run(w + 1.0).tolist() == [6.0, 6.0]


def test_sessions_keep_their_variables_apart(compute: Backend) -> None:
    w = g.variable(1.0, name="w")
    with g.Session(compute) as one, g.Session(compute) as two:
        one.assign(w, 5)
        assert (one.value(w), two.value(w)) == (5.0, 1.0)
        one.close()
        assert one.value(w) == 1.0


def test_an_action_runs_after_the_values_are_taken(session: g.Session) -> None:
    w = g.variable(1.0, name="w")

    class Double:
        """w ← 2w, with a count kept by each session."""

        needs = (w * 2,)

        def start(self, session: g.Session) -> Callable[[Mapping[g.Node, Any]], None]:
            return lambda outputs: session.backend.xp.copyto(session.array(w), outputs[self.needs[0]])

    double = Double()
    assert session.run([w, double, w + 1]) == [1.0, None, 2.0]
    assert session.run(double) is None
    assert session.value(w) == 4.0


def test_shapes_at_run_time(session: g.Session) -> None:
    x = g.placeholder((None, None), "float64", name="x")
    half = x / g.cast(g.shape(x)[0], "float64")
    for rows, columns in ((2, 3), (4, 1)):
        shape, value = session.run([g.shape(x), half], {x: np.ones((rows, columns))})
        assert shape.tolist() == [rows, columns]
        np.testing.assert_array_equal(value, np.full((rows, columns), 1 / rows))


def test_plans_are_kept_by_fetches_and_shapes(session: g.Session) -> None:
    x = g.placeholder((None,), name="x")
    y = x * 2
    for rows in (1, 2, 1, 2, 1):
        session.run(y, {x: np.zeros(rows)})
    assert len(session._programs) == 2
    for rows in range(200):
        session.run(y, {x: np.zeros(rows + 1)})
    assert len(session._programs) <= 64


@pytest.mark.parametrize(
    ("shape", "dtype", "value", "message"),
    [
        ((2,), "float32", [1, 2, 3], r"x expects shape \(2,\) and was given \(3,\)"),
        ((None, 2), "float32", [1, 2], r"x expects shape \(\?, 2\) and was given \(2,\)"),
        ((), "int32", 1.5, "x is int32 and was given float64"),
        ((), "int8", 1000, "x is int8, which does not hold every value"),
        ((), "uint8", -1, "x is uint8"),
        ((), "bool", 1, "x is bool and was given int64"),
        ((), "float32", "a", "x is float32 and was given <U1"),
        ((2,), "float32", [[1], [1, 2]], "x was given what is no array"),
        ((), "float32", None, "x is float32 and was given object"),
        ((), "float32", 1j, "x is float32 and was given complex128"),
    ],
)
def test_what_is_fed_must_fit(session: g.Session, shape: Any, dtype: str, value: Any, message: str) -> None:
    x = g.placeholder(shape, dtype, name="x")
    with pytest.raises(GraphError, match=message):
        session.run(g.shape(x), {x: value})


@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", 1), ("float64", True), ("float32", 0.1), ("int64", np.int8(3)), ("int8", 100)]
)
def test_numbers_that_fit_are_taken(session: g.Session, dtype: str, value: Any) -> None:
    x = g.placeholder((), dtype, name="x")
    found = session.run(x, {x: value})
    assert found.dtype == dtype
    assert found == np.dtype(dtype).type(value)


def test_misuse_is_named(session: g.Session) -> None:
    x, w = g.placeholder((2,), name="x"), g.variable([1.0, 2.0], name="w")
    with pytest.raises(GraphError, match=r"not fed: x \(2,\) float32"):
        session.run(x + w)
    with pytest.raises(GraphError, match="constant is no placeholder"):
        session.run(w, {g.constant(1.0): 2})
    with pytest.raises(GraphError, match="'x' is no placeholder"):
        session.run(w, {"x": 2})  # type: ignore[dict-item]
    with pytest.raises(GraphError, match="3 cannot be run"):
        session.run([w, 3])  # type: ignore[list-item]
    with pytest.raises(GraphError, match="x is no variable"):
        session.value(x)
    with pytest.raises(GraphError, match=r"w expects shape \(2,\) and was given \(3,\)"):
        session.assign(w, [1, 2, 3])


def test_a_host_array_is_copied_to_the_device_and_a_device_array_is_taken(session: g.Session) -> None:
    x = g.placeholder((3,), "float32", name="x")
    host = np.arange(3, dtype="float32")
    device = session.backend.to_device(host)
    for fed in (host, device, [0, 1, 2]):
        assert session.run(x * 2, {x: fed}).tolist() == [0, 2, 4]


def test_a_fed_array_of_a_hundred_normals(session: g.Session) -> None:
    """The example of the texts: b = prod(a), c = mean(a), d = sum(a), e = b + c, f = e·d."""
    a = g.placeholder((100,), "float64", name="a")
    b = g.reduce_prod(a).named("b")
    c = g.reduce_mean(a).named("c")
    d = g.reduce_sum(a).named("d")
    e = (b + c).named("e")
    f = (e * d).named("f")
    values = np.random.default_rng(0).normal(1, 2, 100)
    found = session.run([b, c, d, e, f], {a: values})
    expected = [values.prod(), values.mean(), values.sum()]
    expected += [expected[0] + expected[1], (expected[0] + expected[1]) * expected[2]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    lines = g.picture(f).splitlines()
    assert lines[0].split() == ["a", "placeholder", "(100,)", "float64"]
    assert lines[-1].split("  ")[0] == "f"
    assert "multiply(e, d)" in lines[-1]
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "a", "prod", "b", "mean/", "c", "e", "sum", "d", "f",
    ]  # fmt: skip


def test_the_picture_indents_scopes_and_tells_names_apart() -> None:
    x = g.placeholder((None, 2), "float64", name="x")
    with g.name_scope("layer1"):
        w = g.variable(np.zeros((2, 3)), name="w")
        with g.name_scope("activation"):
            a = g.tanh(x @ w)
    y = g.tanh(a)[..., None, ::2]
    twice: Sequence[g.Node] = [y + 1.0, y + 1.0]
    lines = [re.sub(r"(?<=\S) {2,}", "  ", line) for line in g.picture(twice).splitlines()]  # columns are aligned
    assert lines == [
        "x  placeholder  (?, 2)  float64",
        "layer1/",
        "  w  variable  (2, 3)  float64",
        "  activation/",
        "    matmul  matmul(x, layer1/w)  (?, 3)  float64",
        "    tanh  tanh(matmul)  (?, 3)  float64",
        "tanh  tanh(layer1/activation/tanh)  (?, 3)  float64",
        "index  index(tanh, key=[..., None, ::2])  (?, 1, 2)  float64",
        "constant  constant 1.0  ()  float64",
        "add  add(index, constant)  (?, 1, 2)  float64",
        "constant_1  constant 1.0  ()  float64",
        "add_1  add(index, constant_1)  (?, 1, 2)  float64",
    ]


def test_importing_the_graph_is_cheap() -> None:
    import subprocess
    import sys

    code = "import sys, dlrun.graph; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"scipy", "pandas", "pydantic", "rich", "typer", "cupy"} & set(found)
