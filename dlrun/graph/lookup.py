"""Rows of a table by their numbers: what an embedding does with tokens."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from dlrun.backend import Array, Backend, Call
from dlrun.graph.node import Node, Op, Shape, apply, register

Attributes = Mapping[str, Any]


def _lookup_shape(attributes: Attributes, table: Shape, tokens: Shape) -> Shape:
    """(R, V, u) and (R, …) → (R, …, u)."""
    if len(table) != 3 or len(tokens) < 2:
        raise ValueError("a table is (replicas, tokens, units) and the tokens are (replicas, …)")
    return (table[0] if tokens[0] == 1 else tokens[0], *tokens[1:], table[2])


def _numbers(backend: Backend, tokens: Array, replica: int, rows: int) -> Array:
    """Whole numbers from 0 to V − 1; others, which no data set gives, are the nearest of them."""
    own = tokens[replica if tokens.shape[0] > 1 else 0]
    return backend.xp.clip(backend.xp.where(own == own, own, 0), 0, rows - 1).astype(np.int64)


def _look_up(backend: Backend, out: Array, table: Array, tokens: Array) -> None:
    for r in range(out.shape[0]):
        own = table[r if table.shape[0] > 1 else 0]
        backend.xp.copyto(out[r], own[_numbers(backend, tokens, r, own.shape[0])])


def _add_up(backend: Backend, out: Array, g: Array, tokens: Array) -> None:
    """out[v] ← Σ g over the places of token v, always in the same order."""
    out.fill(0)
    for r in range(out.shape[0]):
        numbers = _numbers(backend, tokens, r, out.shape[1]).reshape(-1)
        rows = g[r].reshape(-1, g.shape[-1])
        if backend.name == "cpu":
            np.add.at(out[r], numbers, rows)
        else:  # a product: the sums of `scatter_add` come in another order each time
            chosen = (numbers[None, :] == backend.xp.arange(out.shape[1])[:, None]).astype(out.dtype)
            out[r] = chosen @ rows


def _bind_lookup(backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes) -> list[Call]:
    return [partial(_look_up, backend, out, *inputs)]


def _bind_lookup_gradient(
    backend: Backend, out: Array, inputs: tuple[Array, ...], attributes: Attributes
) -> list[Call]:
    return [partial(_add_up, backend, out, *inputs[:2])]


register(
    Op(
        "lookup",
        _lookup_shape,
        lambda attributes, table, tokens: table,
        _bind_lookup,
        gradient=lambda node, g: (apply("lookup_gradient", g, node.inputs[1], node.inputs[0]), None),
    )
)
register(
    Op(
        "lookup_gradient",
        lambda attributes, g, tokens, like: (g[0], *like[1:]),
        lambda attributes, g, tokens, like: g,
        _bind_lookup_gradient,
    )
)


def lookup(table: Node, tokens: Node) -> Node:
    """Row number tokens[r, …] of table r: (R, V, u) and (R, …) → (R, …, u); no derivative in the tokens."""
    return apply("lookup", table, tokens)
