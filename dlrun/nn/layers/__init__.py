"""Layers of a network, one kind in one file; `LAYERS` is the table of all.

To add a kind: its file here, its line in `LAYERS`, its keys in `config.layers_section`, its nodes in `formats.onnx`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dlrun.nn.layers.activation import Activation
from dlrun.nn.layers.average_pool import AveragePool
from dlrun.nn.layers.batch_norm import BatchNorm
from dlrun.nn.layers.conv2d import Conv2d
from dlrun.nn.layers.dense import Dense
from dlrun.nn.layers.dropout import Dropout
from dlrun.nn.layers.embedding import Embedding
from dlrun.nn.layers.flatten import Flatten
from dlrun.nn.layers.global_average_pool import GlobalAveragePool
from dlrun.nn.layers.gru import Gru
from dlrun.nn.layers.last import Last
from dlrun.nn.layers.layer import Draw, Layer, Shape, Site, shown
from dlrun.nn.layers.layer_norm import LayerNorm
from dlrun.nn.layers.lstm import Lstm
from dlrun.nn.layers.max_pool import MaxPool
from dlrun.nn.layers.mean_over_time import MeanOverTime
from dlrun.nn.layers.rnn import Rnn

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        Dense,
        Conv2d,
        MaxPool,
        AveragePool,
        GlobalAveragePool,
        Flatten,
        Activation,
        BatchNorm,
        LayerNorm,
        Dropout,
        Embedding,
        Rnn,
        Lstm,
        Gru,
        Last,
        MeanOverTime,
    )
}
_ACTIVATED = ("dense", "conv2d", "activation")  # kinds that take the model's activation where they name none


def layers_of(tables: Iterable[Any], *, activation: str, bias: bool = True, tokens: int = 0) -> tuple[Layer, ...]:
    """The layers that the tables of the experiment file describe."""
    found = []
    for table in tables:
        given = {key: value for key, value in table.document().items() if key != "kind"}
        if table.kind in _ACTIVATED:
            given.setdefault("activation", activation)
        if table.kind in ("dense", "conv2d"):
            given["bias"] = bias
        if table.kind == "embedding":
            given["tokens"] = tokens
        found.append(LAYERS[table.kind](**given))
    return tuple(found)


def short_form(hidden: Iterable[int], *, activation: str, bias: bool, batch_norm: bool) -> tuple[Layer, ...]:
    """`model.hidden` as layers: affine, (batch normalization), activation, dropout. The bias would be subtracted with
    the mean, and γ and β share the number of their layer."""
    found: list[Layer] = []
    for units in hidden:
        found.append(Dense(units=units, activation="identity", bias=bias and not batch_norm))
        if batch_norm:
            found.append(SharedBatchNorm())
        found += [Activation(activation=activation), Dropout()]
    return tuple(found)


class SharedBatchNorm(BatchNorm):
    """Batch normalization inside a hidden layer, with whose number its parameters go."""

    own_number = False


__all__ = ["LAYERS", "Dense", "Draw", "Dropout", "Layer", "Shape", "Site", "layers_of", "short_form", "shown"]
