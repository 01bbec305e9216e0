"""A training step of one replica as one function: rows gathered, masks drawn, gradient, update, running averages.

    void steps(ptr arguments, i64 first, i64 last)

makes the steps first … last − 1 of an epoch. The arguments are 64-bit words, `FIELDS` in order: addresses of a
replica's own rows of θ, state and the rest, and a few numbers. All else, memory for the gradient and the activations,
lies in the workspace, which belongs to the thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlrun.engines.cpu.loops import Expressions, map_elements
from dlrun.engines.cpu.places import Place, Root
from dlrun.engines.cpu.products import float_type
from dlrun.engines.cpu.program import Kernel, Program, arrange
from dlrun.engines.cpu.rows import draw_mask, gather, weigh
from dlrun.engines.cpu.text import Code, UncoveredError
from dlrun.graph.arithmetic import maximum, minimum, sqrt, square
from dlrun.graph.node import Node, placeholder
from dlrun.graph.reductions import reduce_sum
from dlrun.graph.shaping import pack
from dlrun.nn.network import Architecture, NetworkGraph
from dlrun.optim.optimizers import OPTIMIZERS, Hyperparameters

FUNCTION = "steps"
MOST_LINES = 20_000  # which take LLVM more than a second
POINTERS = (
    "theta",  # (P,)
    "state0",  # (P,) each
    "state1",
    "statistics",  # (Q,)
    "centres",  # (d, M), of a feature map
    "rows",  # (n + 1, D)
    "shift",  # (D,) each
    "scale",
    "fill",
    "index",  # i64: the rows of step s are at index + s·index_stride
    "counts",  # i64: the real rows among them are at counts + s·counts_stride
    "coefficients",  # (S, K)
    "averaging",  # (S,) each
    "share",
    "l2",
    "l1",
    "thresholds",  # i32, one per layer
    "factors",  # one per layer
    "costs",  # (S,), filled
    "workspace",
)
NUMBERS = ("index_stride", "counts_stride", "key")
FIELDS = (*POINTERS, *NUMBERS)
_PER_STEP = ("averaging", "share", "l2", "l1", "costs")


@dataclass(frozen=True)
class StepKind:
    """What a compiled step depends on.

    rows, even      the batch's height, and whether every batch of this height is full
    width           D, of a stored row [x, 1, y, present]
    scaled, filled  whether gathered rows are scaled, and missing values replaced, on the way
    """

    net: Architecture
    optimizer: str
    clip_norm: float | None
    clip_value: float | None
    rows: int
    even: bool
    width: int
    scaled: bool
    filled: bool


@dataclass(frozen=True)
class StepText:
    """A module in LLVM's language, and the bytes of workspace that its function needs."""

    text: str
    workspace: int


class _Step:
    """The parts of a step in order, as kernels."""

    def __init__(self, kind: StepKind) -> None:
        self.kind, self.net = kind, kind.net
        self.dtype = np.dtype(kind.net.dtype)
        self.kernels: list[Kernel] = []
        self.ones: list[Place] = []
        P = kind.net.parameters
        self.theta = Place.whole(Root.of((1, P), self.dtype, "%theta"))
        self.gradient = Place.whole(Root.of((1, P), self.dtype))
        self.statistics = sum(width for _, width in kind.net.statistics)
        self.batch_statistics = Place.whole(Root.of((1, self.statistics), self.dtype))
        self._gradient()
        self._update()
        if self.statistics:
            self._average()

    def _one(self, address: str) -> Place:
        return Place.whole(Root.of((1, 1, 1), self.dtype, address))

    def _gradient(self) -> None:
        kind, net, B = self.kind, self.net, self.kind.rows
        graph = NetworkGraph(net, 1, B, training=True, even=kind.even)
        assert graph.gradient is not None
        batch = Root.of((1, B, kind.width), self.dtype)
        d = net.inputs
        places = {
            "x": Place(batch, batch.array[:, :, : d + 1]),
            "y": Place(batch, batch.array[:, :, d + 1 : -1]),
            "present": Place(batch, batch.array[:, :, -1:]),
            "weight": Place.whole(Root.of((1, B, 1), self.dtype)),
            "centres": Place.whole(Root.of((1, d, net.widths[0]), self.dtype, "%centres")),
            "l2": self._one("%l2_now"),
            "l1": self._one("%l1_now"),
        }
        places |= {name: Place(self.theta.root, view) for name, view in net.block_views(self.theta.view).items()}
        self.kernels.append(
            Kernel(lambda code: gather(code, batch, scaled=kind.scaled, filled=kind.filled), (), (batch,))
        )
        if "weight" in graph.leaves:
            weight = places["weight"].root
            self.kernels.append(Kernel(lambda code: weigh(code, batch, weight), (batch,), (weight,)))
        for layer, width in net.masks.items():
            places[f"mask{layer}"] = self._mask(layer, (1, B, width))
        bindings = {node: places[name] for name, node in graph.leaves.items()}
        cost = Place(*_pair(self._one("%costs_now"), graph.cost))
        fetches, targets = [graph.cost, graph.gradient], {graph.cost: cost, graph.gradient: self.gradient}
        if net.statistics:
            packed = pack([graph.batch_statistics[name] for name, _ in net.statistics])
            fetches.append(packed)
            targets[packed] = self.batch_statistics
        self._add(Program(fetches, bindings, targets))

    def _mask(self, layer: int, shape: tuple[int, ...]) -> Place:
        size = int(np.prod(shape))
        root = Root.of((size + size % 2,), self.dtype)  # a word serves two units
        self.kernels.append(Kernel(lambda code: draw_mask(code, root, layer), (), (root,)))
        return Place(root, root.array[:size].reshape(shape))

    def _add(self, program: Program) -> None:
        self.kernels += program.kernels
        self.ones += program.ones

    def _update(self) -> None:
        """Clipping and the optimizer's equations, in one loop over the parameters."""
        optimizer = OPTIMIZERS[self.kind.optimizer]
        theta, gradient = (placeholder((1, None), self.dtype) for _ in range(2))
        places = {theta: self.theta, gradient: self.gradient}
        g = gradient
        if self.kind.clip_value is not None:
            g = minimum(maximum(g, -self.kind.clip_value), self.kind.clip_value)
        if self.kind.clip_norm is not None:
            total = reduce_sum(square(g), 1, keepdims=True)
            squares = Place.whole(Root.of((1, 1), self.dtype))
            self._add(Program([total], {gradient: self.gradient}, {total: squares}))
            length = placeholder((1, 1), self.dtype)
            places[length] = squares
            g = g * minimum(self.kind.clip_norm / sqrt(length), 1)
        one = np.ones((1, 1))
        names = list(optimizer.coefficients(one, one, Hyperparameters.of(1, beta1=0.5, beta2=0.5)))
        rates = Root.of((1, len(names)), self.dtype, "%coefficients_now")
        c = {name: placeholder((1, 1), self.dtype) for name in names}
        places |= {c[name]: Place(rates, rates.array[:, k : k + 1]) for k, name in enumerate(names)}
        state = {slot: placeholder((1, None), self.dtype) for slot in optimizer.slots}
        slots = {slot: Place.whole(Root.of(self.theta.shape, self.dtype, f"%state{k}")) for k, slot in enumerate(state)}
        places |= {state[slot]: slots[slot] for slot in state}
        updated, changed = optimizer.update(theta, g, state, c)
        outputs = [*((changed[slot], slots[slot]) for slot in state), (updated, self.theta)]
        self._assign(outputs, places)

    def _average(self) -> None:
        """running ← running + w·(batch − running)."""
        shape = (1, self.statistics)
        running, batch = (placeholder(shape, self.dtype) for _ in range(2))
        w = placeholder((1, 1), self.dtype)
        own = Place.whole(Root.of(shape, self.dtype, "%statistics"))
        weight = Place.whole(Root.of((1, 1), self.dtype, "%averaging_now"))
        outputs = [(running + w * (batch - running), own)]
        self._assign(outputs, {running: own, batch: self.batch_statistics, w: weight})

    def _assign(self, outputs: Sequence[tuple[Node, Place]], places: dict[Node, Place]) -> None:
        """Element-wise assignments, all of which read the values of before."""
        shapes: dict[Node, tuple[int, ...]] = {}

        def shape(node: Node) -> tuple[int, ...]:
            if node not in shapes:
                known = places.get(node)
                inputs = [shape(x) for x in node.inputs]
                shapes[node] = known.shape if known is not None else np.broadcast_shapes((1, 1), *inputs)
            return shapes[node]

        def value(node: Node) -> float | None:
            return float(node.value) if node.op == "constant" and node.rank == 0 else None

        expressions = Expressions(value, places.get, lambda node: node.inputs, shape)
        extents = outputs[0][1].shape
        reads, fills = (tuple(place.root for place in each) for each in (places.values(), dict(outputs).values()))
        self.kernels.append(Kernel(lambda code: map_elements(code, expressions, outputs, extents), reads, fills))


def _pair(place: Place, like: Node) -> tuple[Root, Any]:
    """The one element of a place in the rank of a node."""
    return place.root, place.view.reshape((1,) * like.rank)


def step_text(kind: StepKind, *, lanes: int, x86: bool) -> StepText:
    """The function of a kind of step for registers of so many bytes. Raises `UncoveredError`."""
    step = _Step(kind)
    offsets, bytes_ = arrange(step.kernels, 0)
    code, scalar = Code(lanes), float_type(kind.net.dtype)
    for k, name in enumerate(FIELDS):
        word = code.address("%arguments", str(k), "i64")
        code.do(f"%{name} = load {'ptr' if name in POINTERS else 'i64'}, ptr {word}, align 8")
    for k, (root, offset) in enumerate(offsets.items()):
        root.address = f"%part{k}"
        code.do(f"{root.address} = getelementptr i8, ptr %workspace, i64 {offset}")
    code.do("%before = alloca i32, align 4")
    code.do("%mode = alloca i32, align 4")
    if x86:  # numbers below the smallest normal one count as 0: computing with them takes a hundred times longer
        code.call("void", "llvm.x86.sse.stmxcsr", [("ptr", "%before")])
        word = code.op("load i32, ptr %before, align 4")
        code.do(f"store i32 {code.op(f'or i32 {word}, {0x8040}')}, ptr %mode, align 4")
        code.call("void", "llvm.x86.sse.ldmxcsr", [("ptr", "%mode")])
    for place in step.ones:
        _fill_ones(code, place)
    with code.loop("%first", "%last", 1) as loop:
        _one_step(code, step, loop.index, scalar)
    if x86:
        code.call("void", "llvm.x86.sse.ldmxcsr", [("ptr", "%before")])
    if len(code.lines) > MOST_LINES:
        raise UncoveredError(f"a step of {len(code.lines)} instructions")
    body = "\n".join(code.lines)
    attributes = f'"min-legal-vector-width"="{8 * lanes}" "prefer-vector-width"="{8 * lanes}" nounwind'
    text = f"define void @{FUNCTION}(ptr %arguments, i64 %first, i64 %last) #0 {{\nentry:\n{body}\n  ret void\n}}\n"
    declared = "\n".join(code.declared.values())
    return StepText(f"{text}{declared}\nattributes #0 = {{ {attributes} }}\n", bytes_)


def _one_step(code: Code, step: _Step, s: str, scalar: str) -> None:
    """Unless the replica has no row in this batch."""
    code.do(
        f"%count = load i64, ptr {code.address('%counts', code.op(f'mul i64 {s}, %counts_stride'), 'i64')}, align 8"
    )
    with ExitStack() as block:
        block.enter_context(code.only_if(code.op("icmp sgt i64 %count, 0")))
        for name in _PER_STEP:
            code.do(f"%{name}_now = getelementptr {scalar}, ptr %{name}, i64 {s}")
        names = OPTIMIZERS[step.kind.optimizer].coefficients
        one = np.ones((1, 1))
        K = len(names(one, one, Hyperparameters.of(1, beta1=0.5, beta2=0.5)))
        code.do(f"%coefficients_now = getelementptr {scalar}, ptr %coefficients, i64 {code.times(s, K)}")
        row = code.op(f"mul i64 {s}, %index_stride")
        code.do(f"%index_now = getelementptr i64, ptr %index, i64 {row}")
        code.do(f"%s = add i64 {s}, 0")
        for kernel in step.kernels:
            kernel.write(code)


def _fill_ones(code: Code, place: Place) -> None:
    like = placeholder(place.shape, place.view.dtype)
    ones = Expressions(lambda node: 1.0, lambda node: None, lambda node: (), lambda node: place.shape)
    map_elements(code, ones, [(like, place)], place.shape)
