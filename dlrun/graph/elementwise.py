"""Chains of element-wise operations over whole rows of parameters, run in cache-sized tiles.

An optimizer is a few equations over θ, its gradient and its state, all of shape (R, P). Computed one
equation at a time over five million parameters, every intermediate result would travel to
memory and back; computed tile by tile, intermediates stay in the cache. The tiles are
independent, so that several threads may share them, and the result does not depend on how many do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

from dlrun.backend import Array, Backend, Call
from dlrun.errors import GraphError
from dlrun.graph.gradients import topological_order
from dlrun.graph.node import OPS, Node

TILE = 1 << 14  # elements: 64 KB of float32, so that the eight arrays of Adam stay in a 1 MB cache
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
        self._targets = {expression: array for expression, array in assignments}
        order = topological_order([expression for expression, _ in assignments])
        self._steps = [node for node in order if node.inputs]
        for node in self._steps:
            if not OPS[node.op].elementwise:
                raise GraphError(f"{node.name}: {node.op} is not an element-wise operation")
        self._last_use = self._lifetimes()
        shape = next(iter(self._targets.values())).shape if assignments else (0, 0)
        self._tiles = [self._bind_tile(rows, columns) for rows, columns in self._cut(shape, tile)]
        self._flat = [call for calls in self._tiles for call in calls]
        self._size = shape[0] * shape[1]

    def run(self, threads: Executor | None = None) -> None:
        """Carry out the assignments; a second thread takes half of the tiles of a large model."""
        if threads is None or self._size < THREADED or len(self._tiles) < 4:
            for call in self._flat:
                call()
            return
        half = len(self._tiles) // 2
        other = threads.submit(_run_tiles, self._tiles[half:], self._backend)
        _run_tiles(self._tiles[:half], self._backend)
        other.result()

    # -- binding -------------------------------------------------------------------------------

    def _cut(self, shape: tuple[int, ...], tile: int) -> list[tuple[slice, slice]]:
        """Row and column ranges of at most `tile` elements; one range on a GPU."""
        R, P = shape
        if self._backend.name != "cpu" or 2 * tile >= R * P:
            return [(slice(0, R), slice(0, P))]
        if tile <= P:
            pieces = -(-P // tile)
            width = -(-P // pieces)
            return [
                (slice(r, r + 1), slice(c, min(c + width, P))) for r in range(R) for c in range(0, P, width)
            ]
        height = max(1, tile // P)
        return [(slice(r, min(r + height, R)), slice(0, P)) for r in range(0, R, height)]

    def _lifetimes(self) -> dict[Node, int]:
        last: dict[Node, int] = {}
        for position, node in enumerate(self._steps):
            for x in node.inputs:
                last[x] = position
        return last

    def _bind_tile(self, rows: slice, columns: slice) -> list[Call]:
        """The calls of one tile. Scratch arrays die with their last use and are reused."""
        target_of = {id(array): node for node, array in self._targets.items()}
        arrays: dict[Node, Any] = {}
        for node, array in self._bindings.items():
            r = rows if array.shape[0] != 1 else slice(None)
            arrays[node] = array[r, columns if array.shape[1] != 1 else slice(None)]
        free: list[Array] = []
        scratch: set[Node] = set()
        calls: list[Call] = []
        late: list[tuple[Array, Array]] = []
        for position, node in enumerate(self._steps):
            operands = tuple(self._operand(x, arrays) for x in node.inputs)
            dying = [x for x in dict.fromkeys(node.inputs) if x in scratch and self._last_use[x] == position]
            target = self._targets.get(node)
            if target is not None and not self._read_later(target, target_of, position):
                out = target[rows, columns]
            elif self._is_row_constant(node, arrays):
                out = self._backend.empty(_row_shape(operands), node.dtype)
            elif dying:
                out = arrays[dying[0]]
                scratch.discard(dying.pop(0))
                scratch.add(node)
            else:
                shape = (rows.stop - rows.start, columns.stop - columns.start)
                out = free.pop() if free else self._backend.empty(shape, node.dtype)
                scratch.add(node)
            if target is not None and out.shape == target[rows, columns].shape and node in scratch:
                late.append((target[rows, columns], out))
                scratch.discard(node)  # its memory is needed until the end
            arrays[node] = out
            bind = OPS[node.op].bind
            assert bind is not None
            calls += bind(self._backend, out, operands, node.attributes)
            for x in dying:
                scratch.discard(x)
                free.append(arrays[x])
        for place, value in late:
            calls += [_copy(self._backend, place, value)]
        return calls

    def _read_later(self, target: Array, target_of: dict[int, Node], position: int) -> bool:
        leaves = [node for node, array in self._bindings.items() if array is target]
        return any(self._last_use.get(leaf, -1) > position for leaf in leaves)

    def _operand(self, node: Node, arrays: Mapping[Node, Any]) -> Any:
        if node.op == "constant" and node.value.ndim == 0:
            return self._backend.scalar(node.value.item(), node.dtype)
        array = arrays[node]
        return array.reshape(()) if array.size == 1 else array

    def _is_row_constant(self, node: Node, arrays: Mapping[Node, Any]) -> bool:
        """Whether every operand is constant along the rows, so that one number per row is enough."""
        return node not in self._targets and all(
            x.op == "constant" or arrays[x].shape[1] == 1 for x in node.inputs
        )


def _row_shape(operands: Sequence[Any]) -> tuple[int, int]:
    return (max((x.shape[0] for x in operands if getattr(x, "ndim", 0)), default=1), 1)


def _copy(backend: Backend, place: Array, value: Array) -> Call:
    return partial(backend.xp.copyto, place, value)


def _run_tiles(tiles: Sequence[Sequence[Call]], backend: Backend) -> None:
    with backend.quiet():
        for calls in tiles:
            for call in calls:
                call()
