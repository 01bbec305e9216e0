"""A trained model: what it answers, and its file.

`model.safetensors` holds `W1` (inputs × outputs), `b1` (outputs,), …; with batch normalization `gamma1`, `beta1`, and
the running averages `mean1`, `variance1`; the centres of an RBF map; `scaling.*` and `target.*`; a baseline holds what
it remembers. The header says the rest as JSON: how columns are encoded, the classes, the architecture. Nothing in the
file is executed or unpickled, and nothing in it is believed before it was checked. Equal models give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun import __version__
from dlrun.backend import Backend
from dlrun.data.preprocessing import Preprocessing
from dlrun.errors import RunError
from dlrun.nn.baselines import BASELINES, baseline_answers
from dlrun.nn.description import describe, from_description
from dlrun.nn.losses import loss_named
from dlrun.nn.network import Architecture
from dlrun.records import counted
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
        assert net is not None
        assert self.y_shift is not None
        assert self.y_scale is not None
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
            tensors |= self.parameters()
            tensors |= {name: np.ascontiguousarray(value) for name, value in self.tensors.items()}
            tensors |= {"target.shift": np.asarray(self.y_shift), "target.scale": np.asarray(self.y_scale)}
            metadata["architecture"] = json.dumps(describe(self.net))
        else:
            tensors |= {f"baseline.{name}": np.ascontiguousarray(value) for name, value in self.baseline.items()}
        return _with_sorted_header(save(tensors, metadata))

    def parameters(self) -> dict[str, npt.NDArray[Any]]:
        """What a network has learned by name: W_l as matrices, the others as vectors."""
        assert self.net is not None
        assert self.theta is not None
        assert self.statistics is not None
        found = {slot.name: self.theta[slot.start : slot.stop].reshape(slot.stored) for slot in self.net.slots}
        start = 0
        for name, width in self.net.statistics:
            found[name] = self.statistics[start : start + width]
            start += width
        return {name: np.ascontiguousarray(value) for name, value in found.items()}


def _with_sorted_header(file: bytes) -> bytes:
    """The same file with its header in one order: the library writes metadata in the order of a hash table."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file[end:]


# -- reading --------------------------------------------------------------------------------------


def load_model(path: Path) -> TrainedModel:
    """Read `model.safetensors`; `RunError` says what is wrong with a file that is no such model."""
    metadata, tensors = _read(path)
    if metadata.get("format") != FORMAT:
        found = metadata.get("format")
        raise RunError(
            f"{path}: not a model that this version of dlrun reads "
            f"({'format ' + repr(found) if found else 'written by another program'}); it reads format {FORMAT!r}"
        )
    try:
        preprocessing = Preprocessing.from_parts(metadata, tensors)
        if metadata["kind"] == "network":
            return _network(metadata, tensors, preprocessing)
        return _baseline(metadata["kind"], tensors, preprocessing)
    except RunError as error:
        raise RunError(f"{path}: {error}") from None
    except KeyError as error:
        raise RunError(f"{path}: the model file lacks {error.args[0]!r}; it is damaged") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{path}: the model file contradicts itself ({error}); it is damaged") from None


def _read(path: Path) -> tuple[dict[str, str], dict[str, npt.NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such model; a run of `dlrun train` leaves one") from None
    except (SafetensorError, OSError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path}: not a model file, or a damaged one ({error})") from None


def _network(
    metadata: Mapping[str, str], tensors: Mapping[str, npt.NDArray[Any]], preprocessing: Preprocessing
) -> TrainedModel:
    net = from_description(json.loads(metadata["architecture"]))
    _check_fit(net, preprocessing)
    dtype = np.dtype(net.dtype)
    theta = [_tensor(tensors, slot.name, slot.stored, dtype) for slot in net.slots]
    averages = [_tensor(tensors, name, (width,), dtype) for name, width in net.statistics]
    one, double = (net.outputs,), np.dtype(np.float64)
    rbf = net.feature_map is not None and net.feature_map.name == "rbf"
    y_scale = _tensor(tensors, "target.scale", one, double)
    if not (y_scale > 0).all():
        raise ValueError("target.scale holds a number that is not above 0")
    return TrainedModel(
        kind="network",
        preprocessing=preprocessing,
        net=net,
        theta=np.concatenate([part.ravel() for part in theta]),
        statistics=np.concatenate([*averages, np.zeros(0, dtype)]),
        tensors={"centres": _tensor(tensors, "centres", (net.inputs, net.widths[0]), double)} if rbf else {},
        y_shift=_tensor(tensors, "target.shift", one, double),
        y_scale=y_scale,
    )


def _check_fit(net: Architecture, preprocessing: Preprocessing) -> None:
    """The network's ends against what the preprocessing gives and asks for."""
    loss, classes = loss_named(net.loss), len(preprocessing.classes)
    outputs = 1 if loss.one_output or not classes else classes
    fits = (
        loss.task == preprocessing.task
        and net.inputs == len(preprocessing.feature_names)
        and net.outputs == outputs
        and (classes == 2 or not loss.one_output)
    )
    if not fits:
        raise ValueError(
            f"a network of {net.inputs} inputs, {net.outputs} outputs and the loss {net.loss} for "
            f"{counted(len(preprocessing.feature_names), 'feature')} and {classes} classes"
        )


def _baseline(kind: str, tensors: Mapping[str, npt.NDArray[Any]], preprocessing: Preprocessing) -> TrainedModel:
    task = BASELINES.get(kind, "")
    if task not in (preprocessing.task, "any"):
        raise ValueError(f"the kind {kind!r} for a {preprocessing.task}")
    outputs, double = len(preprocessing.classes) or 1, np.dtype(np.float64)
    if kind != "nearest_neighbor":
        kept = {"answer": _tensor(tensors, "baseline.answer", (outputs,), double)}
    else:
        n = len(tensors["baseline.rows"]) if tensors["baseline.rows"].ndim else 0
        shapes = {"rows": (n, len(preprocessing.feature_names)), "targets": (n, outputs)}
        kept = {name: _tensor(tensors, f"baseline.{name}", shape, double) for name, shape in shapes.items()}
        if not n:
            raise ValueError("baseline.rows holds no row")
    return TrainedModel(kind=kind, preprocessing=preprocessing, baseline=kept)


def _tensor(
    tensors: Mapping[str, npt.NDArray[Any]], name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    tensor = tensors[name]
    if tensor.shape != shape or tensor.dtype != dtype:
        raise ValueError(f"{name} is {tensor.dtype} {tensor.shape}, not {dtype} {shape}")
    if not np.isfinite(tensor).all():
        raise ValueError(f"{name} holds a number that is not finite")
    return tensor
