"""A graph as a program for one replica: products, and loops that take element-wise operations together.

The nodes are those that `simplify` leaves of the graph. Element-wise operations wait until something else needs one of
them; those of one shape that have waited together are computed in one loop, each element once, and only what is
read outside of the loop is written to memory. What one reduction or element-wise operation alone reads is
computed where it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlrun.backend import Backend
from dlrun.engines.cpu.loops import Expressions, map_elements
from dlrun.engines.cpu.operations import covered
from dlrun.engines.cpu.places import Place, Root
from dlrun.engines.cpu.products import Product
from dlrun.engines.cpu.reductions import Reduction
from dlrun.engines.cpu.text import Code, UncoveredError
from dlrun.graph.node import OPS, Node
from dlrun.graph.shaping import pack_views
from dlrun.graph.simplify import SHAPE_ONLY, Extents, simplify

REDUCTIONS = {"sum": "sum", "sum_like": "sum", "max": "max", "min": "min", "prod": "prod"}


@dataclass(frozen=True)
class Kernel:
    """A part of the program: what writes it, and the memory that it reads and fills."""

    write: Callable[[Code], None]
    reads: tuple[Root, ...]
    fills: tuple[Root, ...]


class Program:
    """The fetched nodes, each in the place that `targets` names, from leaves at the places of `bindings`.

    Raises `UncoveredError` for a graph that this engine does not compute.
    """

    def __init__(self, fetches: Sequence[Node], bindings: Mapping[Node, Place], targets: Mapping[Node, Place]) -> None:
        self._backend = Backend()
        simple = simplify(fetches, {node: place.view for node, place in bindings.items()})
        self._shapes, self._canonical, self._uniform = simple.shapes, simple.canonical, simple.uniform
        self._steps = simple.steps
        self._places: dict[Node, Place] = dict(bindings)
        self._targets: dict[Node, Place] = dict(targets)
        self._fetched = {self._canonical[node] for node in fetches}
        self.kernels: list[Kernel] = []
        self.ones: list[Place] = []  # columns of ones, which are written once
        self._waiting: dict[tuple[int, ...], list[Node]] = {}
        self._count_readers()
        self._place_targets()
        for node in self._steps:
            self._enter(node)
        for shape in list(self._waiting):
            self._flush(shape)
        for node, place in targets.items():
            self._deliver(node, place)

    # -- who reads what ------------------------------------------------------------------------

    def _inputs(self, node: Node) -> tuple[Node, ...]:
        """What a node is computed from; an input that lends its shape alone is none."""
        inputs = tuple(self._canonical[x] for x in node.inputs)
        return inputs[:-1] if node.op in SHAPE_ONLY else inputs

    def _count_readers(self) -> None:
        self._readers: dict[Node, list[Node]] = {}
        for node in self._steps:
            for x in dict.fromkeys(self._inputs(node)):
                self._readers.setdefault(x, []).append(node)
        self._inline = {node for node in self._steps if self._is_inline(node)}

    def _is_inline(self, node: Node) -> bool:
        """Whether the one that reads the node can compute it as it goes."""
        readers = self._readers.get(node, [])
        if len(readers) != 1 or node in self._fetched or not self._elementwise(node):
            return False
        reader = readers[0]
        if reader.op in REDUCTIONS:
            return True
        return self._elementwise(reader) and self._shapes[reader] == self._shapes[node]

    @staticmethod
    def _elementwise(node: Node) -> bool:
        return bool(node.inputs) and OPS[node.op].elementwise

    def _place_targets(self) -> None:
        """Let what is packed, or gets a column of ones beside it, be computed in its place, as plans do."""
        for node in self._steps:
            if node.op not in ("pack", "append_ones"):
                continue
            out = self._targets.get(node)
            if out is None:
                out = self._targets[node] = self._fresh(node, kept=node.op == "append_ones")
            inputs = [self._canonical[x] for x in node.inputs]
            views = (
                pack_views(out.view, [self._shapes[x] for x in inputs]) if node.op == "pack" else [out.view[..., :-1]]
            )
            for x, view in zip(inputs, views, strict=True):
                computed = x.inputs and x not in self._uniform and OPS[x.op].view is None
                if computed and x.dtype == node.dtype and x not in self._targets and inputs.count(x) == 1:
                    self._targets[x] = Place(out.root, view)
                    self._inline.discard(x)

    def _fresh(self, node: Node, *, kept: bool = False) -> Place:
        return Place.whole(Root.of(self._shapes[node], node.dtype, kept=kept))

    # -- one node after another ----------------------------------------------------------------

    def _enter(self, node: Node) -> None:
        if node in self._inline:
            if not covered(node):
                raise UncoveredError(f"the operation {node.op}")
            return
        if self._elementwise(node):
            self._wait(node)
            return
        for x in self._inputs(node):
            self._settle(x)
        op = OPS[node.op]
        if op.view is not None:
            self._view(node)
        elif node.op in REDUCTIONS:
            self._reduce(node)
        elif node.op == "matmul":
            a, b = (self._place(x) for x in self._inputs(node))
            out = self._out(node)
            product = Product(out, a, b, node.attributes)
            packed = () if product.packed is None else (product.packed,)
            self._add(product.write, [a, b], [out], packed)
        elif node.op == "append_ones":
            out = self._out(node)
            self.ones.append(Place(out.root, out.view[..., -1:]))
            self._copy(self._inputs(node)[0], Place(out.root, out.view[..., :-1]))
        elif node.op == "pack":
            out = self._out(node)
            inputs = [self._canonical[x] for x in node.inputs]
            for x, view in zip(inputs, pack_views(out.view, [self._shapes[x] for x in inputs]), strict=True):
                self._copy(x, Place(out.root, view))
        elif node.op == "concatenate":
            self._concatenate(node)
        elif node.op == "place":
            out = self._out(node)
            key = node.attributes["key"]
            self._fill(0.0, out, node)
            self._copy(self._inputs(node)[0], Place(out.root, out.view[key if Ellipsis in key else (*key, Ellipsis)]))
        else:
            raise UncoveredError(f"the operation {node.op}")

    def _wait(self, node: Node) -> None:
        """Take an element-wise node into the loop of its shape that is to come."""
        if not covered(node):
            raise UncoveredError(f"the operation {node.op}")
        shape = self._shapes[node]
        for leaf in self._sources(self._inputs(node)):
            for other in list(self._waiting):
                if other != shape and leaf in self._waiting[other]:
                    self._flush(other)
        self._waiting.setdefault(shape, []).append(node)

    def _sources(self, nodes: Sequence[Node]) -> list[Node]:
        """The nodes in memory, or waiting, that these are computed from."""
        found: list[Node] = []
        for x in nodes:
            found += self._sources(self._inputs(x)) if x in self._inline else [x]
        return found

    def _settle(self, node: Node) -> None:
        """Have the node, or all that it is computed from, in memory."""
        for leaf in self._sources([node]):
            for shape in list(self._waiting):
                if leaf in self._waiting.get(shape, []):
                    self._flush(shape)

    def _flush(self, shape: tuple[int, ...]) -> None:
        """Write the loop of the nodes of a shape that have waited."""
        nodes = self._waiting.pop(shape)
        group = set(nodes)
        stored = [node for node in nodes if self._is_read_elsewhere(node, group)]
        outputs = [(node, self._targets.get(node) or self._fresh(node)) for node in stored]
        expressions = self._expressions()
        reads = list(expressions.leaves(stored).values())
        self._add(lambda code: map_elements(code, expressions, outputs, shape), reads, [place for _, place in outputs])
        self._places |= dict(outputs)

    def _is_read_elsewhere(self, node: Node, group: set[Node]) -> bool:
        if node in self._fetched or node in self._targets:
            return True
        for reader in self._readers.get(node, []):
            at = reader
            while at in self._inline:
                at = self._readers[at][0]
            if at not in group:
                return True
        return False

    def _expressions(self) -> Expressions:
        """As things stand: what is in memory now is read from there."""
        places = dict(self._places)

        def place(node: Node) -> Place | None:
            if node not in places and node.op == "constant":
                raise UncoveredError("constant tensors")
            return places.get(node)

        return Expressions(self._uniform.get, place, self._inputs, self._shapes.__getitem__)

    def _place(self, node: Node) -> Place:
        """Where a node lies; one number everywhere is written out first."""
        if node in self._uniform and node not in self._places:
            out = self._places[node] = self._fresh(node)
            self._fill(self._uniform[node], out, node)
        if node not in self._places:
            raise UncoveredError(f"the value of {node.op}")
        return self._places[node]

    def _out(self, node: Node) -> Place:
        out = self._places[node] = self._targets.get(node) or self._fresh(node)
        return out

    def _add(
        self, write: Callable[[Code], None], reads: Sequence[Place], fills: Sequence[Place], more: tuple[Root, ...] = ()
    ) -> None:
        filled = (*(place.root for place in fills), *more)
        self.kernels.append(Kernel(write, tuple(place.root for place in reads), filled))

    # -- kinds of nodes ------------------------------------------------------------------------

    def _view(self, node: Node) -> None:
        op, inputs = OPS[node.op], tuple(self._canonical[x] for x in node.inputs)
        source = self._place(inputs[0])
        operands: tuple[Any, ...] = (source.view,)
        if node.op in SHAPE_ONLY:
            operands = (source.view, Extents(self._shapes[inputs[-1]]))
        assert op.view is not None
        view = op.view(self._backend, operands, node.attributes)
        if view is not None:
            self._places[node] = Place(source.root, view)
            return
        out = self._out(node)  # a reshape of what has gaps
        self._copy(inputs[0], Place(out.root, out.view.reshape(source.shape)))

    def _reduce(self, node: Node) -> None:
        x = self._inputs(node)[0]
        out = self._out(node)
        extra = len(self._shapes[x]) - out.view.ndim
        spread = Place(out.root, out.view.reshape((1,) * extra + out.shape))
        if x in self._uniform:
            raise UncoveredError("a reduction of one number")
        expressions = self._expressions()
        how = REDUCTIONS[node.op]
        reads = list(expressions.leaves([x]).values())
        self._add(lambda code: Reduction(code, expressions, how, x, spread).write(), reads, [out])

    def _copy(self, node: Node, out: Place) -> None:
        """Bring a node's elements to a place, unless they are there."""
        if node in self._uniform:
            self._fill(self._uniform[node], out, node)
            return
        source = self._place(node)
        if source.like(out):
            return
        expressions = self._expressions()
        self._add(lambda code: map_elements(code, expressions, [(node, out)], out.shape), [source], [out])

    def _fill(self, value: float, out: Place, like: Node) -> None:
        expressions = Expressions(lambda node: value, lambda node: None, lambda node: (), lambda node: out.shape)
        self._add(lambda code: map_elements(code, expressions, [(like, out)], out.shape), [], [out])

    def _concatenate(self, node: Node) -> None:
        out = self._out(node)
        axis, start = node.attributes["axis"] % out.view.ndim, 0
        for x in self._inputs(node):
            extent = self._shapes[x][axis]
            self._copy(x, Place(out.root, out.view[(*(slice(None),) * axis, slice(start, start + extent))]))
            start += extent

    def _deliver(self, node: Node, place: Place) -> None:
        """Copy what was computed elsewhere, being another node's twin, a view or one number."""
        found = self._canonical[node]
        if node is found and found in self._places and self._places[found].like(place):
            return
        self._copy(found, place)


def arrange(kernels: Sequence[Kernel], start: int) -> tuple[dict[Root, int], int]:
    """Offsets in bytes for the memory that kernels use and nobody else names, from `start` on, and where it ends.

    Memory is used again once nothing reads it, unless it is kept.
    """
    last: dict[Root, int] = {}
    for at, kernel in enumerate(kernels):
        for root in (*kernel.reads, *kernel.fills):
            last[root] = at
    offsets: dict[Root, int] = {}
    free: list[tuple[int, int]] = []
    for at, kernel in enumerate(kernels):
        for root in kernel.fills:
            if root.address or root in offsets:
                continue
            fitting = [] if root.kept else [hole for hole in free if root.bytes <= hole[1] <= 2 * root.bytes + 4096]
            if fitting:
                hole = min(fitting, key=lambda each: each[1])
                free.remove(hole)
                offsets[root] = hole[0]
            else:
                offsets[root], start = start, start + root.bytes
        used = dict.fromkeys((*kernel.reads, *kernel.fills))
        done = [root for root in used if last[root] == at and root in offsets and not root.kept]
        free += [(offsets[root], root.bytes) for root in done]
    return offsets, start
