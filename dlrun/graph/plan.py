"""A plan: ordered kernels bound to arrays that were allocated once.

Making a plan fixes every shape, shares equal expressions, drops multiplications by one, lets
buffers be reused where lifetimes allow, and computes packed tensors (all gradients of a model, say)
directly in their place. Running it calls the kernels one after another: it allocates nothing and
decides nothing. Values that change between runs (data, parameters, learning rates) live in the
arrays that the leaves are bound to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from dlrun.backend import Array, Backend, Call
from dlrun.errors import GraphError
from dlrun.graph.gradients import topological_order
from dlrun.graph.node import OPS, Concrete, Node, show_shape
from dlrun.graph.reductions import counted
from dlrun.graph.shaping import pack_views

_SHAPE_ONLY = {
    "broadcast_like",
    "reshape_like",
    "sum_like",
    "place",
    "shape",
    "count",
}  # the last input lends its shape
_FOLDED = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "divide": "true_divide",
    "negative": "negative",
}
_ALIGNMENT = 64


class Plan:
    """The fetched nodes as a program on `backend`.

    bindings  the array of each placeholder and variable; its shape replaces unknown extents
    targets   arrays that given nodes are to be written to, in place of memory of the plan's own
    `outputs[node]` is the array of a fetched node, filled by `run`. `bytes` is the memory taken.
    """

    def __init__(
        self,
        backend: Backend,
        fetches: Sequence[Node],
        bindings: Mapping[Node, Array],
        targets: Mapping[Node, Array] | None = None,
    ) -> None:
        self._backend = backend
        self._bindings = bindings
        self._targets = dict(targets or {})
        self.bytes = 0
        order = topological_order(fetches)
        self._shapes: dict[Node, Concrete] = {}
        self._canonical: dict[Node, Node] = {}
        self._uniform: dict[Node, Any] = {}
        steps = self._simplify(order)
        fetched = [self._canonical[node] for node in fetches]
        self._calls = [*self._bind(steps, fetched), *self._fill_targets(fetches)]
        self.outputs: dict[Node, Array] = {
            node: self._targets.get(node, self._array(self._canonical[node])) for node in fetches
        }

    def run(self) -> None:
        """Call every kernel once, in order."""
        for call in self._calls:
            call()

    @property
    def calls(self) -> list[Call]:
        """The bound kernels, for a caller that interleaves them with its own."""
        return self._calls

    # -- shapes and simplification -------------------------------------------------------------

    def _simplify(self, order: list[Node]) -> list[Node]:
        """Concrete shapes; equal expressions become one; products with 1 become their other factor."""
        seen: dict[Any, Node] = {}
        steps = []
        for node in order:
            inputs = tuple(self._canonical[x] for x in node.inputs)
            shape = self._shapes[node] = self._infer(node, inputs)
            if not node.inputs:
                self._canonical[node] = node
                if node.op == "constant" and node.value.ndim == 0:
                    self._uniform[node] = node.value.item()
                continue
            if self._fold(node, inputs):
                self._canonical[node] = node
                continue
            reduced = self._reduce(node, inputs, shape)
            if reduced is not None:
                self._canonical[node] = reduced
                continue
            key = (node.op, inputs, tuple(map(repr, sorted(node.attributes.items()))), node.dtype, shape)
            twin = seen.setdefault(key, node)
            self._canonical[node] = twin
            if twin is node:
                steps.append(node)
        return steps

    def _infer(self, node: Node, inputs: tuple[Node, ...]) -> Concrete:
        if not node.inputs:
            array = node.value if node.op == "constant" else self._bindings.get(node)
            if array is None:
                raise GraphError(f"{node.name} ({node.op}) has no value: feed it")
            self._check_leaf(node, array)
            return tuple(array.shape)
        try:
            shape = OPS[node.op].shape(node.attributes, *(self._shapes[x] for x in inputs))
        except ValueError as error:
            shapes = " and ".join(show_shape(self._shapes[x]) for x in inputs)
            raise GraphError(f"{node.name}: {node.op} of {shapes}: {error}") from None
        if node.op == "reshape" and -1 in shape:
            rest = math.prod(e for e in shape if e is not None and e != -1)
            total = math.prod(self._shapes[inputs[0]])
            shape = tuple(total // rest if e == -1 else e for e in shape)
        return tuple(int(extent or 0) for extent in shape)

    @staticmethod
    def _check_leaf(node: Node, array: Array) -> None:
        fits = len(array.shape) == node.rank and all(
            expected in (None, extent) for expected, extent in zip(node.shape, array.shape, strict=True)
        )
        if not fits or array.dtype != node.dtype:
            raise GraphError(
                f"{node.name} expects {show_shape(node.shape)} {node.dtype} "
                f"and was given {show_shape(tuple(array.shape))} {array.dtype}"
            )

    def _fold(self, node: Node, inputs: tuple[Node, ...]) -> bool:
        """Whether every element of the node is one known number: arithmetic on such tensors is done here."""
        if node.dtype.kind != "f":
            return False
        if node.op == "count":
            self._uniform[node] = float(counted(node.attributes, self._shapes[inputs[0]]))
        elif node.op == "broadcast_like" and inputs[0] in self._uniform:
            self._uniform[node] = self._uniform[inputs[0]]
        elif node.op in _FOLDED and all(x in self._uniform for x in inputs):
            values = [x.dtype.type(self._uniform[x]) for x in inputs]
            with np.errstate(all="ignore"):
                self._uniform[node] = getattr(np, _FOLDED[node.op])(*values).item()
        return node in self._uniform

    def _reduce(self, node: Node, inputs: tuple[Node, ...], shape: Concrete) -> Node | None:
        """x·1 and x + 0 are x; a sum to the shape that x has already is x."""
        if node.op == "sum_like" and self._shapes[inputs[0]] == shape:
            return inputs[0]
        neutral = {"multiply": 1, "add": 0}.get(node.op)
        if neutral is not None:
            for a, b in (inputs, inputs[::-1]):
                same = self._shapes[a] == shape and a.dtype == node.dtype
                if same and b in self._uniform and self._uniform[b] == neutral:
                    return a
        return None

    # -- memory --------------------------------------------------------------------------------

    def _bind(self, steps: list[Node], fetched: list[Node]) -> list[Call]:
        self._arrays: dict[Node, Array] = {}
        self._owner: dict[Node, Node] = {}  # the node whose memory a view looks into
        self._pool: list[Array] = []
        last_use = self._last_uses(steps, fetched)
        self._place_targets(steps)
        calls: list[Call] = []
        self._memory: dict[Node, Array] = {}
        for position, node in enumerate(steps):
            inputs = tuple(self._canonical[x] for x in node.inputs)
            calls += self._bind_step(node, inputs, position, last_use)
            for owner in dict.fromkeys(self._owner.get(x) for x in (*inputs, node)):
                if owner is not None and last_use.get(owner, position) <= position:
                    memory = self._memory.pop(owner, None)
                    if memory is not None:
                        self._pool.append(memory)
        return calls

    def _fill_targets(self, fetches: Sequence[Node]) -> list[Call]:
        """Copies for the targets whose node was not computed there: a view, one number, or another node's twin."""
        calls: list[Call] = []
        for node in dict.fromkeys(fetches):
            target = self._targets.get(node)
            if target is None or self._arrays.get(node) is target:
                continue
            calls.append(partial(self._backend.xp.copyto, target, self._array(self._canonical[node])))
        return calls

    def _last_uses(self, steps: list[Node], fetched: list[Node]) -> dict[Node, int]:
        """The position after which nothing reads a node's memory; views extend their owner's life."""
        last: dict[Node, int] = {}
        for position, node in enumerate(steps):
            inputs = [self._canonical[x] for x in node.inputs]
            readers = inputs[:-1] if node.op in _SHAPE_ONLY else inputs
            for x in readers:
                last[x] = position
            last.setdefault(node, position)
        for node in fetched:
            last[node] = len(steps)
        for position in range(len(steps) - 1, -1, -1):
            node = steps[position]
            if OPS[node.op].view is not None and node.inputs:
                source = self._canonical[node.inputs[0]]
                last[source] = max(last.get(source, position), last[node])
        return last

    def _place_targets(self, steps: list[Node]) -> None:
        """Let what is packed, or gets a column of ones beside it, be computed in its place."""
        for node in steps:
            if node.op not in ("pack", "append_ones"):
                continue
            out = self._targets.get(node)
            if out is None:
                out = self._targets[node] = self._fresh(self._shapes[node], node.dtype)
            inputs = [self._canonical[x] for x in node.inputs]
            views = pack_views(out, [self._shapes[x] for x in inputs]) if node.op == "pack" else [out[..., :-1]]
            for x, view in zip(inputs, views, strict=True):
                computed = x.inputs and x not in self._uniform and OPS[x.op].view is None
                if computed and x.dtype == node.dtype and x not in self._targets and inputs.count(x) == 1:
                    self._targets[x] = view

    def _fresh(self, shape: Concrete, dtype: Any) -> Array:
        self.bytes += math.prod(shape) * np.dtype(dtype).itemsize
        return self._backend.empty(shape, dtype)

    def _bind_step(self, node: Node, inputs: tuple[Node, ...], position: int, last_use: dict[Node, int]) -> list[Call]:
        op = OPS[node.op]
        if op.view is not None:
            operands = tuple(self._array(x) for x in inputs)
            view = op.view(self._backend, operands, node.attributes)
            if view is not None:
                self._arrays[node] = view
                owner = self._owner.get(inputs[0])
                if owner is not None:
                    self._owner[node] = owner
                return []
        out = self._targets.get(node)
        if out is None:
            out = self._output(node, op, inputs, position, last_use)
        self._arrays[node] = out
        if op.bind is None:
            raise GraphError(f"{node.name}: the operation {node.op!r} cannot be computed")
        scalars = op.elementwise and node.op != "where" and len(out.shape) > 0
        operands = tuple(self._operand(x) if scalars else self._array(x) for x in inputs)
        if scalars and out.size == 1:
            out = out.reshape(())
        return op.bind(self._backend, out, operands, node.attributes)

    def _output(self, node: Node, op: Any, inputs: tuple[Node, ...], position: int, last_use: dict[Node, int]) -> Array:
        shape, dtype = self._shapes[node], node.dtype
        if op.in_place:
            for x in inputs:
                owner = self._owner.get(x)
                if (
                    owner is x  # a whole buffer, not a view into one
                    and last_use[x] == position
                    and self._shapes[x] == shape
                    and x.dtype == dtype
                    and x in self._memory
                    and all(self._owner.get(y) is not x for y in inputs if y is not x)
                ):
                    self._owner[node] = node
                    self._memory[node] = self._memory.pop(x)
                    return self._arrays[x]
        size = math.prod(shape) * dtype.itemsize
        fitting = [memory for memory in self._pool if size <= memory.nbytes <= 4 * size + 4096]
        if fitting:
            memory = min(fitting, key=lambda m: int(m.nbytes))
            self._pool = [m for m in self._pool if m is not memory]
        else:
            memory = self._fresh((-(-max(size, 1) // _ALIGNMENT) * _ALIGNMENT,), np.uint8)
        self._owner[node] = node
        self._memory[node] = memory
        return memory[:size].view(dtype).reshape(shape)

    def _operand(self, node: Node) -> Any:
        """One number, or the same everywhere, enters an element-wise kernel as an array without axes."""
        if node in self._uniform:
            return self._backend.scalar(self._uniform[node], node.dtype)
        array = self._array(node)
        return array.reshape(()) if array.size == 1 else array

    def _array(self, node: Node) -> Array:
        if node in self._arrays:
            return self._arrays[node]
        if node.op == "constant":
            self._arrays[node] = self._backend.to_device(node.value, node.dtype)
        elif node in self._uniform:
            self._arrays[node] = self._backend.xp.full(self._shapes[node], self._uniform[node], node.dtype)
        elif node in self._bindings:
            self._arrays[node] = self._bindings[node]
        return self._arrays[node]
