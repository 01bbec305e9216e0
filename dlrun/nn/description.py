"""An architecture as plain values that a model file can hold, and back again, believing nothing."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from dlrun.nn.activations import ACTIVATIONS, CUSTOM
from dlrun.nn.losses import CUSTOM_LOSSES, LOSSES
from dlrun.nn.network import Architecture

_MAP_KEYS = {"polynomial": ("name", "degree"), "rbf": ("name", "count", "gamma")}
_KEYS = ("inputs", "outputs", "loss", "hidden", "activation", "bias", "batch_norm", "dtype")
HIGHEST_DEGREE = 20


def describe(net: Architecture) -> dict[str, Any]:
    """What evaluation needs to know of a network: numbers, texts, truth values and lists of them."""
    described = {key: getattr(net, key) for key in _KEYS} | {"hidden": list(net.hidden)}
    if net.feature_map is not None:
        keys = _MAP_KEYS[net.feature_map.name]
        described["feature_map"] = {key: getattr(net.feature_map, key) for key in keys}
    return described


def from_description(described: Any) -> Architecture:
    """The inverse of `describe`; raises `ValueError` on anything that `describe` would not give."""
    if not isinstance(described, dict):
        raise ValueError(f"the architecture is {described!r}, not a table")
    unknown = (described.keys() - {"feature_map"}) ^ set(_KEYS)
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
    return Architecture(**values, feature_map=_feature_map(described.get("feature_map")))


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
