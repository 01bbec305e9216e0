"""`[optimizer]`, `[optimizer.decay]`, `[regularization]` and `[training]`: how the weights are fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dlrun.config.section import (
    COUNT_LIMIT,
    Allowed,
    Beta,
    Count,
    CountOrZero,
    NonNegative,
    Positive,
    Section,
    Share,
    Text,
    fault,
)

# The keys that each decay takes. α0 is optimizer.learning_rate, n the epoch and t the step, both from 1.
DECAY_KEYS: dict[str, tuple[str, ...]] = {
    "constant": (),
    "inverse_time": ("rate",),  # α0 / (1 + rate·n)
    "exponential": ("base",),  # base^n · α0
    "inverse_sqrt": ("scale",),  # scale · α0 / √n
    "inverse_sqrt_step": ("scale",),  # scale · α0 / √t
    "inverse_sqrt_rows": ("rows",),  # α0 / (rows · √t)
    "staircase": ("factor", "every"),  # α0 · factor^⌊(n−1)/every⌋
    "manual": ("values",),
    "cosine": ("epochs", "final_fraction"),
}

_MANUAL_WORDS = "a table of epochs (≥ 1) and learning rates (> 0), such as {1 = 0.1, 20 = 0.01}"


def _epochs_from_text(value: Any) -> Any:
    """TOML's keys are text: {"20": 0.01} → {20: 0.01}."""
    if not isinstance(value, dict):
        return value
    return {int(k) if isinstance(k, str) and k.isdecimal() and len(k) < 19 else k: v for k, v in value.items()}


ManualRates = Annotated[
    dict[Annotated[int, Field(ge=1, le=COUNT_LIMIT)], Positive],
    BeforeValidator(_epochs_from_text),
    Field(min_length=1),
    Allowed(_MANUAL_WORDS),
]


class DecayConfig(Section):
    """How the learning rate falls: by name; n is the epoch and t the step, both from 1."""

    name: Literal[
        "constant",
        "inverse_time",
        "exponential",
        "inverse_sqrt",
        "inverse_sqrt_step",
        "inverse_sqrt_rows",
        "staircase",
        "manual",
        "cosine",
    ] = Field(default="constant", description="the rule by which α falls from α0 = optimizer.learning_rate")
    rate: NonNegative = Field(default=1.0, description="inverse_time: α0/(1 + rate·n)")
    base: Annotated[float, Field(gt=0, le=1)] = Field(default=0.95, description="exponential: baseⁿ·α0")
    scale: Positive = Field(default=1.0, description="inverse_sqrt: scale·α0/√n; inverse_sqrt_step: scale·α0/√t")
    rows: Count | None = Field(
        default=None, description="inverse_sqrt_rows: α0/(rows·√t); left out: the number of training rows"
    )
    factor: Annotated[float, Field(gt=0, le=1)] = Field(default=0.5, description="staircase: α0·factor^⌊(n−1)/every⌋")
    every: Count = Field(default=10, description="staircase: epochs on one stair")
    values: ManualRates | None = Field(
        default=None, description="manual: the learning rate from each epoch on; before the first, α0"
    )
    epochs: Count | None = Field(
        default=None, description="cosine: epochs until the lowest rate; left out: training.epochs"
    )
    final_fraction: Share = Field(default=0.0, description="cosine: the lowest rate as a share of α0")

    def applicable(self) -> frozenset[str]:
        return frozenset(("name", *DECAY_KEYS[self.name]))

    @model_validator(mode="after")
    def _keys_belong_to_the_name(self) -> DecayConfig:
        takes = ", ".join(DECAY_KEYS[self.name]) or "no other key"
        stray = sorted(self.model_fields_set - self.applicable())
        problems = [((key,), f'does nothing for the decay "{self.name}", which takes {takes}') for key in stray]
        if self.name == "manual" and self.values is None:
            problems.append((("values",), f'missing; the decay "manual" needs {_MANUAL_WORDS}'))
        if problems:
            raise fault(*problems)
        return self


class OptimizerConfig(Section):
    """The rule that turns gradients into steps, and what is done to its rate and its gradients."""

    name: Literal["gradient_descent", "momentum", "nesterov", "rmsprop", "adam", "adamw"] = Field(
        default="adam", description="the update rule"
    )
    learning_rate: Positive = Field(default=0.001, description="α0")
    beta1: Beta = Field(default=0.9, description="β of momentum and nesterov, β1 of adam and adamw")
    beta2: Beta = Field(default=0.999, description="β of rmsprop, β2 of adam and adamw")
    epsilon: Positive = Field(default=1e-8, description="ε, added to the root in rmsprop, adam and adamw")
    weight_decay: NonNegative = Field(default=0.0, description="adamw: θ loses α·weight_decay·θ at each step")
    clip_norm: Positive | None = Field(default=None, description="a gradient longer than this is shortened to it")
    clip_value: Positive | None = Field(
        default=None, description="each component of the gradient is held within ± this"
    )
    warmup_steps: CountOrZero = Field(default=0, description="steps over which the rate rises linearly from 0")
    decay: DecayConfig = Field(default=DecayConfig(), description="how the learning rate falls")

    @model_validator(mode="after")
    def _weight_decay_is_adamws(self) -> OptimizerConfig:
        if self.weight_decay > 0 and self.name != "adamw":
            raise fault(
                (
                    ("weight_decay",),
                    f'does nothing for the optimizer "{self.name}"; should be 0, or the optimizer "adamw", '
                    "or use regularization.l2",
                )
            )
        return self


class RegularizationConfig(Section):
    """Penalties on the weights (not the biases), m the examples of the batch."""

    l2: NonNegative = Field(default=0.0, description="λ of λ/(2m)·‖W‖²")
    l1: NonNegative = Field(default=0.0, description="λ of λ/(2m)·‖W‖₁")


class EarlyStopping(Section):
    """Stop when the dev part no longer gains; the best weights are kept."""

    patience: Count = Field(default=10, description="epochs without a gain before training stops")
    min_delta: NonNegative = Field(default=0.0, description="the least fall that counts as a gain")
    monitor: Literal["error", "cost"] = Field(default="error", description="the dev figure that should fall")


class TrainingConfig(Section):
    """How long, in which batches, from where."""

    epochs: CountOrZero = Field(default=20, description="passes over the training rows; 0 writes the first weights")
    batch_size: Annotated[Count | Literal["full"], Allowed(f'a whole number from 1 to {COUNT_LIMIT}, or "full"')] = (
        Field(default=64, description='rows per update, or "full" for all of them at once')
    )
    shuffle: bool = Field(default=True, description="draw a new order of the rows each epoch")
    truncate: Count | None = Field(
        default=None,
        description="recurrent layers: steps of a window of truncated back-propagation through time; left out: all",
    )
    init_from: Text | None = Field(
        default=None,
        description="a run's folder, relative to the experiment file, whose weights to start from",
    )
    stop_when_cost_changes_by: Positive | None = Field(
        default=None,
        description="stop when the cost of an epoch differs by less than this from the last one's",
    )
    measure_rows: Count | None = Field(
        default=None,
        description="after each epoch, measure cost and error on so many of the training rows, drawn once; "
        "left out: on all of them; at the end all are measured",
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="left out: train for all epochs; an empty table turns it on"
    )
