"""`dlrun tune`: search an experiment's space."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

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
    QuietOption,
    SeedOption,
    SetOption,
    TargetOption,
)
from dlrun.cli.resumed_search import begin, header_of, options_of, stored_config
from dlrun.errors import AnswerIsNoError, ConfigError

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment
    from dlrun.reporting.output import Output
    from dlrun.runs.folder import RunFolder
    from dlrun.tuning.study import Study

TrialsOption = Annotated[
    int | None,
    typer.Option("--trials", metavar="N", min=1, help="How many points to try.", show_default="32"),
]
SamplerOption = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="NAME",
        help="Where to try next: random, grid, coarse-to-fine, sobol, or optuna (an extra).",
        show_default="random",
    ),
]
FoldsOption = Annotated[
    int | None,
    typer.Option(
        "--folds",
        metavar="K",
        min=2,
        help="Score by K-fold cross-validation of the train and dev rows; left out, by the dev part.",
        show_default=False,
    ),
]
OuterFoldsOption = Annotated[
    int | None,
    typer.Option(
        "--outer-folds",
        metavar="K",
        min=2,
        help="Search inside each of K outer folds too, which tells without bias how good a tuned model is.",
        show_default=False,
    ),
]
HalvingOption = Annotated[
    bool | None,
    typer.Option(
        "--halving/--no-halving",
        help="Prune: at a ninth and a third of the epochs only the best third of the trials goes on.",
        show_default="no-halving",
    ),
]
RoundsOption = Annotated[
    int | None,
    typer.Option("--rounds", metavar="N", min=1, help="Rounds of coarse-to-fine.", show_default="3"),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the broken-off search in the --out folder.", show_default=False)
]


def command(
    experiment: ExperimentArgument = None,
    data: DataOption = None,
    target: TargetOption = None,
    trials: TrialsOption = None,
    sampler: SamplerOption = None,
    folds: FoldsOption = None,
    outer_folds: OuterFoldsOption = None,
    halving: HalvingOption = None,
    rounds: RoundsOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    set_: SetOption = None,
    seed: SeedOption = None,
    device: DeviceOption = Device.AUTO,
    jobs: JobsOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Search the experiment's [tune.space] for the values with the least error."""
    began = time.perf_counter()
    from dlrun.backend import select_backend
    from dlrun.config import load_experiment, to_toml
    from dlrun.data.dataset import load_dataset
    from dlrun.reporting.output import Output
    from dlrun.runs.folder import claim_run_folder
    from dlrun.training.problem import Problem
    from dlrun.training.threads import computing_threads
    from dlrun.tuning.default_space import with_space
    from dlrun.tuning.journal import NAME, Journal
    from dlrun.tuning.study import Study
    from dlrun.workflows.remarks import remark_on_columns
    from dlrun.workflows.request import Request
    from dlrun.workflows.resuming import origin_of, refuse_code_of, told_how_to_go_on

    output = Output(quiet=quiet, json=json)
    given = {"sampler": sampler, "trials": trials, "folds": folds, "outer_folds": outer_folds, "halving": halving}
    given |= {"rounds": rounds}
    asked = any(value is not None for value in (experiment, data, target, set_, seed))
    named = Request(experiment, set_ or [], seed, data, target)
    stored = stored_config(out, overwrite) if resume else None
    loaded = named.load() if stored is None or asked else load_experiment(stored)
    chosen, is_default = with_space(loaded.experiment)
    if stored is not None and out is not None and not asked:
        refuse_code_of(chosen, out)
    if stored is not None and asked and to_toml(chosen) != stored.read_text(encoding="utf-8"):
        raise ConfigError(
            f"--resume goes on with the experiment in {stored}, and the one given differs from it; "
            "leave EXPERIMENT, --data, --set and --seed out"
        )
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    remark_on_columns(output, data, chosen.data, dataset)
    problem = Problem(chosen, dataset)
    backend = select_backend(device.value)
    header = header_of(out) if stored is not None and out is not None else None
    options, is_default = options_of(given, header, is_default)
    # What is wrong with the request is said here, before a folder is made.
    Study(problem, backend, options, folder=loaded.folder)
    if is_default and stored is None:
        _show_space(chosen, output)
    with (
        computing_threads(1),
        claim_run_folder(out=out, name=chosen.name, command="tune", overwrite=overwrite, resume=resume) as folder,
        told_how_to_go_on(folder, output, ["tune", *named.words_beside_resume(chosen)]),
        Journal(folder.file(NAME), resume=resume) as journal,
    ):
        told = begin(
            folder,
            journal,
            options,
            origin=origin_of(problem, backend),
            is_default=is_default,
            config=to_toml(chosen),
            note=output.note,
        )
        folder.file("summary.json").unlink(missing_ok=True)  # not before the search is known as the one to go on with
        study = Study(problem, backend, options, folder=loaded.folder, jobs=jobs, journal=journal, told=told)
        for note in study.searches[0].sampler.notes:
            output.note(f"note: {note}")
        _train(study, output)
        _report(study, folder, output, began=began, is_default=is_default, resumed=len(told))


# -- the search --------------------------------------------------------------------------------


def _show_space(experiment: Experiment, output: Output) -> None:
    from dlrun.config.keys import value_text

    lines = [f'  "{key}" = {value_text(range_)}' for key, range_ in experiment.tune.space.items()]
    output.note("\n".join(["The experiment has no tune.space; this one is searched:", *lines]))


def _train(study: Study, output: Output) -> None:
    """Run the search; say how much of it is kept where it is broken off."""
    try:
        with output.progress(f"{study.experiment.name}, {study.options.sampler}", study.total) as advance:
            advance(study.known, note="")
            for event in study:
                if event.share or event.trial is not None:
                    advance(event.share, note=_note(study))
    except BaseException:
        if study.known:
            output.note(f"{study.known} of {study.total} trials are kept")
        raise


def _note(study: Study) -> str:
    best = study.best
    return "" if best is None or best.score is None else f"best {best.score:.4f} (trial {best.number})"


def _report(study: Study, folder: RunFolder, output: Output, *, began: float, is_default: bool, resumed: int) -> None:
    """All files but the journal, and what is shown. The search without a single result ends in the error."""
    from dlrun.config import to_toml, with_values
    from dlrun.records import counted
    from dlrun.reporting.tune_report import trial_columns, trial_rows, tune_tables
    from dlrun.reporting.tune_summary import best_heading, outer_rows, round_rows, summary_of
    from dlrun.runs.csv_files import CsvFile
    from dlrun.runs.files import replacing
    from dlrun.tuning.final import test_figures

    keys = study.space.keys
    tables = {"trials.csv": (trial_columns(keys), trial_rows(keys, study.trials.values()))}
    summary = summary_of(study, test=test_figures(study), seconds=0.0, is_default=is_default, resumed=resumed)
    if summary["rounds"]:
        tables["rounds.csv"] = round_rows(summary["rounds"])
    if study.winners:
        tables["outer.csv"] = outer_rows(study)
    for name, (columns, rows) in tables.items():
        with replacing(folder.file(name), follow=False) as path, CsvFile(path, columns) as file:
            file.write_rows(rows)
    best = study.best
    if best is not None:
        tuned = with_values(study.experiment, best.values)
        folder.write_text("best.toml", f"{best_heading(summary)}\n{to_toml(tuned)}")
    summary["seconds"] = round(time.perf_counter() - began, 3)
    summary = folder.write_summary(summary)
    shown = {**summary, "folder": str(folder.path)}
    if best is None:
        output.result(shown, in_files=True)
        reasons = [trial.reason for trial in study.trials.values() if trial.reason]
        raise AnswerIsNoError(
            f"none of {counted(summary['trials'], 'trial')} gave a result; "
            f"the first: {reasons[0] if reasons else 'no reason'}; {folder.path}/trials.csv has the others. "
            f"A space of smaller learning rates may help"
        )
    output.result(shown, *tune_tables(summary, folder.path), in_files=True)
