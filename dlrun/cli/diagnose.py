"""`dlrun diagnose`: what a trained model suffers from, and what to try next."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.options import (
    DebugOption,
    Device,
    DeviceOption,
    JobsOption,
    JsonOption,
    NoVerifyOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    RunCodeOption,
    SeedOption,
    SetOption,
)
from dlrun.errors import ConfigError

if TYPE_CHECKING:
    from dlrun.backend import Backend
    from dlrun.cli.diagnosing import Request
    from dlrun.reporting.output import Output


def command(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="The folder of a run of `dlrun train`.", show_default=False),
    ] = None,
    human_error: Annotated[
        float | None,
        typer.Option(
            "--human-error",
            metavar="F",
            help="The error that cannot be avoided: a share such as 0.15, or a root mean squared error. Left out, 0.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="F",
            help="A gap between errors is large above this; left out, 0.02, or 0.05 of the target's spread.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="A table from where the model will be used: it is the dev part, and the run's own the train-dev part.",
            show_default=False,
        ),
    ] = None,
    two_sample: Annotated[
        bool,
        typer.Option(
            "--two-sample", help="Also check whether train and dev rows can be told apart.", show_default=False
        ),
    ] = False,
    learning_curve: Annotated[
        bool,
        typer.Option("--learning-curve", help="Also train on growing parts of the training rows.", show_default=False),
    ] = False,
    repeats: Annotated[
        int, typer.Option("--repeats", metavar="N", min=1, help="Models per size of the learning curve.")
    ] = 5,
    initialization: Annotated[
        str | None,
        typer.Option(
            "--initialization",
            metavar="EXPERIMENT",
            help="In place of RUN: compare initializations, layer by layer, on this experiment.",
            show_default=False,
        ),
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    set_: SetOption = None,
    seed: SeedOption = None,
    run_code: RunCodeOption = False,
    no_verify: NoVerifyOption = False,
    device: DeviceOption = Device.AUTO,
    jobs: JobsOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what a trained model suffers from (bias, variance, mismatch, its learning rate) and what to try next.

    With --initialization: how activations and gradients change from layer to layer under each initialization.
    """
    from dlrun.backend import select_backend
    from dlrun.cli.diagnosing import Request, diagnose_run
    from dlrun.reporting.output import Output
    from dlrun.training.threads import computing_threads

    output = Output(quiet=quiet, json=json)
    if (run is None) == (initialization is None):
        raise ConfigError("diagnose: should be given either the folder of a run, or --initialization EXPERIMENT")
    with computing_threads(1):
        backend = select_backend(device.value)
        if initialization is not None:
            if data or two_sample or learning_curve:
                raise ConfigError("--data, --two-sample and --learning-curve go with a RUN, not with --initialization")
            _initializations(initialization, set_ or [], seed, out, overwrite, backend, output)
            return
        if set_ or seed is not None:
            raise ConfigError("--set and --seed go with --initialization; a run has its own experiment in its folder")
        assert run is not None
        request = Request(
            run=run,
            human_error=human_error or 0.0,
            human_error_given=human_error is not None,
            tolerance=tolerance,
            data=data,
            two_sample=two_sample,
            learning_curve=learning_curve,
            repeats=repeats,
            out=out,
            overwrite=overwrite,
            run_code=run_code,
            check=not no_verify,
            jobs=jobs,
        )
        _checked(request)
        diagnose_run(request, backend, output)


def _checked(request: Request) -> None:
    """Numbers that no error can be."""
    if not request.human_error >= 0 or request.human_error == float("inf"):
        raise ConfigError(f"--human-error {request.human_error}: should be an error ≥ 0, such as 0.15")
    if request.tolerance is not None and not 0 < request.tolerance < float("inf"):
        raise ConfigError(f"--tolerance {request.tolerance}: should be a number > 0, such as 0.02")


def _initializations(
    experiment: str,
    overrides: list[str],
    seed: int | None,
    out: Path | None,
    overwrite: bool,
    backend: Backend,
    output: Output,
) -> None:
    began = time.perf_counter()
    from dlrun.config import load_experiment, to_toml
    from dlrun.data.dataset import load_dataset
    from dlrun.diagnosis.layers import compared_initializations
    from dlrun.reporting.diagnose_report import initializations_table, layers_json, layers_table, write_layers
    from dlrun.runs.folder import claim_run_folder
    from dlrun.runs.summary import common_summary
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun

    loaded = load_experiment(experiment, overrides=overrides, seed=seed, trusted=True)
    chosen = loaded.experiment
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    problem = Problem(chosen, dataset)
    split = TrainRun(problem, backend).split
    reports = compared_initializations(problem, backend, split.train)
    with claim_run_folder(out=out, name=chosen.name, command="diagnose", overwrite=overwrite) as folder:
        folder.write_text("config.toml", to_toml(chosen))
        write_layers(folder, reports)
        net = problem.architecture([problem.replica(split.train)])
        summary: dict[str, Any] = {
            "name": chosen.name,
            **common_summary(
                command="diagnose",
                seed=chosen.seed,
                device=backend.name,
                parameters=net.parameters,
                seconds=time.perf_counter() - began,
                data_hash=dataset.hash,
                split_hash=split.hash,
            ),
            "initializations": layers_json(reports),
        }
        summary = folder.write_summary(summary)
        own = layers_table(reports[0], title=f"{chosen.name}: layers at the initial weights ({reports[0].name})")
        others = initializations_table(reports)
        others.footnotes += [*(each.sentence for each in reports[1:]), f"Files: {folder.path}"]
        output.result({**summary, "folder": str(folder.path)}, own, others, in_files=True)
