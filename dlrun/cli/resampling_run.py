"""What `crossval`, `holdout` and `bootstrap` have in common: from the request to the run in its folder."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.errors import AnswerIsNoError, ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dlrun.data.dataset import Dataset
    from dlrun.reporting.output import Output
    from dlrun.reporting.tables import Table
    from dlrun.resampling.resamples import Resamples
    from dlrun.resampling.run import ResamplingRun
    from dlrun.runs.checkpoints import StackCheckpoints
    from dlrun.runs.folder import RunFolder

    Strata = npt.NDArray[np.int64] | None

StratifyOption = Annotated[
    bool | None,
    typer.Option(
        "--stratify/--no-stratify",
        help="Keep the classes' shares (bins of a regression's target) in each part; left out, data.split.stratify.",
        show_default=False,
    ),
]
ConfidenceOption = Annotated[
    float, typer.Option("--confidence", metavar="C", help="Of the intervals, between 0 and 1.")
]
PlanOption = Annotated[
    bool,
    typer.Option(
        "--plan", help="Say what the run would take (parameters, memory, stacks, time), and run nothing.",
        show_default=False,
    ),
]  # fmt: skip


@dataclass
class Prepared:
    """A request made ready to run. `arguments` are the options that `config.toml` does not hold."""

    command: str
    run: ResamplingRun
    confidence: float
    scheme: dict[str, Any]
    arguments: list[str]
    output: Output
    began: float
    out: Path | None
    overwrite: bool
    resume: bool
    named: list[str]  # what names the experiment beside --resume, where it must be named
    training_seconds: float = field(default=0.0)


@dataclass(frozen=True)
class Finished:
    """What a command makes of its finished run.

    figures   its own part of the summary;  warnings   beside those of the splitter
    tables    for a person, from the whole summary and the folder's path
    refusal   why the answer is no, if it is
    """

    figures: dict[str, Any]
    warnings: Sequence[str]
    tables: Callable[[dict[str, Any], Path], list[Table]]
    refusal: str | None = None


def prepare(
    command: str,
    splitter: Callable[[Dataset, int, Strata], Resamples],
    *,
    options: dict[str, Any],
    arguments: list[str],
    loading: dict[str, Any],
    stratify: bool | None,
    confidence: float,
    device: str,
    jobs: int | None,
    out: Path | None,
    overwrite: bool,
    resume: bool,
    output: Output,
    began: float,
    everything: bool = False,
) -> Prepared:
    """Load the experiment and its data, and divide the rows: `splitter(data, seed, strata)`."""
    from dlrun.backend import select_backend
    from dlrun.cli.remarks import remark_on_columns
    from dlrun.cli.resuming import Request, request_to_resume
    from dlrun.data.dataset import load_dataset
    from dlrun.data.splits import strata_of
    from dlrun.resampling.intervals import check_confidence
    from dlrun.resampling.run import ResamplingRun
    from dlrun.training.problem import Problem

    check_confidence(confidence)
    asked = meant = Request(**loading)
    if resume:
        meant = request_to_resume(asked, out)
    if stratify is not None:  # into the experiment, so that config.toml holds it
        told = f"data.split.stratify={str(stratify).lower()}"
        meant = replace(meant, overrides=[*meant.overrides, told])
    loaded = meant.load()
    experiment = loaded.experiment
    if experiment.training.init_from is not None:
        raise ConfigError(
            f"training.init_from = {experiment.training.init_from!r}: that model may have been trained on rows that "
            f"are tested here; should be left out for `dlrun {command}`"
        )
    data = load_dataset(experiment.data, task=experiment.task, folder=loaded.folder, seed=experiment.seed)
    remark_on_columns(output, meant.data, experiment.data, data)
    problem = Problem(experiment, data)
    stratified = experiment.data.split.stratify and options["kind"] != "leave_one_out"
    resamples = splitter(data, experiment.seed, strata_of(data) if stratified else None)
    run = ResamplingRun(problem, select_backend(device), resamples, everything=everything, jobs=jobs)  # type: ignore[arg-type]
    scheme = {**options, "repeats": resamples.repeats, "stratify": stratified, "groups": experiment.data.group}
    named = asked.words_beside_resume(experiment)
    arguments = [*arguments, "--confidence", repr(confidence)]
    return Prepared(command, run, confidence, scheme, arguments, output, began, out, overwrite, resume, named)


def show_plan(prepared: Prepared) -> None:
    """`--plan`: nothing is run, and no folder is made."""
    from dlrun.reporting.resampling_report import plan_table
    from dlrun.resampling.plan import plan_run
    from dlrun.training.threads import computing_threads

    name = prepared.run.problem.experiment.name
    with computing_threads(1):
        plan = plan_run(prepared.run)
    shown = {"command": prepared.command, "name": name, "scheme": prepared.scheme, "plan": asdict(plan)}
    prepared.output.result(shown, plan_table(name, prepared.scheme, plan))


def execute(prepared: Prepared, finish: Callable[[Prepared, RunFolder], Finished]) -> None:
    """Train in a folder of its own, let `finish` write the command's files, and report."""
    from dlrun.cli.resuming import Resumption, origin_of, told_how_to_go_on
    from dlrun.config import to_toml
    from dlrun.runs.folder import claim_run_folder
    from dlrun.training.threads import computing_threads

    run = prepared.run
    experiment = run.problem.experiment
    with computing_threads(1), run.backend.quiet():
        if experiment.model.kind == "network":
            _ = run.training  # divides and checks all that can be wrong with the request
        # Only now is the folder taken: a wrong key or a missing file must not cost an earlier run its files.
        with (
            claim_run_folder(
                out=prepared.out,
                name=experiment.name,
                command=prepared.command,
                overwrite=prepared.overwrite,
                resume=prepared.resume,
            ) as folder,
            told_how_to_go_on(folder, prepared.output, [prepared.command, *prepared.named, *prepared.arguments]),
        ):
            content = f"# {_again(prepared)}\n{to_toml(experiment)}"
            resumption = Resumption(
                folder,
                prepared.output,
                content,
                command=prepared.command,
                origin=origin_of(run.problem, run.backend),
                resumed=prepared.resume,
            )
            if resumption.finished is not None:
                resumption.say_finished()
                return
            stacks = resumption.stacks()
            _train(prepared, stacks)
            finished = finish(prepared, folder)
            summary = _summary(prepared, finished)
            summary = folder.write_summary(summary)
            stacks.remove()
            tables = finished.tables(summary, folder.path)
            prepared.output.result({**summary, "folder": str(folder.path)}, *tables, in_files=True)
            if finished.refusal is not None:
                raise AnswerIsNoError(f"{finished.refusal}. What each model came to is in {folder.path}")


def _again(prepared: Prepared) -> str:
    """The command that does this run again."""
    return shlex.join(["dlrun", prepared.command, "config.toml", *prepared.arguments])


def _train(prepared: Prepared, stacks: StackCheckpoints) -> None:
    from dlrun.records import counted
    from dlrun.resampling.progress import EpochProgress

    run = prepared.run
    began = time.perf_counter()
    if run.problem.experiment.model.kind != "network":
        for _ in run:
            pass
    else:
        run.training.keeper = stacks
        progress = EpochProgress(run.replicas, run.plan.groups)
        answered = run.training.answered
        with prepared.output.progress(run.problem.experiment.name, progress.total) as advance:
            for records in run:
                done = progress.update(records, answered)
                advance(done, f"{progress.finished} of {counted(len(run.replicas), 'model')}")
    prepared.training_seconds = time.perf_counter() - began


def _summary(prepared: Prepared, finished: Finished) -> dict[str, Any]:
    from dlrun.resampling.outcome import endings
    from dlrun.runs.summary import common_summary

    run = prepared.run
    experiment, data = run.problem.experiment, run.problem.dataset
    network = experiment.model.kind == "network"
    return {
        "name": experiment.name,
        **common_summary(
            command=prepared.command,
            seed=experiment.seed,
            device=run.backend.name,
            parameters=run.problem.architecture(run.replicas[:1]).parameters if network else 0,
            seconds=time.perf_counter() - prepared.began,
            data_hash=data.hash,
            split_hash=run.split_hash,
        ),
        "training_seconds": round(prepared.training_seconds, 4),
        "threads": 1,
        "jobs": run.plan.jobs if network else 1,
        "stacks": len(run.plan.groups) if network else 0,
        "again": _again(prepared),
        "model": experiment.model.kind,
        "task": data.task,
        "target": data.target_name,
        "classes": list(data.classes) or None,
        "loss": run.problem.loss if network else None,
        "rows": len(data),
        "scheme": prepared.scheme,
        "confidence": prepared.confidence,
        **finished.figures,
        **endings(run.divisions),
        "warnings": [*run.resamples.warnings, *finished.warnings],
    }
