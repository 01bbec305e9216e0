"""The experiment file: its schema, TOML in and out, overrides.

The names below are imported on first use, since the schema brings pydantic with it and `dlrun --help`
has no need of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrun.config.checking import validate, with_values
    from dlrun.config.keys import KeyDoc, field_docs
    from dlrun.config.load import LoadedExperiment, load_experiment
    from dlrun.config.schema import (
        DataConfig,
        DecayConfig,
        EarlyStopping,
        Experiment,
        FeatureMapConfig,
        ModelConfig,
        OptimizerConfig,
        Range,
        RegularizationConfig,
        SplitConfig,
        TrainingConfig,
        TuneConfig,
    )
    from dlrun.config.toml_text import to_toml

_HOME = {
    "KeyDoc": "keys",
    "field_docs": "keys",
    "LoadedExperiment": "load",
    "load_experiment": "load",
    "DataConfig": "schema",
    "DecayConfig": "schema",
    "EarlyStopping": "schema",
    "Experiment": "schema",
    "FeatureMapConfig": "schema",
    "ModelConfig": "schema",
    "OptimizerConfig": "schema",
    "Range": "schema",
    "RegularizationConfig": "schema",
    "SplitConfig": "schema",
    "TrainingConfig": "schema",
    "TuneConfig": "schema",
    "to_toml": "toml_text",
    "validate": "checking",
    "with_values": "checking",
}

__all__ = [
    "DataConfig",
    "DecayConfig",
    "EarlyStopping",
    "Experiment",
    "FeatureMapConfig",
    "KeyDoc",
    "LoadedExperiment",
    "ModelConfig",
    "OptimizerConfig",
    "Range",
    "RegularizationConfig",
    "SplitConfig",
    "TrainingConfig",
    "TuneConfig",
    "field_docs",
    "load_experiment",
    "to_toml",
    "validate",
    "with_values",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
