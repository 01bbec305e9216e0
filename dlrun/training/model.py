"""A trained model: what it answers, and its file.

`model.safetensors` holds `W1` (inputs × outputs), `b1` (outputs,), …; with batch normalization `gamma1`, `beta1`, and the
running averages `mean1`, `variance1`; the centres of an RBF map; `scaling.*` and `target.*`; a baseline holds what it
remembers. The header says the rest as JSON: how columns are encoded, the classes, the architecture. Nothing in the
file is executed or unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun import __version__
from dlrun.backend import Backend
from dlrun.data.preprocessing import Preprocessing
from dlrun.errors import RunError
from dlrun.nn.baselines import baseline_answers
from dlrun.nn.losses import LOSSES
from dlrun.nn.network import Architecture
from dlrun.training.evaluation import Evaluator
from dlrun.training.replica import Replica
from dlrun.training.rows import Normalization, RowStore
from dlrun.training.stack import Stack, StackSettings

FloatArray = npt.NDArray[np.float64]
FORMAT = "1"


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A network (θ and all that belongs to it) or a fitted baseline, with the preprocessing of its inputs."""

    kind: str
    preprocessing: Preprocessing
    net: Architecture | None = None
    theta: npt.NDArray[Any] | None = None  # (P,)
    statistics: npt.NDArray[Any] | None = None  # (Q,)
    tensors: Mapping[str, FloatArray] = field(default_factory=dict)
    y_shift: FloatArray | None = None  # (C,)
    y_scale: FloatArray | None = None
    baseline: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def answers(self, features: FloatArray, backend: Backend) -> FloatArray:
        """Answers for scaled features (m, d): probabilities (m, C), or values (m, 1) in the target's units."""
        if self.net is None:
            return baseline_answers(self.kind, dict(self.baseline), features)
        return self._evaluator(features, np.zeros((len(features), self.net.outputs)), backend).outputs(
            [np.arange(len(features))]
        )[0]

    def _evaluator(self, features: FloatArray, targets: FloatArray, backend: Backend) -> Evaluator:
        net = self.net
        assert net is not None and self.theta is not None and self.statistics is not None
        assert self.y_shift is not None and self.y_scale is not None
        d = net.inputs
        plain = Normalization(
            np.zeros((1, d)), np.zeros((1, d)), np.ones((1, d)), self.y_shift[None], self.y_scale[None]
        )
        store = RowStore(backend, features, targets, plain, net.dtype, shared=False)
        stack = Stack(
            backend,
            net,
            StackSettings(optimizer="gradient_descent"),
            store,
            plain,
            [Replica(number=0, seed=0, train=np.arange(len(features)))],
            theta=np.asarray(self.theta)[None],
            statistics=np.asarray(self.statistics)[None],
            tensors={name: value[None] for name, value in self.tensors.items()},
        )
        return Evaluator(stack)

    # -- the file ------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The model as a safetensors file."""
        from safetensors.numpy import save

        tensors: dict[str, npt.NDArray[Any]] = dict(self.preprocessing.to_tensors())
        metadata = self.preprocessing.to_metadata() | {"format": FORMAT, "dlrun": __version__, "kind": self.kind}
        if self.net is not None:
            assert self.theta is not None and self.statistics is not None
            tensors |= self._parameters()
            tensors |= {name: np.ascontiguousarray(value) for name, value in self.tensors.items()}
            tensors |= {"target.shift": np.asarray(self.y_shift), "target.scale": np.asarray(self.y_scale)}
            metadata["architecture"] = json.dumps(_describe(self.net))
        else:
            tensors |= {f"baseline.{name}": np.ascontiguousarray(value) for name, value in self.baseline.items()}
        return bytes(save(tensors, metadata))

    def _parameters(self) -> dict[str, npt.NDArray[Any]]:
        """W_l as matrices, the others as vectors."""
        assert self.net is not None and self.theta is not None and self.statistics is not None
        found = {
            slot.name: self.theta[slot.start : slot.stop].reshape(slot.shape if slot.name[0] == "W" else -1)
            for slot in self.net.slots
        }
        start = 0
        for name, width in self.net.statistics:
            found[name] = self.statistics[start : start + width]
            start += width
        return {name: np.ascontiguousarray(value) for name, value in found.items()}


def load_model(path: Path) -> TrainedModel:
    """Read `model.safetensors`; `RunError` says what is wrong with a file that is no such model."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118: no mapping
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such model; a run of `dlrun train` leaves one") from None
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: not a model file, or a damaged one ({error})") from None
    if metadata.get("format") != FORMAT:
        raise RunError(f"{path}: not written by this version of dlrun (format {metadata.get('format')!r})")
    preprocessing = Preprocessing.from_parts(metadata, tensors)
    kind = metadata.get("kind", "network")
    try:
        if kind != "network":
            kept = {n.removeprefix("baseline."): t for n, t in tensors.items() if n.startswith("baseline.")}
            return TrainedModel(kind=kind, preprocessing=preprocessing, baseline=kept)
        net = _architecture(json.loads(metadata["architecture"]))
        theta = np.concatenate([_sized(tensors[slot.name], slot.stop - slot.start, slot.name) for slot in net.slots])
        averages = [_sized(tensors[name], width, name) for name, width in net.statistics]
        return TrainedModel(
            kind=kind,
            preprocessing=preprocessing,
            net=net,
            theta=theta,
            statistics=np.concatenate(averages) if averages else np.zeros(0, theta.dtype),
            tensors={"centres": tensors["centres"]} if "centres" in tensors else {},
            y_shift=tensors["target.shift"],
            y_scale=tensors["target.scale"],
        )
    except KeyError as error:
        raise RunError(f"{path}: the model file lacks {error.args[0]!r}; it is damaged") from None
    except (ValueError, TypeError) as error:
        raise RunError(f"{path}: the model file contradicts itself ({error}); it is damaged") from None


def _sized(tensor: npt.NDArray[Any], size: int, name: str) -> npt.NDArray[Any]:
    if tensor.size != size:
        raise ValueError(f"{name} has {tensor.size} numbers, not {size}")
    return tensor.ravel()


def _describe(net: Architecture) -> dict[str, Any]:
    feature_map = net.feature_map
    described = {
        name: getattr(net, name)
        for name in ("inputs", "outputs", "loss", "hidden", "activation", "bias", "batch_norm", "dtype")
    }
    if feature_map is not None:
        keys = ("name", "degree") if feature_map.name == "polynomial" else ("name", "count", "gamma")
        described["feature_map"] = {key: getattr(feature_map, key) for key in keys}
    return described


def _architecture(described: dict[str, Any]) -> Architecture:
    feature_map = described.pop("feature_map", None)
    hidden = tuple(int(width) for width in described.pop("hidden"))
    net = Architecture(**described, hidden=hidden, feature_map=SimpleNamespace(**feature_map) if feature_map else None)
    if net.loss not in LOSSES or net.dtype not in ("float32", "float64") or min(net.widths) < 1:
        raise ValueError("an unknown loss, type or width")
    return net
