"""One model on the experiment's training rows."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import AnswerIsNoError, ConfigError, RunError
from dlrun.runs.unkept import Unkept
from dlrun.workflows.request import Data, Out, Overrides, Request, claimed
from dlrun.workflows.results import Result, unkept_files
from dlrun.workflows.resuming import Resumption, origin_of, request_to_resume, told_how_to_go_on
from dlrun.workflows.watched_steps import WatchedSteps, refuse_other_files
from dlrun.workflows.watcher import SILENT, Watcher

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.backend import Device, Engine
    from dlrun.records import EpochRecord
    from dlrun.runs.folder import RunFolder
    from dlrun.training.engine import Choice
    from dlrun.training.model import TrainedModel
    from dlrun.training.problem import Problem
    from dlrun.training.run import Outcome, TrainRun
    from dlrun.workflows.model import Model


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainResult(Result):
    """A trained model and how it does. `trained` is None of a run that had ended before, or diverged."""

    trained: TrainedModel | None = None

    @property
    def model(self) -> Model:
        """Answers for rows like those it was trained on."""
        from dlrun.workflows.model import Model

        if self.trained is not None:
            return Model(self.trained)
        assert self.folder is not None  # of a run that had ended before
        return Model.open(self.folder)

    @property
    def figures(self) -> dict[str, Any]:
        """`rows`, `cost` and `error` of the train, dev and test part."""
        return dict(self.summary["figures"])

    @property
    def metrics(self) -> pd.DataFrame:
        """Cost and error after each epoch, as in `metrics.csv`."""
        return self.frame("metrics.csv")


def train(
    experiment: str | Path | None = None,
    *,
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
    preflight: bool = False,
    steps: bool = False,
    tensorboard: bool = False,
    watch: Watcher = SILENT,
) -> TrainResult:
    """Train the experiment's model, and measure it on the train, dev and test parts beside a baseline.

    experiment  a TOML file or the name of a packaged one; or `data` (a table or pandas frame) and `target`
    set, seed   {key: value} overrides of the experiment, and its seed
    out         the folder to keep the run in; None writes nothing
    preflight   check the gradient first, and do not train if it is wrong
    steps       keep the cost of every batch too, as `steps.csv`

    ConfigError or DataError for what is wrong with the request; AnswerIsNoError, with the result in it, where the
    training diverged.
    """
    began = time.perf_counter()
    from dlrun.backend import select_backend
    from dlrun.training.engine import settle_engine
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun
    from dlrun.training.threads import computing_threads
    from dlrun.workflows.opening import opened

    if tensorboard:
        from dlrun.reporting.tensorboard import require_tensorboard

        require_tensorboard()
        if out is None:
            raise ConfigError("tensorboard: its files are kept in the run's folder; give out, too")
    asked = Request.of(experiment, data=data, target=target, set=set, seed=seed)
    found = opened(request_to_resume(asked, out) if resume else asked, watch)
    problem = Problem(found.experiment, found.dataset)
    start = starting_model(problem, watch)
    backend = select_backend(device, engine)
    threads = threads_for(problem, jobs)
    watched = [option for option, given in (("--steps", steps), ("--tensorboard", tensorboard)) if given]
    with computing_threads(threads) as executor, backend.quiet(), ExitStack() as kept:
        run = TrainRun(problem, backend, start=start, threads=executor, record_steps=steps or tensorboard)
        chosen = settle_engine(problem, backend, run.stack.replicas if run.stack is not None else [])
        if preflight:
            _check_gradient(run, watch)
        # Only now is the folder taken: a wrong key or a missing file must not cost an earlier run its files.
        name = found.experiment.name
        folder = kept.enter_context(claimed(out, name=name, command="train", overwrite=overwrite, resume=resume))
        resumption = None
        if not isinstance(folder, Unkept):
            from dlrun.config import to_toml

            words = ["train", *asked.words_beside_resume(found.experiment), *watched]
            kept.enter_context(told_how_to_go_on(folder, watch, words))
            if resume:
                refuse_other_files(folder, steps=steps, tensorboard=tensorboard)
            config, origin = (
                to_toml(found.kept_in(folder)),
                origin_of(problem, backend, threads=threads, engine=chosen.name),
            )
            resumption = Resumption(folder, watch, config, command="train", origin=origin, resumed=resume)
            if resumption.finished is not None:
                resumption.say_finished()
                return TrainResult(summary=resumption.finished, folder=folder.path)
        outcome = _train(run, folder, watch, resumption, steps=steps, tensorboard=tensorboard)
        seconds = time.perf_counter() - began
        summary = summary_of(run, outcome, device=backend.name, engine=chosen, threads=threads, seconds=seconds)
        return _result(summary, outcome, folder, resumption)


def _check_gradient(run: TrainRun, watch: Watcher) -> None:
    """Refuse to train on a wrong gradient."""
    from dlrun.diagnosis.preflight import preflight

    check = preflight(run)
    if check is not None:
        watch.note(
            f"preflight: the gradient is {check.verdict} in {check.components} components "
            f"(relative difference {check.relative_difference:.1e})"
        )


def threads_for(problem: Problem, jobs: int | None) -> int:
    """Threads for the experiment's model trained by itself, which its sizes decide and not the moment."""
    import numpy as np

    from dlrun.training.threads import useful_threads

    if problem.experiment.model.kind != "network":
        return 1
    n = len(problem.dataset)
    net = problem.architecture([problem.replica(np.arange(n))])
    size = problem.experiment.training.batch_size
    return useful_threads(net, n if size == "full" else min(size, n), jobs)


def starting_model(problem: Problem, watch: Watcher) -> TrainedModel | None:
    """The model that training.init_from names."""
    from dlrun.runs.integrity import AS_IT_IS
    from dlrun.runs.stored import MODEL, open_model

    path = problem.experiment.training.init_from
    if path is None:
        return None
    try:
        model = open_model(Path(path))
    except RunError as error:
        # Training has no --no-verify: a model file that is named by itself is taken as it is.
        told = str(error).replace(AS_IT_IS, f"training.init_from = {str(Path(path) / MODEL)!r} takes it as it is")
        raise RunError(f"training.init_from = {path!r}: {told}") from None
    if model.preprocessing.feature_names != problem.dataset.feature_names:
        watch.note(f"note: the model in {path} was trained on other columns than those of this experiment")
    return model


def _train(
    run: TrainRun,
    folder: RunFolder | Unkept,
    watch: Watcher,
    resumption: Resumption | None,
    *,
    steps: bool,
    tensorboard: bool,
) -> Outcome:
    """Train, and write all files but the summary; a checkpoint every few seconds where the run is kept."""
    from dlrun.runs.files import write_whole
    from dlrun.runs.metrics import METRICS, MetricsFile
    from dlrun.training.snapshot import snapshot

    experiment = run.problem.experiment
    saved = resumption.checkpoint() if resumption is not None else None
    if saved is not None:
        run.resume(*saved)
    marks = {name: (size, digest) for name, (size, digest) in saved[1]["files"].items()} if saved else {}
    done = run.training.epoch if run.training else 0
    with (
        MetricsFile(folder, keep=marks.get(METRICS)) as metrics,
        WatchedSteps(run, folder, steps=steps, tensorboard=tensorboard, marks=marks) as watched,
    ):
        with watch.progress(experiment.name, experiment.training.epochs) as advance:
            advance(done)
            for record in run:
                metrics.epoch([record])
                watched.epoch(record)
                advance(note=_note(record))
                if resumption is not None and resumption.due and run.training is not None:
                    tensors, values = snapshot(run.training)
                    resumption.save(tensors, values | {"files": {METRICS: metrics.mark, **watched.marks()}})
        assert run.outcome is not None
        metrics.end(run.outcome.result, run.outcome.figures)
    if run.outcome.model is not None and not isinstance(folder, Unkept):
        write_whole(folder.file("model.safetensors"), run.outcome.model.to_bytes(), follow=False)
    return run.outcome


def _note(record: EpochRecord) -> str:
    """The latest figures, beside the bar."""
    part = "dev" if "dev" in record.figures else "train"
    figures = record.figures[part]
    return f"{part} error {figures.error:.4f}, cost {figures.cost:.4f}"


def summary_of(
    run: TrainRun, outcome: Outcome, *, device: str, engine: Choice, threads: int, seconds: float
) -> dict[str, Any]:
    """What `summary.json` says."""
    import numpy as np

    from dlrun.nn.baselines import fit_baseline
    from dlrun.reporting.train_report import BASELINES, figures_json
    from dlrun.runs.summary import common_summary

    experiment, data, split, result = run.problem.experiment, run.problem.dataset, run.split, outcome.result
    baseline = BASELINES[data.task]
    nothing = np.zeros((len(split.train), 0))
    fitted = fit_baseline(baseline, nothing, data.target[split.train], len(data.classes))
    network = experiment.model.kind == "network"
    return {
        "name": experiment.name,
        **common_summary(
            command="train",
            seed=experiment.seed,
            device=device,
            parameters=run.parameters,
            seconds=seconds,
            data_hash=data.hash,
            split_hash=split.hash,
        ),
        **engine.document(),
        "threads": threads,
        "status": result.status,
        "reason": result.reason or None,
        "model": experiment.model.kind,
        "task": data.task,
        "target": data.target_name,
        "classes": list(data.classes) or None,
        "loss": run.problem.loss if network else None,
        "rows": {part: len(getattr(split, part)) for part in ("train", "dev", "test")},
        "epochs": result.epochs,
        "best_epoch": result.epoch if outcome.model else None,
        "steps": result.step,
        "weights": _few_weights(run, outcome),
        "figures": figures_json(outcome.figures),
        "baseline": {
            "kind": baseline,
            "answer": fitted["answer"].tolist(),
            "figures": figures_json(outcome.baseline),
        },
    }


def _few_weights(run: TrainRun, outcome: Outcome) -> dict[str, Any] | None:
    """The parameters by name, where they are few enough to be looked at one by one."""
    from dlrun.training.loop import RECORDED

    if outcome.model is None or outcome.model.net is None or run.parameters > RECORDED:
        return None
    return {name: values.tolist() for name, values in outcome.model.parameters().items()}


def _result(
    summary: dict[str, Any], outcome: Outcome, folder: RunFolder | Unkept, resumption: Resumption | None
) -> TrainResult:
    """The summary, kept too where the run is; a divergence ends in the error that says so."""
    from dlrun.reporting.train_report import train_table

    summary, where = folder.write_summary(summary), folder.path
    if resumption is not None:
        resumption.done()
    diverged = summary["status"] == "diverged"
    result = TrainResult(
        summary=summary,
        folder=where,
        files=unkept_files(folder),
        shown=lambda: [] if diverged else [train_table(summary, where)],
        trained=outcome.model,
    )
    if diverged:
        place = "" if where is None else f". The metrics so far are in {where}"
        raise AnswerIsNoError(
            f"training diverged: {summary['reason']}; try a smaller optimizer.learning_rate, or "
            f"optimizer.clip_norm = 1.0{place}",
            result=result,
        )
    return result
