"""What `crossval`, `holdout` and `bootstrap` have in common: from the request to the result."""

from __future__ import annotations

import inspect
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar

from dlrun.errors import AnswerIsNoError, ConfigError
from dlrun.runs.unkept import Unkept
from dlrun.workflows.request import Data, Out, Overrides, Request, claimed
from dlrun.workflows.results import Files, Result
from dlrun.workflows.watcher import SILENT, Watcher

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dlrun.backend import Device, Engine
    from dlrun.data.dataset import Dataset
    from dlrun.reporting.tables import Table
    from dlrun.resampling.plan import RunPlan
    from dlrun.resampling.resamples import Resamples
    from dlrun.resampling.run import ResamplingRun
    from dlrun.runs.checkpoints import StackCheckpoints
    from dlrun.training.engine import Choice
    from dlrun.workflows.opening import Opened

    Strata = npt.NDArray[np.int64] | None

Found = TypeVar("Found", bound=Result)
Asked = ParamSpec("Asked")


def composed(prepared: Callable[Asked, Prepared], carried_out: Callable[[Prepared], Found]) -> Callable[Asked, Found]:
    """The workflow from what it is asked to what it finds, with the parameters of the one and the words of both."""

    def workflow(*given: Asked.args, **options: Asked.kwargs) -> Found:
        return carried_out(prepared(*given, **options))

    workflow.__doc__ = f"{inspect.getdoc(carried_out)}\n\n{inspect.getdoc(prepared)}"
    workflow.__module__ = prepared.__module__
    workflow.__name__ = workflow.__qualname__ = prepared.__module__.rpartition(".")[2]
    found = inspect.signature(carried_out).return_annotation
    own = list(inspect.signature(prepared).parameters.values())[:-1]  # without **shared, which are named instead
    shared = [each for each in inspect.signature(prepare).parameters.values() if each.name in Shared.__annotations__]
    workflow.__signature__ = inspect.Signature([*own, *shared], return_annotation=found)  # type: ignore[attr-defined]
    return workflow


@dataclass
class Prepared:
    """A request made ready to run. `arguments` are the options that `config.toml` does not hold."""

    command: str
    opened: Opened
    run: ResamplingRun
    confidence: float
    scheme: dict[str, Any]
    arguments: list[str]
    watch: Watcher
    began: float
    out: Out
    overwrite: bool
    resume: bool
    named: list[str]  # what names the experiment beside --resume, where it must be named
    engine: Choice
    training_seconds: float = field(default=0.0)

    def plan(self) -> RunPlan:
        """What the run would take; nothing is run, and no folder is made."""
        from dlrun.resampling.plan import plan_run
        from dlrun.training.threads import computing_threads

        with computing_threads(1):
            return plan_run(self.run)


@dataclass(frozen=True)
class Finished:
    """What a command makes of its finished run.

    figures   its own part of the summary;  warnings   beside those of the splitter
    files     its CSV files;  tables   for a person, from the whole summary and the folder's path
    refusal   why the answer is no, if it is
    """

    figures: dict[str, Any]
    warnings: Sequence[str]
    files: Files
    tables: Callable[[dict[str, Any], Path | None], list[Table]]
    refusal: str | None = None


class Shared(TypedDict, total=False):
    """The options of every resampling: on what, with which changes, where, and the folder of the run."""

    stratify: bool | None
    confidence: float
    data: Data
    target: str | None
    set: Overrides
    seed: int | None
    device: Device
    engine: Engine
    jobs: int | None
    out: Out
    overwrite: bool
    resume: bool
    watch: Watcher


def prepare(
    command: str,
    splitter: Callable[[Dataset, int, Strata], Resamples],
    experiment: str | Path | None,
    *,
    options: dict[str, Any],
    arguments: list[str],
    everything: bool = False,
    stratify: bool | None = None,
    confidence: float = 0.95,
    data: Data = None,
    target: str | None = None,
    set: Overrides = None,
    seed: int | None = None,
    device: Device = "auto",
    engine: Engine = "auto",
    jobs: int | None = None,
    out: Out = None,
    overwrite: bool = False,
    resume: bool = False,
    watch: Watcher = SILENT,
) -> Prepared:
    """Load the experiment and its data, and divide the rows: `splitter(data, seed, strata)`."""
    began = time.perf_counter()
    from dlrun.backend import select_backend
    from dlrun.data.splits import strata_of
    from dlrun.resampling.intervals import check_confidence
    from dlrun.resampling.run import ResamplingRun
    from dlrun.training.engine import settle_engine
    from dlrun.training.problem import Problem
    from dlrun.workflows.opening import opened
    from dlrun.workflows.resuming import request_to_resume

    check_confidence(confidence)
    asked = meant = Request.of(experiment, data=data, target=target, set=set, seed=seed)
    if resume:
        meant = request_to_resume(asked, out)
    if stratify is not None:  # into the experiment, so that config.toml holds it
        told = f"data.split.stratify={str(stratify).lower()}"
        meant = replace(meant, overrides=(*meant.overrides, told))
    found = opened(meant, watch)
    chosen, dataset = found.experiment, found.dataset
    if chosen.training.init_from is not None:
        raise ConfigError(
            f"training.init_from = {chosen.training.init_from!r}: that model may have been trained on rows that "
            f"are tested here; should be left out for `dlrun {command}`"
        )
    problem = Problem(chosen, dataset)
    stratified = chosen.data.split.stratify and options["kind"] != "leave_one_out"
    resamples = splitter(dataset, chosen.seed, strata_of(dataset) if stratified else None)
    backend = select_backend(device, engine)
    run = ResamplingRun(problem, backend, resamples, everything=everything, jobs=jobs)
    steps_by = settle_engine(problem, backend, run.replicas if chosen.model.kind == "network" else [])
    scheme = {**options, "repeats": resamples.repeats, "stratify": stratified, "groups": chosen.data.group}
    named = asked.words_beside_resume(chosen)
    arguments = [*arguments, "--confidence", repr(confidence)]
    return Prepared(
        command, found, run, confidence, scheme, arguments, watch, began, out, overwrite, resume, named, steps_by
    )


def carry_out(prepared: Prepared, finish: Callable[[Prepared], Finished], kind: type[Found]) -> Found:
    """Train, let `finish` make the command's figures, keep the run in its folder, and return the result.

    AnswerIsNoError, with the result in it, where there is no answer.
    """
    from dlrun.config import to_toml
    from dlrun.training.threads import computing_threads
    from dlrun.workflows.resuming import Resumption, origin_of, told_how_to_go_on

    run = prepared.run
    experiment = run.problem.experiment
    with computing_threads(1), run.backend.quiet(), ExitStack() as kept:
        if experiment.model.kind == "network":
            _ = run.training  # divides and checks all that can be wrong with the request
        # Only now is the folder taken: a wrong key or a missing file must not cost an earlier run its files.
        folder = kept.enter_context(
            claimed(
                prepared.out,
                name=experiment.name,
                command=prepared.command,
                overwrite=prepared.overwrite,
                resume=prepared.resume,
            )
        )
        stacks = None
        if not isinstance(folder, Unkept):
            words = [prepared.command, *prepared.named, *prepared.arguments]
            kept.enter_context(told_how_to_go_on(folder, prepared.watch, words))
            resumption = Resumption(
                folder,
                prepared.watch,
                f"# {_again(prepared)}\n{to_toml(prepared.opened.kept_in(folder))}",
                command=prepared.command,
                origin=origin_of(run.problem, run.backend, engine=prepared.engine.name),
                resumed=prepared.resume,
            )
            if resumption.finished is not None:
                resumption.say_finished()
                return kind(summary=resumption.finished, folder=folder.path)
            stacks = resumption.stacks()
        _train(prepared, stacks)
        finished = finish(prepared)
        summary = _summary(prepared, finished)
        if stacks is not None:
            for name, (columns, rows) in finished.files.items():
                with folder.csv(name, columns) as file:
                    file.write_rows(rows())
        summary, where = folder.write_summary(summary), folder.path
        if stacks is not None:
            stacks.remove()
        result = kind(
            summary=summary, folder=where, files=finished.files, shown=lambda: finished.tables(summary, where)
        )
        if finished.refusal is not None:
            place = "" if where is None else f". What each model came to is in {where}"
            raise AnswerIsNoError(f"{finished.refusal}{place}", result=result)
        return result


def _again(prepared: Prepared) -> str:
    """The command that does this run again."""
    return shlex.join(["dlrun", prepared.command, "config.toml", *prepared.arguments])


def _train(prepared: Prepared, stacks: StackCheckpoints | None) -> None:
    from dlrun.records import counted
    from dlrun.resampling.progress import EpochProgress

    run = prepared.run
    began = time.perf_counter()
    if run.problem.experiment.model.kind != "network":
        for _ in run:
            pass
    else:
        if stacks is not None:
            run.training.keeper = stacks
        progress = EpochProgress(run.replicas, run.plan.groups)
        answered = run.training.answered
        with prepared.watch.progress(run.problem.experiment.name, progress.total) as advance:
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
        **prepared.engine.document(),
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
