"""Activations and gradients layer by layer: do they vanish or explode on their way through the network?

Through L linear layers with W = diag(1.5, 0.5) activations grow as 1.5^(L−1) in one unit and shrink as 0.5^(L−1) in
the other, and gradients do the same on their way back (course texts). Initializations are there to keep both near 1 per
layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend
from dlrun.errors import ConfigError
from dlrun.graph.gradients import gradients
from dlrun.graph.plan import Plan
from dlrun.nn.network import Architecture, NetworkGraph
from dlrun.rng import generator
from dlrun.training.problem import Problem
from dlrun.training.replica import Replica

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ROWS = 256
FAR = 10.0  # by more than this from the first hidden layer to the last, a signal explodes; below 1/FAR it vanishes
SATURATED = {
    "tanh": (-0.99, 0.99),
    "sigmoid": (0.01, 0.99),
}  # outputs beyond: the slope is below 2 % or 4 % of its most
ALWAYS = 0.99  # a unit is saturated if it is so on this share of the rows

# What an experiment's own initialization is compared with: (name, scale).
INITIALIZATIONS: tuple[tuple[str, float], ...] = (
    ("he", 1.0),
    ("xavier", 1.0),
    ("glorot", 1.0),
    ("normal", 0.01),
    ("normal", 1.0),
    ("zeros", 1.0),
)


@dataclass(frozen=True, kw_only=True)
class LayerStatistics:
    """One hidden layer, or the last layer, on one batch.

    mean, spread       of the activations over rows and units (the last layer: of its linear outputs)
    dead, saturated    share of the units that are 0 on all rows; that lie at an end of tanh or sigmoid on 99 % of them
    smallest, largest  root mean square over the rows, of the unit in which it is least and most
    signal             root mean square of ∂cost/∂activation
    gradient           ‖dW‖_F
    """

    layer: int
    units: int
    mean: float
    spread: float
    dead: float
    saturated: float
    smallest: float
    largest: float
    signal: float
    gradient: float


@dataclass(frozen=True)
class LayerReport:
    """All layers of one network. `name` is that of its initialization, or of the model."""

    name: str
    layers: tuple[LayerStatistics, ...]
    activation: str

    def _factor(self, what: str) -> tuple[float, float] | None:
        """last/first hidden layer of a statistic, and the same per layer; None for fewer than two hidden layers."""
        hidden = self.layers[:-1]
        if len(hidden) < 2:
            return None
        first, last = getattr(hidden[0], what), getattr(hidden[-1], what)
        if not (np.isfinite(first) and np.isfinite(last)):
            return float("inf"), float("inf")
        if first == 0 or last == 0:
            return (0.0, 0.0) if first or not last else (float("inf"), float("inf"))
        ratio = last / first
        return ratio, ratio ** (1 / (len(hidden) - 1))

    @property
    def verdict(self) -> str:
        """vanish, explode or steady; symmetric: the units of a layer alike; still: no gradient; shallow: few layers."""
        hidden = self.layers[:-1]
        if hidden and all(each.gradient == 0 and each.spread == 0 for each in hidden):
            return "symmetric"
        if all(each.gradient == 0 for each in self.layers):
            return "still"
        forward, backward = self._factor("largest"), self._factor("signal")
        if forward is None or backward is None:
            return "shallow"
        # the gradient's way is from the last layer to the first
        ratios = (forward[0], 1 / backward[0] if backward[0] else float("inf"))
        if max(ratios) > FAR:
            return "explode"
        return "vanish" if min(ratios) < 1 / FAR else "steady"

    @property
    def sentence(self) -> str:
        """What happens on the way, in words."""
        if self.verdict == "symmetric":
            return f"{self.name}: all units of a layer are alike and stay so: symmetry is never broken."
        if self.verdict == "still":
            return f"{self.name}: no parameter of any layer has a gradient: the cost is flat here, or at its lowest."
        if self.verdict == "shallow":
            return f"{self.name}: with fewer than two hidden layers nothing can vanish or explode on the way."
        forward, backward = self._factor("largest"), self._factor("signal")
        if forward is None or backward is None or not backward[1]:
            return f"{self.name}: no gradient reaches the first layers."
        ways = [("activations", forward), ("gradients", (1 / backward[0], 1 / backward[1]))]
        told = [f"{what} {_change(per_layer)} ({ratio:.2g} in all)" for what, (ratio, per_layer) in ways]
        words = {
            "vanish": "the signal vanishes",
            "explode": "the signal explodes",
            "steady": f"the signal stays within a factor of {FAR:g}",
        }
        text = f"{self.name}: {words[self.verdict]}: {told[0]}, {told[1]} on their way back"
        smallest = self._factor("smallest")
        if self.activation == "identity" and smallest is not None and smallest[1] > 0:
            text += f"; in the smallest unit activations {_change(smallest[1])}"
        return f"{text}."


def _change(per_layer: float) -> str:
    """In words: a factor per layer."""
    if 0.95 <= per_layer <= 1.05:
        return "keep their size"
    return f"{'grow' if per_layer > 1 else 'shrink'} {per_layer:.3g}-fold per layer"


def layer_statistics(
    backend: Backend, net: Architecture, arrays: Mapping[str, Array], theta: FloatArray, names: Sequence[str]
) -> list[LayerReport]:
    """Statistics for R networks that differ in θ (R, P) alone, on the batch in `arrays`: replicas of one stack."""
    B = int(arrays["x"].shape[1])
    graph = NetworkGraph(net, None, B, training=True, even=True)
    numbers = [*(number for number, _ in graph.activations), net.placed[-1].number]
    outputs = [*(a for _, a in graph.activations), graph.z]
    signals = gradients(graph.cost, outputs)
    assert graph.gradient is not None
    rows = backend.to_device(theta, net.dtype)
    gradient = backend.zeros(rows.shape, net.dtype)
    bindings = graph.bindings({**arrays, **net.block_views(rows)})
    plan = Plan(backend, [*outputs, *signals, graph.gradient], bindings, {graph.gradient: gradient})
    with backend.quiet():
        plan.run()
        host = [np.asarray(backend.to_host(plan.outputs[node]), np.float64) for node in (*outputs, *signals)]
        weights = {name: np.asarray(view) for name, view in net.views(backend.to_host(gradient)).items()}
        reports = []
        for r, name in enumerate(names):
            layers = [
                _statistics(layer, each[r], signal[r], _weights(weights, layer, r), net, last=layer == numbers[-1])
                for layer, each, signal in zip(numbers, host[: len(outputs)], host[len(outputs) :], strict=True)
            ]
            reports.append(LayerReport(name, tuple(layers), net.activation))
    return reports


def _weights(gradient: Mapping[str, FloatArray], layer: int, r: int) -> FloatArray:
    """dW of a layer; of a normalization, which has no W, dγ."""
    return np.asarray(gradient[f"W{layer}" if f"W{layer}" in gradient else f"gamma{layer}"][r])


def _statistics(
    layer: int, a: FloatArray, signal: FloatArray, dW: FloatArray, net: Architecture, *, last: bool
) -> LayerStatistics:
    a, signal = a.reshape(-1, a.shape[-1]), signal.reshape(-1, signal.shape[-1])  # places and steps as rows
    sizes = np.sqrt((a * a).mean(axis=0))  # (units,)
    low, high = SATURATED.get(net.activation, (-np.inf, np.inf))
    at_end = ((a < low) | (a > high)).mean(axis=0) >= ALWAYS
    return LayerStatistics(
        layer=layer,
        units=a.shape[1],
        mean=float(a.mean()),
        spread=float(a.std()),
        dead=0.0 if last else float((a == 0).all(axis=0).mean()),
        saturated=0.0 if last else float(at_end.mean()),
        smallest=float(sizes.min()),
        largest=float(sizes.max()),
        signal=float(np.sqrt((signal * signal).mean())),
        gradient=float(np.sqrt((dW * dW).sum())),
    )


def compared_initializations(problem: Problem, backend: Backend, train: IntArray) -> list[LayerReport]:
    """The experiment's own initialization and the others, all as one stack on the first training rows."""
    if problem.experiment.model.kind != "network":
        raise ConfigError(f'model.kind = "{problem.experiment.model.kind}" has no layers; should be "network"')
    own = problem.replica(train)
    variants = [own]
    for name, scale in INITIALIZATIONS:
        if (name, scale if name == "normal" else 1.0) != (own.initialization, own.scale if name == "normal" else 1.0):
            variants.append(replace(own, initialization=name, scale=scale))
    net, arrays = batch_of(problem, backend, own)
    theta = np.stack(
        [
            net.initial_row(each.initialization, each.scale, generator(each.seed, each.number, "initial weights"))
            for each in variants
        ]
    )
    return layer_statistics(backend, net, arrays, theta, [_shown(each) for each in variants])


def batch_of(problem: Problem, backend: Backend, replica: Replica) -> tuple[Architecture, dict[str, Array]]:
    """The network in float64, without dropout and penalties, and a batch of at most 256 rows of the replica's."""
    net = replace(problem.architecture([replica]), dtype="float64", dropout=(), l1=False, l2=False)
    normalization = problem.normalization([replica.train])
    rows = replica.train[np.sort(generator(replica.seed, 0, "layer rows").permutation(len(replica.train))[:ROWS])]
    x = np.ones((1, len(rows), net.inputs + 1))
    x[0, :, :-1] = normalization.apply(problem.dataset.features[rows])
    y = ((problem.target_rows(rows) - normalization.y_shift[0]) * normalization.y_scale[0])[None]
    arrays = {"x": backend.to_device(x), "y": backend.to_device(y)}
    fixed = problem.fixed_tensors(net, [replica], normalization)
    arrays |= {name: backend.to_device(value, "float64") for name, value in fixed.items()}
    return net, arrays


def _shown(replica: Replica) -> str:
    if replica.initialization in ("normal", "diagonal"):
        scale = replica.scale
        shown = ", ".join(f"{s:g}" for s in scale) if isinstance(scale, tuple) else f"{scale:g}"
        return f"{replica.initialization} {shown}"
    return replica.initialization
