"""`dlrun gradcheck`: whether the gradient of an experiment can be trusted."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.options import (
    DataOption,
    DebugOption,
    ExperimentArgument,
    JobsOption,
    JsonOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    SeedOption,
    SetOption,
    TargetOption,
)
from dlrun.errors import AnswerIsNoError

if TYPE_CHECKING:
    from dlrun.diagnosis.batch import CheckedBatch
    from dlrun.diagnosis.gradcheck import GradientCheck
    from dlrun.diagnosis.sweep import EpsilonSweep
    from dlrun.reporting.output import Output
    from dlrun.runs.folder import RunFolder
    from dlrun.training.run import TrainRun


class Dropout(StrEnum):
    """Whether the checked network has dropout."""

    OFF = "off"
    FIXED = "fixed"


def command(
    experiment: ExperimentArgument = None,
    data: DataOption = None,
    target: TargetOption = None,
    epsilon: Annotated[float, typer.Option("--epsilon", metavar="E", help="How far a component is moved, ε.")] = 1e-7,
    one_sided: Annotated[
        bool, typer.Option("--one-sided", help="(J(θ+ε)-J(θ))/ε, not (J(θ+ε)-J(θ-ε))/2ε.", show_default=False)
    ] = False,
    after_epochs: Annotated[
        int, typer.Option("--after-epochs", metavar="N", min=0, help="Train so many epochs first.")
    ] = 0,
    dropout: Annotated[
        Dropout, typer.Option("--dropout", help="Switch dropout off, or hold its masks fixed.")
    ] = Dropout.OFF,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            min=1,
            help="Compare so many random components, for very large networks; left out, all.",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows",
            metavar="N",
            min=1,
            help="Rows of the batch; left out, the first batch of the training, at most 64 of it.",
            show_default=False,
        ),
    ] = None,
    epsilon_sweep: Annotated[
        bool,
        typer.Option("--epsilon-sweep", help="Also show the error against ε, on both kinds.", show_default=False),
    ] = False,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    set_: SetOption = None,
    seed: SeedOption = None,
    jobs: JobsOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare the gradient that training uses with differences of the cost, parameter by parameter, in float64.

    The verdict on a relative difference of about 1e-7 is great, of 1e-5 look closer, of 1e-3 worry. The status is 1
    if a gradient is wrong.
    """
    began = time.perf_counter()
    from dlrun.backend import Backend
    from dlrun.config import load_experiment
    from dlrun.data.dataset import load_dataset
    from dlrun.diagnosis.batch import checked_batch
    from dlrun.diagnosis.differences import check_epsilon
    from dlrun.reporting.output import Output
    from dlrun.runs.folder import claim_run_folder
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun
    from dlrun.training.threads import computing_threads, usable_cores
    from dlrun.workflows.train import starting_model

    output = Output(quiet=quiet, json=json)
    check_epsilon(epsilon)
    loaded = load_experiment(experiment, overrides=set_ or [], seed=seed, data=data, target=target, trusted=True)
    chosen = loaded.experiment
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    problem = Problem(chosen, dataset)
    with computing_threads(1):
        run = TrainRun(problem, Backend(), start=starting_model(problem, output))
        batch = checked_batch(run, after_epochs=after_epochs, rows=rows, fixed_dropout=dropout is Dropout.FIXED)
        with claim_run_folder(out=out, name=chosen.name, command="gradcheck", overwrite=overwrite) as folder:
            check, sweep = _check(
                batch,
                output,
                name=chosen.name,
                epsilon=epsilon,
                one_sided=one_sided,
                sample=sample,
                seed=chosen.seed,
                jobs=jobs or usable_cores(),
                sweep=epsilon_sweep,
            )
            facts = {
                "rows": len(batch.rows),
                "after_epochs": after_epochs,
                "dropout": dropout.value,
                "seconds": time.perf_counter() - began,
            }
            _report(run, check, sweep, facts, folder, output)


def _check(
    batch: CheckedBatch,
    output: Output,
    *,
    name: str,
    epsilon: float,
    one_sided: bool,
    sample: int | None,
    seed: int,
    jobs: int,
    sweep: bool,
) -> tuple[GradientCheck, EpsilonSweep | None]:
    from dlrun.diagnosis.gradcheck import check_gradient
    from dlrun.diagnosis.sweep import epsilon_sweep

    surface, gradient = batch.surface(), batch.gradient()
    total = batch.net.parameters if sample is None else sample
    with output.progress(name, total) as advance:
        check = check_gradient(
            surface,
            gradient,
            epsilon=epsilon,
            one_sided=one_sided,
            sample=sample,
            seed=seed,
            jobs=jobs,
            advance=advance,
        )
    return check, epsilon_sweep(surface, gradient, seed=seed, jobs=jobs) if sweep else None


def _report(
    run: TrainRun,
    check: GradientCheck,
    sweep: EpsilonSweep | None,
    facts: dict[str, Any],
    folder: RunFolder,
    output: Output,
) -> None:
    """Files, table and status."""
    from dlrun.config import to_toml
    from dlrun.diagnosis.preflight import failure
    from dlrun.records import counted
    from dlrun.reporting.gradcheck_report import (
        check_json,
        check_table,
        sweep_json,
        sweep_table,
        write_check,
        write_sweep,
    )
    from dlrun.runs.summary import common_summary

    experiment, data = run.problem.experiment, run.problem.dataset
    folder.write_text("config.toml", to_toml(experiment))
    write_check(folder, check)
    if sweep is not None:
        write_sweep(folder, sweep)
    summary = {
        "name": experiment.name,
        **common_summary(
            command="gradcheck",
            seed=experiment.seed,
            device="cpu",
            parameters=check.size,
            seconds=facts["seconds"],
            data_hash=data.hash,
            split_hash=run.split.hash,
        ),
        **{name: value for name, value in facts.items() if name != "seconds"},
        **check_json(check),
        "epsilon_sweep": sweep_json(sweep) if sweep is not None else None,
    }
    summary = folder.write_summary(summary)
    when = f"after {counted(facts['after_epochs'], 'epoch')}" if facts["after_epochs"] else "at the initial weights"
    title = f"Gradient check of {experiment.name}, {when}, on {counted(facts['rows'], 'row')}"
    table = check_table(check, title=title + (", masks held fixed" if facts["dropout"] == "fixed" else ""))
    table.footnotes.append(f"{counted(check.size, 'parameter')}, {facts['seconds']:.2f} s. Files: {folder.path}")
    tables = [table, *([sweep_table(sweep)] if sweep is not None else [])]
    output.result({**summary, "folder": str(folder.path)}, *tables, in_files=True)
    if not check.passed:
        raise AnswerIsNoError(f"the gradient check fails: {failure(check)}. All parameters are in {folder.path}")
