"""The state of a training between two epochs, as tensors and plain values: what a checkpoint holds.

Everything random in a training follows from seeds, epochs and steps, so no generator's state is part of it. A training
restored from a snapshot goes on with the bits that it would have had.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.records import ReplicaResult
from dlrun.training.loop import Training

Tensors = dict[str, npt.NDArray[Any]]
_RESULT = ("status", "epoch", "epochs", "step", "reason")
_DIGEST = "sha256"
_BLANK = "0" * 64


def snapshot(training: Training) -> tuple[Tensors, dict[str, Any]]:
    """Arrays (copied to the host) and values of everything that the next epoch depends on."""
    stack, host = training.stack, training.stack.backend.to_host
    tensors: Tensors = {
        "theta": host(stack.theta).copy(),
        "statistics": host(stack.statistics).copy(),
        "steps": stack.steps.copy(),
        "numbers": np.array([r.number for r in stack.replicas], np.int64),
        "active": training.active.astype(np.uint8),
    }
    tensors |= {f"state.{slot}": host(array).copy() for slot, array in stack.stepper.state.items()}
    values: dict[str, Any] = {"epoch": training.epoch, "progress": {}, "results": {}}
    for number, progress in training.progress.items():
        if number in training.results:
            continue
        values["progress"][number] = [_text(progress.best), progress.best_epoch, _text(progress.previous_cost)]
        if progress.theta is not None:
            tensors[f"best.{number}.theta"] = host(progress.theta)
            tensors[f"best.{number}.statistics"] = host(progress.statistics)
    for number, result in training.results.items():
        values["results"][number] = [getattr(result, name) for name in _RESULT]
        tensors[f"result.{number}.theta"] = np.asarray(result.theta)
        tensors[f"result.{number}.statistics"] = np.asarray(result.statistics)
        tensors |= {f"result.{number}.tensors.{name}": np.asarray(x) for name, x in result.tensors.items()}
    return tensors, values


def restore(training: Training, tensors: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> None:
    """Put a training, made anew from the same experiment, into the state of a snapshot.

    Raises `RunError` where the snapshot is of another experiment.
    """
    stack = training.stack
    places = {r.number: place for place, r in enumerate(stack.replicas)}
    numbers = [int(number) for number in tensors["numbers"]]
    if not set(numbers) <= set(places):
        raise RunError("the checkpoint is of another experiment: it holds replicas that this one has not")
    if len(numbers) < stack.R:
        stack.keep(np.array([places[number] for number in numbers], np.int64))
    to_device, copy = stack.backend.to_device, stack.backend.xp.copyto
    arrays = {"theta": stack.theta, "statistics": stack.statistics}
    arrays |= {f"state.{slot}": array for slot, array in stack.stepper.state.items()}
    for name, array in arrays.items():
        saved = tensors.get(name)
        if saved is None or saved.shape != array.shape or saved.dtype != array.dtype:
            raise RunError(f"the checkpoint is of another experiment: its {name} does not fit this model")
        copy(array, to_device(saved, array.dtype))
    stack.steps = np.array(tensors["steps"], np.int64)
    training.active = np.array(tensors["active"], bool)
    training.epoch = int(values["epoch"])
    for key, (best, best_epoch, previous) in values["progress"].items():
        progress = training.progress[int(key)]
        progress.best, progress.best_epoch, progress.previous_cost = float(best), int(best_epoch), float(previous)
        if f"best.{key}.theta" in tensors:
            progress.theta = to_device(tensors[f"best.{key}.theta"])
            progress.statistics = to_device(tensors[f"best.{key}.statistics"])
    for key, fields in values["results"].items():
        training.results[int(key)] = _result(int(key), dict(zip(_RESULT, fields, strict=True)), tensors)


def _result(number: int, fields: dict[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> ReplicaResult:
    prefix = f"result.{number}."
    fixed = f"{prefix}tensors."
    return ReplicaResult(
        replica=number,
        theta=tensors[f"{prefix}theta"],
        statistics=tensors[f"{prefix}statistics"],
        tensors={name.removeprefix(fixed): x for name, x in tensors.items() if name.startswith(fixed)},
        **fields,
    )


def _text(value: float) -> str:
    """A float as JSON cannot hold it: inf and NaN included, to the last bit."""
    return repr(float(value)) if math.isfinite(value) else str(value)


# -- bytes -----------------------------------------------------------------------------------------


def encode(tensors: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> bytes:
    """A safetensors file whose header carries the SHA-256 of all its bytes, its own place taken as zeros."""
    from safetensors.numpy import save

    metadata = {"values": json.dumps(values, ensure_ascii=True), _DIGEST: _BLANK}
    whole = bytes(save({name: np.ascontiguousarray(x) for name, x in tensors.items()}, metadata))
    place = _digest_place(whole)
    digest = hashlib.sha256(whole).hexdigest().encode()
    return whole[:place] + digest + whole[place + len(_BLANK) :]


def decode(whole: bytes) -> tuple[Tensors, dict[str, Any]]:
    """The inverse of `encode`; ValueError where a byte was changed or is missing."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    place = _digest_place(whole)
    found = whole[place : place + len(_BLANK)]
    blanked = whole[:place] + _BLANK.encode() + whole[place + len(_BLANK) :]
    if hashlib.sha256(blanked).hexdigest().encode() != found:
        raise ValueError("its checksum does not fit its content")
    try:
        tensors = load(blanked)
        size = int.from_bytes(blanked[:8], "little")
        header = json.loads(blanked[8 : 8 + size])
        return tensors, json.loads(header["__metadata__"]["values"])
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"it cannot be read ({error})") from None


def _digest_place(whole: bytes) -> int:
    """Where the digest's 64 characters stand in the header."""
    size = int.from_bytes(whole[:8], "little")
    if len(whole) < 8 or size > len(whole) - 8:
        raise ValueError("it is cut off")
    mark = f'"{_DIGEST}":"'.encode()
    place = whole.find(mark, 8, 8 + size)
    if place < 0 or place + len(mark) + len(_BLANK) > 8 + size:
        raise ValueError("it has no checksum")
    return place + len(mark)
