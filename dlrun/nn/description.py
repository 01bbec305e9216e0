"""An architecture as plain values that a model file can hold, and back again, believing nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from pydantic_core import PydanticCustomError

from dlrun.config.layers_section import LAYER_KEYS, layer_tables
from dlrun.errors import ConfigError
from dlrun.nn.activations import ACTIVATIONS, CUSTOM
from dlrun.nn.layers import Layer, layers_of
from dlrun.nn.layers.embedding import Embedding
from dlrun.nn.losses import CUSTOM_LOSSES, LOSSES
from dlrun.nn.network import Architecture

_MAP_KEYS = {"polynomial": ("name", "degree"), "rbf": ("name", "count", "gamma")}
_LISTED = ("layers", "shape", "masked", "tokens")
_KEYS = ("inputs", "outputs", "loss", "hidden", "activation", "bias", "batch_norm", "dtype")
HIGHEST_DEGREE = 20


def describe(net: Architecture) -> dict[str, Any]:
    """What evaluation needs to know of a network: numbers, texts, truth values and lists of them."""
    described = {key: getattr(net, key) for key in _KEYS} | {"hidden": list(net.hidden)}
    if net.feature_map is not None:
        keys = _MAP_KEYS[net.feature_map.name]
        described["feature_map"] = {key: getattr(net.feature_map, key) for key in keys}
    if net.layers is not None:
        described["layers"] = [_layer_table(layer) for layer in net.layers]
        described["shape"] = None if net.input_shape is None else list(net.input_shape)
        described["masked"] = net.masked
        described["tokens"] = max((layer.tokens for layer in net.layers if isinstance(layer, Embedding)), default=0)
    return described


def _layer_table(layer: Layer) -> dict[str, Any]:
    """A layer as the experiment file has it."""
    needed, optional = LAYER_KEYS[layer.kind]
    values = {key: getattr(layer, key) for key in (*needed, *optional)}
    return {"kind": layer.kind} | {key: value for key, value in values.items() if value is not None}


def from_description(described: Any) -> Architecture:
    """The inverse of `describe`; raises `ValueError` on anything that `describe` would not give."""
    if not isinstance(described, dict):
        raise ValueError(f"the architecture is {described!r}, not a table")
    listed = set(_LISTED) if "layers" in described else set()
    unknown = (described.keys() - {"feature_map"}) ^ {*_KEYS, *listed}
    if unknown:
        raise ValueError(f"the architecture lacks or adds {', '.join(sorted(map(str, unknown)))}")
    for key, choices in (
        ("loss", {**LOSSES, **CUSTOM_LOSSES}),
        ("activation", (*ACTIVATIONS, CUSTOM)),
        ("dtype", ("float32", "float64")),
        ("bias", (True, False)),
        ("batch_norm", (True, False)),
    ):
        value = described[key]
        if not isinstance(value, (str, bool)) or value not in choices:
            raise ValueError(f"{key} is {value!r}")
    hidden = described["hidden"]
    if not isinstance(hidden, list):
        raise ValueError(f"hidden is {hidden!r}")
    values = {key: described[key] for key in _KEYS} | {
        "inputs": _count("inputs", described["inputs"]),
        "outputs": _count("outputs", described["outputs"]),
        "hidden": tuple(_count("hidden", width) for width in hidden),
    }
    if listed:
        values |= _listed(described)
    net = Architecture(**values, feature_map=_feature_map(described.get("feature_map")))
    try:
        _ = net.placed
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return net


def _listed(described: dict[str, Any]) -> dict[str, Any]:
    """What a network of listed layers adds: the layers, the shape of a row, and whether its steps are marked."""
    shape, masked, tokens = described["shape"], described["masked"], described["tokens"]
    if shape is not None:
        if not isinstance(shape, list) or not 1 <= len(shape) <= 3:
            raise ValueError(f"shape is {shape!r}")
        shape = tuple(_count("shape", extent) for extent in shape)
        if math.prod(shape) != described["inputs"]:
            raise ValueError(f"shape is {shape!r} for {described['inputs']} inputs")
    if not isinstance(masked, bool) or (masked and (shape is None or len(shape) != 2 or shape[1] < 2)):
        raise ValueError(f"masked is {masked!r}")
    if type(tokens) is not int or tokens < 0:
        raise ValueError(f"tokens is {tokens!r}")
    if not isinstance(described["layers"], list):
        raise ValueError(f"layers is {described['layers']!r}")
    # the user's own activation has no name that a table may hold; it is put in again below
    tables = [
        {key: "identity" if value == CUSTOM else value for key, value in table.items()}
        if isinstance(table, dict)
        else table
        for table in described["layers"]
    ]
    try:
        layers = layers_of(layer_tables(tables), activation="identity", bias=described["bias"], tokens=tokens)
    except PydanticCustomError as error:
        raise ValueError(error.message()) from None
    own = [isinstance(table, dict) and table.get("activation") == CUSTOM for table in described["layers"]]
    if any(own) and described["activation"] != CUSTOM:
        raise ValueError("a layer has an activation of its own, and the network has none")
    placed = zip(layers, own, strict=True)
    layers = tuple(replace(layer, activation=CUSTOM) if mine else layer for layer, mine in placed)  # type: ignore[call-arg]
    return {"layers": layers, "input_shape": shape, "masked": masked}


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} is {value!r}")
    return value


def _feature_map(described: Any) -> Any:
    if described is None:
        return None
    if not isinstance(described, dict) or described.get("name") not in _MAP_KEYS:
        raise ValueError(f"feature_map is {described!r}")
    if set(described) != set(_MAP_KEYS[described["name"]]):
        raise ValueError(f"feature_map is {described!r}")
    if described["name"] == "polynomial":
        if _count("degree", described["degree"]) > HIGHEST_DEGREE:
            raise ValueError(f"degree is {described['degree']}")
    else:
        _count("count", described["count"])
        gamma = described["gamma"]
        if not isinstance(gamma, float) or not (math.isfinite(gamma) and gamma > 0):
            raise ValueError(f"gamma is {gamma!r}")
    return SimpleNamespace(**described)
