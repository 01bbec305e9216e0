"""`dlrun show`: an experiment with every key resolved."""

from __future__ import annotations

from dlrun.cli.options import (
    DataOption,
    DebugOption,
    ExperimentArgument,
    JsonOption,
    QuietOption,
    SeedOption,
    SetOption,
    TargetOption,
)


def command(
    experiment: ExperimentArgument = None,
    data: DataOption = None,
    target: TargetOption = None,
    set_: SetOption = None,
    seed: SeedOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Print the resolved experiment as TOML, which can be saved and run; nothing is run."""
    from dlrun.config import load_experiment, to_toml
    from dlrun.reporting.output import Output

    loaded = load_experiment(experiment, overrides=set_ or [], seed=seed, data=data, target=target, trusted=True)
    resolved = loaded.experiment.model_dump(mode="json", exclude_none=True)
    Output(quiet=quiet, json=json).result(resolved, to_toml(loaded.experiment))
