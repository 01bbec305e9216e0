"""Chains of element-wise operations over whole rows of parameters, run in cache-sized tiles.

An optimizer is a few equations over θ, its gradient and its state, all of shape (R, P). Computed one
equation at a time over five million parameters, every intermediate result would travel to
memory and back; computed tile by tile, intermediates stay in the cache. The tiles are
independent, so that several threads may share them, and the result does not depend on how many do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import cached_property, partial
from typing import Any

from dlrun.backend import Array, Backend, Call
from dlrun.errors import GraphError
from dlrun.graph.gradients import topological_order
from dlrun.graph.node import OPS, Node

TILE = 1 << 17  # elements: smaller tiles pay for more calls, larger ones for memory (measured)
THREADED = 1 << 18  # elements from which a second thread pays for being woken


class ElementwiseProgram:
    """Assignments `target ← expression`, element by element over (R, P) arrays.

    assignments  pairs of an expression and the array that receives it. A target may be bound to a
                 leaf as well: it is then overwritten in place once nothing reads the old value.
    bindings     the array of each leaf: (R, P), or (R, 1) or (1, 1) for values constant along a row
    """

    def __init__(
        self,
        backend: Backend,
        assignments: Sequence[tuple[Node, Array]],
        bindings: Mapping[Node, Array],
        *,
        tile: int = TILE,
    ) -> None:
        self._backend = backend
        self._bindings = bindings
        self._targets = dict(assignments)
        if len(self._targets) < len(assignments) or not all(node.inputs for node in self._targets):
            raise GraphError("each target needs an expression of its own, which is more than a leaf")
        order = topological_order(list(self._targets))
        self._steps = [node for node in order if node.inputs]
        for node in order:
            if node.inputs and not OPS[node.op].elementwise:
                raise GraphError(f"{node.name}: {node.op} is not an element-wise operation")
            if not node.inputs and node not in bindings and (node.op != "constant" or node.rank > 0):
                raise GraphError(f"{node.name} ({node.op}) has no value: bind it to an array")
        self._last_use = self._lifetimes()
        shape = next(iter(self._targets.values())).shape if assignments else (0, 0)
        self._cuts = self._cut(shape, tile)
        self._tiles = self._bind_tiles()
        self._flat = [call for calls in self._tiles for call in calls]
        self._size = shape[0] * shape[1]

    def run(self, threads: Executor | None = None) -> None:
        """Carry out the assignments; of a large model, a second thread takes tiles as long as there are any.

        Each takes the next tile when it is done with one: a thread that is woken late, or shares its core with
        another process, takes fewer.
        """
        if threads is None or self._size < THREADED or len(self._tiles) < 2:
            for call in self._flat:
                call()
            return
        left = iter(range(len(self._tiles)))
        other = threads.submit(_run_tiles, left, self._tiles_of_helper, self._backend)
        _run_tiles(left, self._tiles, self._backend)
        if not other.cancel():  # it has begun
            other.result()

    @cached_property
    def _tiles_of_helper(self) -> list[list[Call]]:
        """The same tiles with other scratch arrays."""
        return self._bind_tiles()

    # -- binding -------------------------------------------------------------------------------

    def _cut(self, shape: tuple[int, ...], tile: int) -> list[tuple[slice, slice]]:
        """Row and column ranges of about `tile` elements; one range on a GPU."""
        R, P = shape
        if self._backend.name != "cpu" or 2 * tile >= R * P:
            return [(slice(0, R), slice(0, P))]
        if tile <= P:
            pieces = max(1, round(P / (2 * tile))) * 2  # an even number: two threads share them
            width = -(-P // pieces)
            return [(slice(r, r + 1), slice(c, min(c + width, P))) for r in range(R) for c in range(0, P, width)]
        height = max(1, tile // P)
        return [(slice(r, min(r + height, R)), slice(0, P)) for r in range(0, R, height)]

    def _lifetimes(self) -> dict[Node, int]:
        last: dict[Node, int] = {}
        for position, node in enumerate(self._steps):
            for x in node.inputs:
                last[x] = position
        return last

    def _bind_tiles(self) -> list[list[Call]]:
        """The calls of every tile. All use the same scratch arrays, which therefore stay in the cache."""
        memory: dict[tuple[Any, int], Array] = {}
        return [self._bind_tile(rows, columns, memory) for rows, columns in self._cuts]

    def _bind_tile(self, rows: slice, columns: slice, memory: dict[tuple[Any, int], Array]) -> list[Call]:
        """The calls of one tile. Scratch arrays die with their last use and are reused."""
        arrays: dict[Node, Any] = {node: _part(array, rows, columns) for node, array in self._bindings.items()}
        places = {node: _part(array, rows, columns) for node, array in self._targets.items()}
        scratch = _Scratch(self._backend, (rows.stop - rows.start, columns.stop - columns.start), memory)
        late: list[Node] = []
        calls: list[Call] = []
        for position, node in enumerate(self._steps):
            op = OPS[node.op]
            operands = tuple(self._operand(x, arrays) for x in node.inputs)
            dying = [x for x in dict.fromkeys(node.inputs) if self._last_use[x] == position]
            if node in places and self._is_free(node, position if op.in_place else position - 1):
                out = places[node]
            elif node not in places and self._is_row_constant(node, arrays):
                out = self._backend.empty(_row_shape(operands), node.dtype)
            elif node not in places and (assignment := self._early_place(node, position)) is not None:
                out = places[assignment]
            else:
                out = scratch.take(node, [arrays[x] for x in dying if scratch.owns(x)] if op.in_place else [])
                if node in places:
                    late.append(node)
                    scratch.keep(node)
            arrays[node] = out
            assert op.bind is not None
            calls += op.bind(self._backend, out.reshape(()) if out.size == 1 else out, operands, node.attributes)
            for x in dying:
                scratch.release(x)
        for node in late:
            value = self._operand(node, arrays)
            calls.append(partial(self._backend.xp.copyto, places[node], value))
        return calls

    def _is_free(self, node: Node, position: int) -> bool:
        """Whether the node can be computed in its target: no old value there is read after the position."""
        target = self._targets[node]
        leaves = [leaf for leaf, array in self._bindings.items() if array is target]
        return target.dtype == node.dtype and all(self._last_use.get(leaf, -1) <= position for leaf in leaves)

    def _early_place(self, node: Node, position: int) -> Node | None:
        """The assignment in whose target this step towards it can be computed: βv in v's memory before v ← βv + g.

        Overwriting an operand moves two thirds of the bytes that a third array would take.
        """
        readers = [step for step in self._steps if node in step.inputs]
        if len(readers) != 1 or readers[0] not in self._targets:
            return None
        target, ops = self._targets[readers[0]], (OPS[node.op], OPS[readers[0].op])
        read = any(self._bindings.get(x) is target for x in node.inputs)
        fits = read and target.dtype == node.dtype and all(op.in_place for op in ops)
        old = [leaf for leaf, array in self._bindings.items() if array is target]
        return readers[0] if fits and all(self._last_use[leaf] <= position for leaf in old) else None

    def _operand(self, node: Node, arrays: Mapping[Node, Any]) -> Any:
        if node.op == "constant" and node.value.ndim == 0:
            return self._backend.scalar(node.value.item(), node.dtype)
        array = arrays[node]
        return array.reshape(()) if array.size == 1 else array

    def _is_row_constant(self, node: Node, arrays: Mapping[Node, Any]) -> bool:
        """Whether every operand is constant along the rows, so that one number per row is enough."""
        return node not in self._targets and all(x.op == "constant" or arrays[x].shape[1] == 1 for x in node.inputs)


def _row_shape(operands: Sequence[Any]) -> tuple[int, int]:
    return (max((x.shape[0] for x in operands if getattr(x, "ndim", 0)), default=1), 1)


def _part(array: Array, rows: slice, columns: slice) -> Array:
    """The rows and columns of a tile; values constant along an axis of extent 1 are whole in every tile."""
    r = rows if array.shape[0] != 1 else slice(0, 1)
    c = columns if array.shape[1] != 1 else slice(0, 1)
    if (r.stop - r.start, c.stop - c.start) == tuple(array.shape):
        return array  # the same object, not a view: CuPy takes a view that overlaps `out` for another array
    return array[r, c]


class _Scratch:
    """Arrays of a tile's shape for intermediate results: views of `memory`, by dtype and number."""

    def __init__(self, backend: Backend, shape: tuple[int, int], memory: dict[tuple[Any, int], Array]) -> None:
        self._backend = backend
        self._shape = shape
        self._memory = memory
        self._taken = 0
        self._owned: dict[Node, Array] = {}
        self._free: list[Array] = []

    def owns(self, node: Node) -> bool:
        return node in self._owned

    def take(self, node: Node, dying: list[Array]) -> Array:
        """An array for the node's value: that of an operand read for the last time, a free one, or a new one."""
        for array in dying:
            if array.dtype == node.dtype:
                self._owned = {x: held for x, held in self._owned.items() if held is not array}
                self._owned[node] = array
                return array
        fitting = [array for array in self._free if array.dtype == node.dtype]
        if fitting:
            self._free = [array for array in self._free if array is not fitting[0]]
        self._owned[node] = fitting[0] if fitting else self._another(node.dtype)
        return self._owned[node]

    def _another(self, dtype: Any) -> Array:
        size = self._shape[0] * self._shape[1]
        key = (dtype, self._taken)
        self._taken += 1
        if key not in self._memory or self._memory[key].size < size:
            self._memory[key] = self._backend.empty((size,), dtype)
        return self._memory[key][:size].reshape(self._shape)

    def keep(self, node: Node) -> None:
        """The node's value is needed to the end."""
        del self._owned[node]

    def release(self, node: Node) -> None:
        """The node's value is no longer needed."""
        if node in self._owned:
            self._free.append(self._owned.pop(node))


def _run_tiles(left: Iterator[int], tiles: Sequence[Sequence[Call]], backend: Backend) -> None:
    with backend.quiet():
        for number in left:
            for call in tiles[number]:
                call()
