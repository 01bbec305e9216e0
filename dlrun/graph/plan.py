"""A plan: ordered kernels bound to arrays that were allocated once.

Making a plan fixes every shape, leaves out what need not be computed (see `simplify`), lets buffers be
reused where lifetimes allow, and computes packed tensors (all gradients of a model, say) directly in
their place. Running it calls the kernels one after another: it allocates nothing and
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
from dlrun.graph.node import OPS, Concrete, Node
from dlrun.graph.shaping import pack_views
from dlrun.graph.simplify import SHAPE_ONLY, Extents, simplify

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
        simple = simplify(fetches, bindings)
        self._shapes, self._canonical, self._uniform = simple.shapes, simple.canonical, simple.uniform
        steps = simple.steps
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
            for x in inputs[:-1] if node.op in SHAPE_ONLY else inputs:
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
            operands = self._operands(node, inputs)
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
        operands = tuple(map(self._operand, inputs)) if scalars else self._operands(node, inputs)
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

    def _operands(self, node: Node, inputs: tuple[Node, ...]) -> tuple[Any, ...]:
        """The arrays of a node's inputs; for an input that lends its shape alone, no more than that."""
        if node.op not in SHAPE_ONLY:
            return tuple(map(self._array, inputs))
        return (*map(self._array, inputs[:-1]), Extents(self._shapes[inputs[-1]]))

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
