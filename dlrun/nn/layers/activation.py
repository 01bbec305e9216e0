"""a = g(z), an activation by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dlrun.graph.node import Node
from dlrun.nn.layers.layer import Layer, Site


@dataclass(frozen=True, kw_only=True)
class Activation(Layer):
    """relu, leaky_relu, tanh, sigmoid or identity; or the user's own."""

    kind: ClassVar[str] = "activation"
    activation: str = "relu"

    def build(self, a: Node, site: Site) -> Node:
        return site.graph.activated(self.activation, a)
