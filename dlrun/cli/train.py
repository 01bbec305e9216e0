"""`dlrun train`: one model on the experiment's training rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.cli.options import (
    DataOption,
    DebugOption,
    Device,
    DeviceOption,
    ExperimentArgument,
    JobsOption,
    JsonOption,
    OutOption,
    OverwriteOption,
    PreflightOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    SetOption,
    TargetOption,
)
from dlrun.cli.watching import StepsOption, TensorboardOption, Watch, refuse_other_files
from dlrun.errors import AnswerIsNoError, RunError

if TYPE_CHECKING:
    from dlrun.records import EpochRecord
    from dlrun.reporting.output import Output
    from dlrun.runs.folder import RunFolder
    from dlrun.training.model import TrainedModel
    from dlrun.training.problem import Problem
    from dlrun.training.run import Outcome, TrainRun
    from dlrun.workflows.resuming import Resumption


def command(
    experiment: ExperimentArgument = None,
    data: DataOption = None,
    target: TargetOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    preflight: PreflightOption = False,
    steps: StepsOption = False,
    tensorboard: TensorboardOption = False,
    set_: SetOption = None,
    seed: SeedOption = None,
    device: DeviceOption = Device.AUTO,
    jobs: JobsOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Train the experiment's model, and measure it on the train, dev and test parts beside a baseline."""
    began = time.perf_counter()
    from dlrun.backend import select_backend
    from dlrun.config import to_toml
    from dlrun.data.dataset import load_dataset
    from dlrun.reporting.output import Output
    from dlrun.runs.folder import claim_run_folder
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun
    from dlrun.training.threads import computing_threads
    from dlrun.workflows.remarks import remark_on_columns
    from dlrun.workflows.request import Request
    from dlrun.workflows.resuming import Resumption, origin_of, request_to_resume, told_how_to_go_on

    output = Output(quiet=quiet, json=json)
    if tensorboard:
        from dlrun.reporting.tensorboard import require_tensorboard

        require_tensorboard()
    asked = Request(experiment, set_ or [], seed, data, target)
    request = request_to_resume(asked, out) if resume else asked
    loaded = request.load()
    chosen = loaded.experiment
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    remark_on_columns(output, data, chosen.data, dataset)
    problem = Problem(chosen, dataset)
    start = _starting_model(problem, output)
    backend = select_backend(device.value)
    threads = threads_for(problem, jobs)
    watched = [option for option, given in (("--steps", steps), ("--tensorboard", tensorboard)) if given]
    with computing_threads(threads) as executor, backend.quiet():
        run = TrainRun(problem, backend, start=start, threads=executor, record_steps=steps or tensorboard)
        if preflight:
            _check_gradient(run, output)
        # Only now is the folder taken: a wrong key or a missing file must not cost an earlier run its files.
        with (
            claim_run_folder(out=out, name=chosen.name, command="train", overwrite=overwrite, resume=resume) as folder,
            told_how_to_go_on(folder, output, ["train", *asked.words_beside_resume(chosen), *watched]),
        ):
            if resume:
                refuse_other_files(folder, steps=steps, tensorboard=tensorboard)
            origin = origin_of(problem, backend, threads=threads)
            resumption = Resumption(folder, output, to_toml(chosen), command="train", origin=origin, resumed=resume)
            if resumption.finished is not None:
                resumption.say_finished()
                output.result({**resumption.finished, "folder": str(folder.path)}, in_files=True)
                return
            outcome = _train(run, folder, output, resumption, steps=steps, tensorboard=tensorboard)
            seconds = time.perf_counter() - began
            summary = summary_of(run, outcome, device=backend.name, threads=threads, seconds=seconds)
            _report(summary, folder, output, resumption)


def _check_gradient(run: TrainRun, output: Output) -> None:
    """Refuse to train on a wrong gradient."""
    from dlrun.diagnosis.preflight import preflight

    check = preflight(run)
    if check is not None:
        output.note(
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


def _starting_model(problem: Problem, output: Output) -> TrainedModel | None:
    """The model that training.init_from names."""
    from dlrun.runs.stored import open_model

    path = problem.experiment.training.init_from
    if path is None:
        return None
    try:
        model = open_model(Path(path))
    except RunError as error:
        raise RunError(f"training.init_from = {path!r}: {error}") from None
    if model.preprocessing.feature_names != problem.dataset.feature_names:
        output.note(f"note: the model in {path} was trained on other columns than those of this experiment")
    return model


def _train(
    run: TrainRun,
    folder: RunFolder,
    output: Output,
    resumption: Resumption,
    *,
    steps: bool,
    tensorboard: bool,
) -> Outcome:
    """Train, and write all files but the summary; a checkpoint every few seconds."""
    from dlrun.runs.files import write_whole
    from dlrun.runs.metrics import METRICS, MetricsFile
    from dlrun.training.snapshot import snapshot

    experiment = run.problem.experiment
    saved = resumption.checkpoint()
    if saved is not None:
        run.resume(*saved)
    marks = {name: (size, digest) for name, (size, digest) in saved[1]["files"].items()} if saved else {}
    done = run.training.epoch if run.training else 0
    with (
        MetricsFile(folder, keep=marks.get(METRICS)) as metrics,
        Watch(run, folder, steps=steps, tensorboard=tensorboard, marks=marks) as watch,
    ):
        with output.progress(experiment.name, experiment.training.epochs) as advance:
            advance(done)
            for record in run:
                metrics.epoch([record])
                watch.epoch(record)
                advance(note=_note(record))
                if resumption.due and run.training is not None:
                    tensors, values = snapshot(run.training)
                    resumption.save(tensors, values | {"files": {METRICS: metrics.mark, **watch.marks()}})
        assert run.outcome is not None
        metrics.end(run.outcome.result, run.outcome.figures)
    if run.outcome.model is not None:
        write_whole(folder.file("model.safetensors"), run.outcome.model.to_bytes(), follow=False)
    return run.outcome


def _note(record: EpochRecord) -> str:
    """The latest figures, beside the bar."""
    part = "dev" if "dev" in record.figures else "train"
    figures = record.figures[part]
    return f"{part} error {figures.error:.4f}, cost {figures.cost:.4f}"


def summary_of(run: TrainRun, outcome: Outcome, *, device: str, threads: int, seconds: float) -> dict[str, Any]:
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


def _report(summary: dict[str, Any], folder: RunFolder, output: Output, resumption: Resumption) -> None:
    """The summary as a file and on standard output; a divergence ends in the error that says so."""
    from dlrun.reporting.train_report import train_table

    summary = folder.write_summary(summary)
    resumption.done()
    shown = {**summary, "folder": str(folder.path)}
    if summary["status"] == "diverged":
        output.result(shown, in_files=True)
        raise AnswerIsNoError(
            f"training diverged: {summary['reason']}; try a smaller optimizer.learning_rate, or "
            f"optimizer.clip_norm = 1.0. The metrics so far are in {folder.path}"
        )
    output.result(shown, train_table(summary, folder.path), in_files=True)
