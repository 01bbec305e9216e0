"""The cost of many copies of a network that differ from it in one number each.

The copies are replicas of one stack. They are run in chunks that stay in the cache, column by column of each parameter,
through the graph that is left when everything the column does not reach is computed once (`narrow`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend
from dlrun.diagnosis.kinks import branches
from dlrun.diagnosis.narrow import Boundary, Route, route
from dlrun.graph.node import Node
from dlrun.graph.plan import Plan
from dlrun.nn.network import Architecture, NetworkGraph, Slot
from dlrun.training.workers import can_fork, side_by_side

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Column = tuple[int, IntArray]  # a column of a block and the rows of it that are moved
Run = Callable[["Probe", int, IntArray], tuple[npt.NDArray[Any], ...]]
FORKED = 1 << 28  # elements of all copies' largest arrays from which processes pay (about a second)
CHUNK_BYTES = 1 << 20  # of the largest array on the way: a few of them are alive at a time (measured)


@dataclass(frozen=True)
class Moved:
    """How the cost (with its penalty) changes when components of θ are moved, each by itself.

    components  places in θ (K,)
    ahead       cost(θ_i + ε) − cost(θ), (K,); behind: cost(θ) − cost(θ_i − ε)
    forth, back the steps as floating point has them: (θ_i + ε) − θ_i and θ_i − (θ_i − ε)
    """

    components: IntArray
    ahead: FloatArray
    behind: FloatArray
    forth: FloatArray
    back: FloatArray

    def numerical(self, *, one_sided: bool) -> FloatArray:
        """dθ_num: (J(θ+ε) − J(θ−ε))/2ε, or (J(θ+ε) − J(θ))/ε."""
        if one_sided:
            return self.ahead / self.forth
        return (self.ahead + self.behind) / (self.forth + self.back)

    @property
    def bend(self) -> FloatArray:
        """How far the slopes ahead and behind differ: about ε·J″ where the cost is smooth, a jump at a kink."""
        return np.abs(self.ahead / self.forth - self.behind / self.back)


class Surface:
    """The cost of one network on one batch, as a function of θ, in the neighbourhood of one θ (P,).

    arrays  what the graph's leaves besides θ are bound to, each with a replica axis of 1
    """

    def __init__(
        self, backend: Backend, net: Architecture, B: int, arrays: Mapping[str, Array], theta: FloatArray
    ) -> None:
        self.backend, self.net, self.theta = backend, net, theta
        self._arrays = dict(arrays)
        self.graph = NetworkGraph(net, None, B, training=True, even=True)
        self._targets = [self.graph.cost, *([self.graph.penalty] if self.graph.penalty is not None else [])]
        self.routes = {
            block.name: [found for target in self._targets if (found := route(target, self.graph.blocks[block.name]))]
            for block in net.blocks
        }
        row = backend.to_device(theta[None], net.dtype)
        self._bindings = self.graph.bindings({**self._arrays, **net.block_views(row)})
        needed = [node for routes in self.routes.values() for each in routes for node in each.needed]
        fetched = list(dict.fromkeys([*self._targets, *(node for node in needed if node not in self._bindings)]))
        self._base = Plan(backend, fetched, self._bindings)
        with backend.quiet():
            self._base.run()

    def value(self, node: Node) -> Array:
        """What the node is at θ itself."""
        return self._bindings[node] if node in self._bindings else self._base.outputs[node]

    @property
    def cost(self) -> float:
        """The cost at θ, with its penalty."""
        return float(sum(float(self.backend.to_host(self.value(node)).reshape(-1)[0]) for node in self._targets))

    def costs(self, rows: FloatArray) -> FloatArray:
        """Cost with penalty (K,) of whole rows of θ (K, P), as training computes it: only the data is shared."""
        theta = self.backend.to_device(rows, self.net.dtype)
        arrays = {**self._arrays, **self.net.block_views(theta)}
        plan = Plan(self.backend, self._targets, self.graph.bindings(arrays))
        with self.backend.quiet():
            plan.run()
        parts = [self.backend.to_host(plan.outputs[node]).reshape(-1) for node in self._targets]
        return np.asarray(np.sum([np.broadcast_to(part, len(rows)) for part in parts], axis=0))

    def moved(self, components: IntArray, epsilon: float, *, jobs: int = 1) -> Moved:
        """The cost at θ ± ε in each of the components; `jobs` processes share a long work."""
        ahead, behind = np.zeros(len(components)), np.zeros(len(components))

        def run(probe: Probe, j: int, rows: IntArray) -> tuple[FloatArray, ...]:
            return probe.run(j, rows, epsilon)

        for places, (up, down) in self._shared(components, jobs, run):
            ahead[places] += up
            behind[places] += down
        theta = self.theta[components]
        return Moved(components, ahead, behind, (theta + epsilon) - theta, theta - (theta - epsilon))

    def at_kinks(self, components: IntArray, epsilon: float, *, jobs: int = 1) -> npt.NDArray[np.bool_]:
        """Whether an operation takes another branch within ±ε of each component (K,)."""
        found = np.zeros(len(components), bool)

        def run(probe: Probe, j: int, rows: IntArray) -> tuple[npt.NDArray[Any], ...]:
            return (probe.branching(j, rows, epsilon),)

        for places, (changed,) in self._shared(components, jobs, run, watch=True):
            found[places] |= changed
        return found

    def _chunk(self, each: Route, columns: Sequence[Column]) -> int:
        """Components per chunk: as many as a column has, or as fit the cache."""
        most = max(len(rows) for _, rows in columns)
        return max(1, min(most, CHUNK_BYTES // (16 * each.width)))

    def _shared(
        self, components: IntArray, jobs: int, run: Run, *, watch: bool = False
    ) -> Iterator[tuple[IntArray, tuple[npt.NDArray[Any], ...]]]:
        """What `run` gives for the columns of every block and route, with the places of their components.

        A work long enough is dealt out to processes: threads would take turns between two kernels.
        """
        place = np.full(self.net.parameters, -1)
        place[components] = np.arange(len(components))

        def work(task: tuple[Slot, list[Column]]) -> Iterator[tuple[IntArray, tuple[npt.NDArray[Any], ...]]]:
            block, columns = task
            for each in self.routes[block.name]:
                probe = Probe(self, block, each, self._chunk(each, columns), watch=watch)
                for j, rows in columns:
                    yield place[block.start + rows * block.shape[1] + j], run(probe, j, rows)

        tasks = [(block, columns) for block in self.net.blocks if (columns := columns_of(block, components))]
        elements = sum(
            2 * len(rows) * each.width
            for block, columns in tasks
            for _, rows in columns
            for each in self.routes[block.name]
        )
        if jobs < 2 or elements < FORKED or not can_fork() or self.backend.name != "cpu":
            for task in tasks:
                yield from work(task)
            return

        def gathered(task: tuple[Slot, list[Column]]) -> Iterator[list[tuple[IntArray, tuple[npt.NDArray[Any], ...]]]]:
            yield list(work(task))  # one message for all columns

        dealt = [(block, columns[k::jobs]) for block, columns in tasks for k in range(jobs) if columns[k::jobs]]
        for _, found in side_by_side(dealt, gathered, jobs=jobs):
            yield from found


def columns_of(block: Slot, components: IntArray) -> list[Column]:
    """The components that lie in a block (m, n), as pairs of a column j and its rows."""
    inside = components[(components >= block.start) & (components < block.stop)] - block.start
    rows, columns = np.divmod(inside, block.shape[1])
    order = np.argsort(columns, kind="stable")
    rows, columns = rows[order], columns[order]
    starts = np.flatnonzero(np.diff(columns, prepend=-1))
    ends = [*starts[1:], len(rows)]
    return [(int(columns[start]), rows[start:end]) for start, end in zip(starts, ends, strict=False)]


class Probe:
    """One route with arrays for `chunk` components: replicas are θ itself, θ + ε in each, and θ − ε in each."""

    def __init__(self, surface: Surface, block: Slot, way: Route, chunk: int, *, watch: bool = False) -> None:
        self._surface, self._way, self._chunk = surface, way, chunk
        backend = surface.backend
        self._column = backend.empty((2 * chunk + 1, block.shape[0], 1), way.place.dtype)
        self._slices = [(surface.value(node), leaf) for node, leaf in way.slices]
        bindings = {**surface._bindings, way.place: self._column}
        self._places: dict[Node, Array] = {}
        for value, leaf in self._slices:
            self._places[leaf] = backend.empty((*value.shape[:-1], 1), value.dtype)
        for each in way.boundaries:
            whole = surface.value(each.output)
            self._places[each.rest] = backend.empty(whole.shape, whole.dtype)
            if each.row is not None:
                shape = (1,) * (whole.ndim - 1) + (whole.shape[-1],)
                self._places[each.row] = backend.zeros(shape, whole.dtype)
        self._watched = branches(way.target, way.place) if watch else []
        self._plan = Plan(backend, self._watched or [way.target], {**bindings, **self._places})
        self._at: int | None = None

    def run(self, j: int, rows: IntArray, epsilon: float) -> tuple[FloatArray, FloatArray]:
        """cost(θ + ε) − cost(θ) and cost(θ) − cost(θ − ε) for the given rows of column j."""
        up, down = np.empty(len(rows)), np.empty(len(rows))
        output = self._plan.outputs[self._way.target]
        for start in range(0, len(rows), self._chunk):
            part = rows[start : start + self._chunk]
            self._run(j, part, epsilon)
            costs = np.broadcast_to(self._surface.backend.to_host(output).reshape(-1), 2 * self._chunk + 1)
            up[start : start + len(part)] = costs[1 : 1 + len(part)] - costs[0]
            down[start : start + len(part)] = costs[0] - costs[1 + self._chunk : 1 + self._chunk + len(part)]
        return up, down

    def branching(self, j: int, rows: IntArray, epsilon: float) -> npt.NDArray[np.bool_]:
        """Whether any branch differs from that at θ, at θ + ε or at θ − ε."""
        found = np.zeros(len(rows), bool)
        if not self._watched:
            return found
        for start in range(0, len(rows), self._chunk):
            part = rows[start : start + self._chunk]
            self._run(j, part, epsilon)
            changed = np.zeros(2 * self._chunk + 1, bool)
            for node in self._watched:
                taken = self._surface.backend.to_host(self._plan.outputs[node])
                changed |= (taken != taken[:1]).reshape(len(taken), -1).any(axis=1)
            ahead, behind = changed[1 : 1 + self._chunk], changed[1 + self._chunk :]
            found[start : start + len(part)] = (ahead | behind)[: len(part)]
        return found

    def _run(self, j: int, rows: IntArray, epsilon: float) -> None:
        surface = self._surface
        if j != self._at:
            self._aim(j)
            self._at = j
        base = surface.value(self._way.seed)[0, :, j]
        moved, xp = self._column[:, :, 0], surface.backend.xp
        xp.copyto(moved, base)
        index, at = xp.arange(len(rows)), xp.asarray(rows)
        moved[1 + index, at] += epsilon
        moved[1 + self._chunk + index, at] -= epsilon
        with surface.backend.quiet():
            self._plan.run()

    def _aim(self, j: int) -> None:
        """Column j of what the route needs a column of, and what the other columns add up to."""
        xp = self._surface.backend.xp
        for value, leaf in self._slices:
            xp.copyto(self._places[leaf], value[..., j : j + 1])
        for each in self._way.boundaries:
            self._split(each, j)

    def _split(self, each: Boundary, j: int) -> None:
        surface, rest = self._surface, self._places[each.rest]
        entered = surface.value(each.entered)[..., j : j + 1]
        whole = surface.value(each.output)
        if each.row is None:
            axes = each.output.attributes["axes"]
            rest[...] = whole - entered.sum(axis=axes, keepdims=True)
            return
        row = self._places[each.row]
        if each.matrix is not None:
            row[..., 0, :] = surface.value(each.matrix)[..., j, :]
        else:
            row[...] = 0
            row[..., j] = 1
        rest[...] = whole - entered * row
