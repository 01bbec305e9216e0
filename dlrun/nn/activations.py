"""Activation functions of the hidden layers."""

from __future__ import annotations

from collections.abc import Callable

from dlrun.graph.arithmetic import leaky_relu, relu, sigmoid, tanh
from dlrun.graph.node import Node

ACTIVATIONS: dict[str, Callable[[Node], Node]] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "identity": lambda z: z,
}
