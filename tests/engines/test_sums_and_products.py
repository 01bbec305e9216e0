"""Reductions, products and what moves values, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engines.conftest import Evaluate

from dlrun.graph.node import apply
from dlrun.graph.reductions import affine, matmul, reduce_max, reduce_min, reduce_prod, reduce_sum
from dlrun.graph.shaping import concatenate, pack, reshape, transpose

RANDOM = np.random.default_rng(11)
DTYPES = ["float32", "float64"]
SHAPES = [(1, 1, 1), (1, 5, 2), (1, 64, 10), (1, 33, 129), (1, 1, 300), (1, 300, 1)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("axes", [1, 2, (1, 2), (0, 1, 2)], ids=str)
def test_reductions(evaluate: Evaluate, shape: tuple[int, ...], axes: Any, dtype: str) -> None:
    x = RANDOM.uniform(0.5, 1.5, shape).astype(dtype)
    eps = float(np.finfo(dtype).eps)
    for function, expected in (
        (reduce_sum, np.sum(x.astype("float64"), axes, keepdims=True)),
        (reduce_max, x.max(axes, keepdims=True)),
        (reduce_min, x.min(axes, keepdims=True)),
        (reduce_prod, np.prod(x.astype("float64"), axes, keepdims=True)),
    ):
        if x.size > 700 and function is reduce_prod:
            continue
        found = evaluate(lambda a, f=function: f(a, axes, keepdims=True), x)
        np.testing.assert_allclose(found, expected, rtol=x.size**0.5 * 4 * eps)


def test_the_largest_of_nan_is_nan(evaluate: Evaluate) -> None:
    x = RANDOM.standard_normal((1, 4, 40)).astype("float32")
    x[0, 1, 17] = x[0, 2, 39] = np.nan
    np.testing.assert_array_equal(evaluate(lambda a: reduce_max(a, 2, keepdims=True), x), x.max(2, keepdims=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (1, 1, 1),
        (7, 1, 5),
        (33, 32, 2),
        (32, 33, 32),
        (5, 3, 70),
        (64, 65, 128),
        (2, 64, 9),
        (3, 200, 1),
        (1, 1100, 1),
        (5, 1100, 1),
        (1, 1100, 9),
        (130, 129, 67),
    ],
    ids=str,
)
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)], ids=str)
def test_products(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, m: int, k: int, n: int, turned: tuple[bool, bool], dtype: str
) -> None:
    """By loops, and by the library."""
    a = RANDOM.standard_normal((1, k, m) if turned[0] else (1, m, k)).astype(dtype)
    b = RANDOM.standard_normal((1, n, k) if turned[1] else (1, k, n)).astype(dtype)
    given = [
        x.astype("float64").swapaxes(1, 2) if t else x.astype("float64") for x, t in zip((a, b), turned, strict=True)
    ]
    limit = 4 * k * float(np.finfo(dtype).eps)
    for own in (1 << 40, 0):
        monkeypatch.setattr("dlrun.engines.cpu.products.OWN", own)
        found = evaluate(lambda x, y: matmul(x, y, transpose_a=turned[0], transpose_b=turned[1]), a, b)
        np.testing.assert_allclose(found, given[0] @ given[1], rtol=limit, atol=limit)


def test_an_affine_map_has_its_ones(evaluate: Evaluate) -> None:
    from dlrun.engines.cpu.program import Program  # the ones are written by the step, ahead of its loop

    x, A = RANDOM.standard_normal((1, 6, 3)), RANDOM.standard_normal((1, 4, 2))
    shapes = {}

    class Noted(Program):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            shapes["ones"] = [place.shape for place in self.ones]

    from dlrun.engines.cpu.places import Place, Root
    from dlrun.graph.node import placeholder

    leaves = [placeholder(array.shape, array.dtype) for array in (x, A)]
    node = affine(*leaves)
    places = {leaf: Place.whole(Root.of(leaf.shape, leaf.dtype, "%a")) for leaf in leaves}
    Noted([node], places, {node: Place.whole(Root.of((1, 6, 2), x.dtype, "%out"))})
    assert shapes["ones"] == [(1, 6, 1)]


def test_moved_values(evaluate: Evaluate) -> None:
    x = RANDOM.standard_normal((1, 6, 10)).astype("float32")
    np.testing.assert_array_equal(evaluate(lambda a: transpose(a) * 2, x), x.swapaxes(1, 2) * 2)
    np.testing.assert_array_equal(evaluate(lambda a: a[:, ::2, 3:7] + 1, x), x[:, ::2, 3:7] + 1)
    np.testing.assert_array_equal(
        evaluate(lambda a: reshape(a[:, :, :4], (1, 24)) * 3, x), x[:, :, :4].reshape(1, 24) * 3
    )
    np.testing.assert_array_equal(
        evaluate(lambda a: concatenate([a, -a, a[:, :, :1]], 2), x), np.concatenate([x, -x, x[:, :, :1]], 2)
    )
    np.testing.assert_array_equal(
        evaluate(lambda a: pack([a[:, :2], a * 2]), x), np.concatenate([x[:, :2].ravel(), 2 * x.ravel()])[None]
    )
    placed = np.zeros_like(x)
    placed[:, :, 2:5] = x[:, :, 2:5] * 2
    key = (slice(None), slice(None), slice(2, 5))
    np.testing.assert_array_equal(evaluate(lambda a: apply("place", a[key] * 2, a, key=key), x), placed)
