"""`[model]`: the network or baseline, its loss and its start."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dlrun.code_names import FunctionName
from dlrun.config.layers_section import Layers
from dlrun.config.section import Allowed, Positive, Section, as_tuple, fault

WIDTH_LIMIT = 100_000
DEPTH_LIMIT = 1_000

Loss = Literal[
    "binary_cross_entropy",
    "cross_entropy",
    "sum_binary_cross_entropy",
    "sum_cross_entropy",
    "squared_error",
    "sum_squared_error",
    "absolute_error",
    "huber",
]

# A user's own function in Python, as the file and the name in it.
Function = Annotated[FunctionName, Allowed('"file.py:function"')]
Activation = Annotated[
    Literal["relu", "leaky_relu", "tanh", "sigmoid", "identity"] | FunctionName,
    Allowed('one of "relu", "leaky_relu", "tanh", "sigmoid", "identity", or "file.py:function"'),
]
Scale = Annotated[
    Positive | Annotated[tuple[Positive, ...], Field(min_length=1)],
    as_tuple,
    Allowed("a number > 0, or a list of them"),
]

Width = Annotated[int, Field(ge=1, le=WIDTH_LIMIT)]
Widths = Annotated[
    tuple[Width, ...],
    as_tuple,
    Field(max_length=DEPTH_LIMIT),
    Allowed(f"a list of whole numbers from 1 to {WIDTH_LIMIT}, one per hidden layer; [] for none"),
]
_Keep = Annotated[float, Field(gt=0, le=1)]
KeepProb = Annotated[
    _Keep | tuple[_Keep, ...],
    as_tuple,
    Allowed("a number > 0 and ≤ 1, or a list of them, one per hidden layer"),
]


class FeatureMapConfig(Section):
    """φ(x) in front of the network: every product of features up to a degree, or random RBF features."""

    name: Literal["polynomial", "rbf"] = Field(description="which map φ(x)")
    degree: Annotated[int, Field(ge=1, le=20)] = Field(
        default=2, description="polynomial: the highest total degree of its terms"
    )
    count: Width = Field(default=100, description="rbf: how many random features")
    gamma: Positive = Field(default=1.0, description="rbf: γ of the kernel exp(−γ‖x−x'‖²)")

    def applicable(self) -> frozenset[str]:
        return frozenset({"name", "degree"} if self.name == "polynomial" else {"name", "count", "gamma"})

    @model_validator(mode="after")
    def _keys_belong_to_the_name(self) -> FeatureMapConfig:
        stray = sorted(self.model_fields_set - self.applicable())
        if stray:
            takes = ", ".join(sorted(self.applicable() - {"name"}))
            raise fault(*(((key,), f'does nothing for the map "{self.name}", which takes {takes}') for key in stray))
        return self


class ModelConfig(Section):
    """The model: a network (linear models are networks without hidden layers) or a baseline."""

    kind: Literal["network", "majority", "mean", "nearest_neighbor"] = Field(
        default="network", description="a network, or a baseline that learns no weights"
    )
    hidden: Widths = Field(
        default=(64, 32),
        description="units of each hidden layer; [] is linear, logistic or softmax regression",
    )
    layers: Layers | None = Field(
        default=None, description="in place of hidden: the layers in their order; the output layer follows by itself"
    )
    activation: Activation = Field(
        default="relu", description="of the hidden layers; a function of your own takes z and gives a"
    )
    initialization: Literal["he", "xavier", "glorot", "zeros", "normal", "diagonal"] = Field(
        default="he",
        description="variance of the first weights: he 2/n_in, xavier 1/n_in, glorot 2/(n_in+n_out), "
        "normal scale², zeros 0; diagonal: no chance, but scale on the diagonal; biases start at 0",
    )
    scale: Scale = Field(
        default=0.01,
        description='standard deviation of initialization = "normal"; the diagonal of "diagonal", repeated as needed',
    )
    bias: bool = Field(default=True, description="whether layers have a bias b")
    batch_norm: bool = Field(default=False, description="batch normalization in every hidden layer")
    batch_norm_momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.9, description="β of the running averages of batch normalization"
    )
    keep_prob: KeepProb = Field(
        default=1.0, description="dropout: the probability that a hidden unit is kept; 1.0 is no dropout"
    )
    loss: Loss | None = Field(
        default=None,
        description="left out: binary_cross_entropy for 2 classes, cross_entropy for more, "
        "squared_error for regression; sum_… adds over rows where the others take the mean",
    )
    cost: Function | None = Field(
        default=None,
        description="a cost of your own in place of loss: a function of z and y that gives a loss per row",
    )
    dtype: Literal["float32", "float64"] = Field(default="float32", description="precision of the arithmetic")
    feature_map: FeatureMapConfig | None = Field(default=None, description="a map φ(x) in front")

    @model_validator(mode="after")
    def _one_cost_and_one_scale(self) -> ModelConfig:
        problems = []
        if self.cost is not None and self.loss is not None:
            problems.append((("cost",), f'stands in place of model.loss = "{self.loss}"; should be one of the two'))
        if isinstance(self.scale, tuple) and self.initialization != "diagonal":
            problems.append(
                (
                    ("scale",),
                    f'should be one number: only initialization = "diagonal" takes a list, '
                    f'and this is "{self.initialization}"',
                )
            )
        if problems:
            raise fault(*problems)
        return self

    @model_validator(mode="after")
    def _layers_stand_alone(self) -> ModelConfig:
        if self.layers is None:
            return self
        beside: dict[str, str] = {
            "hidden": 'takes the place of model.layers; should be left out, and its units be layers of kind "dense"',
            "keep_prob": 'should be left out, and dropout be layers of kind "dropout"',
            "batch_norm": 'should be left out, and be layers of kind "batch_norm"',
            "feature_map": "goes with hidden; should be left out where layers are given",
        }
        given = {key for key in beside if getattr(self, key) != type(self).model_fields[key].default}
        if given:
            raise fault(*(((key,), beside[key]) for key in beside if key in given))
        return self

    def applicable(self) -> frozenset[str]:
        """All keys, but the short form where the layers are listed."""
        short = {"hidden", "keep_prob", "batch_norm", "feature_map"} if self.layers is not None else set()
        return frozenset(type(self).model_fields) - short

    @model_validator(mode="after")
    def _one_keep_prob_per_layer(self) -> ModelConfig:
        if isinstance(self.keep_prob, tuple) and len(self.keep_prob) != len(self.hidden):
            raise fault(
                (
                    ("keep_prob",),
                    f"has length {len(self.keep_prob)} where model.hidden has length {len(self.hidden)}; "
                    "should be one number, or one per hidden layer",
                )
            )
        return self
