"""The experiment: all its tables, and the checks that reach across them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dlrun.config.data_section import DataConfig, SplitConfig
from dlrun.config.model_section import FeatureMapConfig, ModelConfig
from dlrun.config.section import Allowed, Section, Seed, fault
from dlrun.config.training_section import (
    DecayConfig,
    EarlyStopping,
    OptimizerConfig,
    RegularizationConfig,
    TrainingConfig,
)
from dlrun.config.tune_section import Range, TuneConfig

__all__ = [
    "DataConfig",
    "DecayConfig",
    "EarlyStopping",
    "Experiment",
    "FeatureMapConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Range",
    "RegularizationConfig",
    "SplitConfig",
    "TrainingConfig",
    "TuneConfig",
]

NAME_LIMIT = 64

REGRESSION_LOSSES = ("squared_error", "sum_squared_error", "absolute_error", "huber")
CLASSIFICATION_LOSSES = (
    "binary_cross_entropy",
    "cross_entropy",
    "sum_binary_cross_entropy",
    "sum_cross_entropy",
)

# The name becomes a folder's name: nothing in it may climb, hide or need quoting.
Name = Annotated[
    str,
    Field(pattern=rf"^[A-Za-z0-9_-][A-Za-z0-9._-]{{0,{NAME_LIMIT - 1}}}$"),
    Allowed(f"1 to {NAME_LIMIT} letters (a to z), digits, dots, _ or -, without a leading dot"),
]

_Problem = tuple[Sequence[str], str]


class Experiment(Section):
    """One experiment, as its file says it; everything but `data.source` has a default."""

    name: Name = Field(
        default="experiment",
        description="names the run's folder; left out: the file's name without its ending",
    )
    seed: Seed = Field(default=0, description="where all randomness comes from")
    task: Literal["classification", "regression"] | None = Field(
        default=None, description="left out: inferred from the target"
    )
    data: DataConfig = Field(description="the table and its split")
    model: ModelConfig = Field(default=ModelConfig(), description="the network or baseline")
    optimizer: OptimizerConfig = Field(default=OptimizerConfig(), description="the update rule")
    regularization: RegularizationConfig = Field(default=RegularizationConfig(), description="penalties on the weights")
    training: TrainingConfig = Field(default=TrainingConfig(), description="how long, in which batches")
    tune: TuneConfig = Field(default=TuneConfig(), description="what a search varies")

    @model_validator(mode="after")
    def _tables_fit_together(self) -> Experiment:
        if problems := [*self._task_problems(), *self._stopping_problems()]:
            raise fault(*problems)
        return self

    def _task_problems(self) -> list[_Problem]:
        problems: list[_Problem] = []
        fitting = {"classification": CLASSIFICATION_LOSSES, "regression": REGRESSION_LOSSES}
        wrong_kind = {"classification": "mean", "regression": "majority"}
        if self.task is None:
            return problems
        if self.model.loss is not None and self.model.loss not in fitting[self.task]:
            names = ", ".join(fitting[self.task])
            problems.append((("model", "loss"), f"does not fit {self.task}; should be one of {names}"))
        if self.model.kind == wrong_kind[self.task]:
            right = "mean" if self.task == "regression" else "majority"
            problems.append((("model", "kind"), f'does not fit {self.task}, whose baseline is "{right}"'))
        return problems

    def _stopping_problems(self) -> list[_Problem]:
        if self.training.early_stopping is None or self.data.split.dev > 0:
            return []
        return [
            (
                ("training", "early_stopping"),
                "watches the dev part, which is empty; should be left out, or data.split.dev be > 0",
            )
        ]
