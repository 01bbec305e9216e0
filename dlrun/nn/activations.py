"""Activation functions of the hidden layers."""

from __future__ import annotations

from collections.abc import Callable

from dlrun.errors import ConfigError
from dlrun.graph.arithmetic import leaky_relu, relu, sigmoid, tanh
from dlrun.graph.node import Node

CUSTOM = "custom"  # what `model.activation = "file.py:function"` is called where its function is not at hand


def _unknown(z: Node) -> Node:
    raise ConfigError(
        "this model's activation is a Python function that belongs to its experiment; a run's folder is opened "
        "without running code. With --run-code the function that its config.toml names is loaded"
    )


ACTIVATIONS: dict[str, Callable[[Node], Node]] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "identity": lambda z: z,
}


def activation_named(name: str) -> Callable[[Node], Node]:
    """The activation of that name; a user's own, "custom", raises `ConfigError` where it is used."""
    return _unknown if name == CUSTOM else ACTIVATIONS[name]
