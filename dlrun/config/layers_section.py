"""`[[model.layers]]`: a network layer by layer, each table of one kind with the keys of that kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from dlrun.config.section import Allowed, Section, fault

LAYER_LIMIT = 1_000
UNIT_LIMIT = 100_000

# The keys of each kind: those that must be given, and those that may be.
LAYER_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dense": (("units",), ("activation",)),
    "conv2d": (("filters",), ("kernel", "stride", "padding", "activation")),
    "max_pool": ((), ("size", "stride")),
    "average_pool": ((), ("size", "stride")),
    "global_average_pool": ((), ()),
    "flatten": ((), ()),
    "activation": ((), ("activation",)),
    "batch_norm": ((), ()),
    "layer_norm": ((), ()),
    "dropout": (("keep_prob",), ()),
    "embedding": (("units",), ()),
    "rnn": (("units",), ("activation",)),
    "lstm": (("units",), ()),
    "gru": (("units",), ()),
    "last": ((), ()),
    "mean_over_time": ((), ()),
}
_WORDS = {
    "units": f"a whole number from 1 to {UNIT_LIMIT}",
    "filters": f"a whole number from 1 to {UNIT_LIMIT}",
    "kernel": "a whole number from 1 to 99",
    "size": "a whole number from 1 to 99",
    "stride": "a whole number from 1 to 99",
    "padding": 'one of "same", "valid"',
    "keep_prob": "a number > 0 and ≤ 1",
    "activation": 'one of "relu", "leaky_relu", "tanh", "sigmoid", "identity"',
}
_Units = Annotated[int, Field(ge=1, le=UNIT_LIMIT)]
_Window = Annotated[int, Field(ge=1, le=99)]


class LayerConfig(Section):
    """One layer. What is left out: kernel 3, padding "same"; conv2d's stride 1, a pool's size 2 and stride its size;
    an activation is that of the model, of rnn tanh."""

    kind: str
    units: _Units | None = None
    filters: _Units | None = None
    kernel: _Window | None = None
    size: _Window | None = None
    stride: _Window | None = None
    padding: Literal["same", "valid"] | None = None
    activation: Literal["relu", "leaky_relu", "tanh", "sigmoid", "identity"] | None = None
    keep_prob: Annotated[float, Field(gt=0, le=1)] | None = None


def layer_tables(given: Any) -> tuple[LayerConfig, ...]:
    """The layers that a list of tables describes. Raises a fault that names the place in the list, kind and key."""
    if isinstance(given, tuple) and all(isinstance(layer, LayerConfig) for layer in given):
        return given
    if not isinstance(given, list | tuple) or len(given) > LAYER_LIMIT:
        raise fault(((), f"should be a list of at most {LAYER_LIMIT} tables, each with a kind"))
    problems: list[tuple[Any, str]] = []
    layers = []
    for place, table in enumerate(given):
        found = _problems(table)
        problems += [((place, *path), text) for path, text in found]
        if not found:
            layers.append(LayerConfig(**table))
    if problems:
        raise fault(*problems)
    return tuple(layers)


def _problems(table: Any) -> list[tuple[tuple[str, ...], str]]:
    if not isinstance(table, dict):
        return [((), 'should be a table with a kind, such as {kind = "dense", units = 32}')]
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in LAYER_KEYS:
        return [(("kind",), f"should be one of {', '.join(LAYER_KEYS)}")]
    needed, optional = LAYER_KEYS[kind]
    takes = ", ".join((*needed, *optional)) or "no other key"
    known = ("kind", *needed, *optional)
    found: list[tuple[tuple[str, ...], str]] = [
        ((str(key),), f'unknown key; a layer of kind "{kind}" takes {takes}') for key in table if key not in known
    ]
    found += [((key,), f"missing; should be {_WORDS[key]}") for key in needed if key not in table]
    if found:
        return found
    try:
        LayerConfig(**table)
    except ValidationError as error:
        keys = dict.fromkeys(str(item["loc"][0]) for item in error.errors(include_url=False))
        found = [((key,), f"should be {_WORDS[key]}") for key in keys]
    return found


Layers = Annotated[
    tuple[LayerConfig, ...],
    BeforeValidator(layer_tables),
    Field(min_length=1),
    Allowed("a list of tables, each with a kind and the keys of that kind"),
]
