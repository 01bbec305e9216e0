"""`dlrun tune`: search an experiment's space."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from dlrun.errors import AnswerIsNoError, ConfigError, RunError

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment
    from dlrun.reporting.output import Output
    from dlrun.reporting.run_folder import RunFolder
    from dlrun.tuning.journal import Journal
    from dlrun.tuning.study import Study, StudyOptions

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
    from dlrun.cli.resuming import refuse_code_of
    from dlrun.config import load_experiment, to_toml
    from dlrun.data.dataset import load_dataset
    from dlrun.reporting.output import Output
    from dlrun.reporting.run_folder import claim_run_folder
    from dlrun.training.problem import Problem
    from dlrun.training.threads import computing_threads
    from dlrun.tuning.default_space import with_space
    from dlrun.tuning.journal import NAME, Journal
    from dlrun.tuning.study import Study

    output = Output(quiet=quiet, json=json)
    given = {"sampler": sampler, "trials": trials, "folds": folds, "outer_folds": outer_folds, "halving": halving}
    given |= {"rounds": rounds}
    asked = any(value is not None for value in (experiment, data, target, set_, seed))
    stored = _stored_config(out, overwrite) if resume else None
    loaded = load_experiment(experiment, overrides=set_ or [], seed=seed, data=data, target=target) if (
        stored is None or asked
    ) else load_experiment(stored)  # fmt: skip
    chosen, is_default = with_space(loaded.experiment)
    if stored is not None and out is not None and not asked:
        refuse_code_of(chosen, out)
    if stored is not None and asked and to_toml(chosen) != stored.read_text(encoding="utf-8"):
        raise ConfigError(
            f"--resume goes on with the experiment in {stored}, and the one given differs from it; "
            "leave EXPERIMENT, --data, --set and --seed out"
        )
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    problem = Problem(chosen, dataset)
    backend = select_backend(device.value)
    header = _header(out) if stored is not None and out is not None else None
    options, is_default = _options(given, header, is_default)
    Study(
        problem, backend, options, folder=loaded.folder
    )  # what is wrong with the request is said before a folder is made
    if is_default and stored is None:
        _show_space(chosen, output)
    with (
        computing_threads(1),
        claim_run_folder(out=out, name=chosen.name, command="tune", overwrite=overwrite, resume=resume) as folder,
        Journal(folder.file(NAME), resume=resume) as journal,
    ):
        folder.file("summary.json").unlink(missing_ok=True)
        told = _begin(folder, journal, options, data_hash=dataset.hash, is_default=is_default, config=to_toml(chosen))
        study = Study(problem, backend, options, folder=loaded.folder, jobs=jobs, journal=journal, told=told)
        for note in study.searches[0].sampler.notes:
            output.note(f"note: {note}")
        _train(study, folder, output)
        _report(study, folder, output, began=began, is_default=is_default, resumed=len(told))


# -- resuming ----------------------------------------------------------------------------------


def _stored_config(out: Path | None, overwrite: bool) -> Path:
    if out is None:
        raise RunError("--resume needs --out DIR, the folder of the search to go on with")
    if overwrite:
        raise ConfigError("--resume and --overwrite contradict each other; should be one of the two")
    stored = out / "config.toml"
    if not stored.is_file():
        raise RunError(f"{out}: no run to resume: there is no config.toml in this folder")
    return stored


def _header(out: Path) -> dict[str, Any] | None:
    """The last header in the journal of the folder, None where the search did not get that far."""
    from dlrun.tuning.journal import NAME, read_journal

    path = out / NAME
    if not path.is_file():
        if (out / "summary.json").is_file():
            raise RunError(
                f"{out}: holds the run of another command; `dlrun tune --resume` needs the folder of a search"
            )
        return None
    headers = [record for record in read_journal(path)[0] if record.get("kind") == "search"]
    return headers[-1] if headers else None


def _options(given: Mapping[str, Any], header: Mapping[str, Any] | None, is_default: bool) -> tuple[StudyOptions, bool]:
    """What the command line asks for, on top of what the journal says where a search is resumed."""
    from dlrun.tuning.samplers import EXTENSIBLE
    from dlrun.tuning.study import StudyOptions

    asked = {name: value for name, value in given.items() if value is not None}
    if header is None:
        options = StudyOptions(**asked)
        if "rounds" in asked and options.sampler != "coarse-to-fine":
            raise ConfigError(f"--rounds {options.rounds}: goes with --sampler coarse-to-fine, not {options.sampler}")
        return options, is_default
    recorded = StudyOptions(**header["options"])
    extends = asked.get("trials", 0) > recorded.trials and recorded.sampler in EXTENSIBLE and not recorded.halving
    for name, value in asked.items():
        if value != getattr(recorded, name) and not (name == "trials" and extends):
            more = "; more trials can be asked for of random and sobol searches without --halving"
            raise ConfigError(
                f"--{name.replace('_', '-')} {value}: the search to resume has {getattr(recorded, name)}; "
                f"leave it out{more if name == 'trials' else ''}"
            )
    return replace(recorded, trials=max(recorded.trials, asked.get("trials", 0))), header["default_space"]


def _begin(
    folder: RunFolder, journal: Journal, options: StudyOptions, *, data_hash: str, is_default: bool, config: str
) -> list[Any]:
    """Write what a resumption needs, or check it; the trials that the journal knows."""
    from dlrun.tuning.trials import Trial

    header = {"kind": "search", "options": asdict(options), "data": data_hash, "default_space": is_default}
    headers = [record for record in journal.records if record["kind"] == "search"]
    if headers and headers[-1]["data"] != data_hash:
        raise RunError(
            f"{journal.path}: the data has changed since the search began, so its trials cannot be compared with new "
            "ones; start a new search"
        )
    if not headers:
        folder.write_text("config.toml", config)
    if not headers or headers[-1] != header:
        journal.append(header)
    trials = [record for record in journal.records if record["kind"] == "trial"]
    return [Trial.from_json({key: value for key, value in each.items() if key != "kind"}) for each in trials]


# -- the search --------------------------------------------------------------------------------


def _show_space(experiment: Experiment, output: Output) -> None:
    from dlrun.config.keys import value_text

    lines = [f'  "{key}" = {value_text(range_)}' for key, range_ in experiment.tune.space.items()]
    output.note("\n".join(["The experiment has no tune.space; this one is searched:", *lines]))


def _train(study: Study, folder: RunFolder, output: Output) -> None:
    """Run the search; say how to go on where it is broken off."""
    try:
        with output.progress(f"{study.experiment.name}, {study.options.sampler}", study.total) as advance:
            advance(study.known, note="")
            for event in study:
                if event.share or event.trial is not None:
                    advance(event.share, note=_note(study))
    except BaseException:
        if study.known:
            output.note(
                f"{study.known} of {study.total} trials are kept; `dlrun tune --resume --out {folder.path}` goes on"
            )
        raise


def _note(study: Study) -> str:
    best = study.best
    return "" if best is None or best.score is None else f"best {best.score:.4f} (trial {best.number})"


def _report(study: Study, folder: RunFolder, output: Output, *, began: float, is_default: bool, resumed: int) -> None:
    """All files but the journal, and what is shown. The search without a single result ends in the error."""
    from dlrun.config import to_toml, with_values
    from dlrun.reporting.csv_files import CsvFile
    from dlrun.reporting.files import replacing
    from dlrun.reporting.tune_report import trial_columns, trial_rows, tune_tables
    from dlrun.reporting.tune_summary import best_heading, outer_rows, round_rows, summary_of
    from dlrun.tuning.final import test_figures

    keys = study.space.keys
    tables = {"trials.csv": (trial_columns(keys), trial_rows(keys, study.trials.values()))}
    summary = summary_of(study, test=test_figures(study), seconds=0.0, is_default=is_default, resumed=resumed)
    if summary["rounds"]:
        tables["rounds.csv"] = round_rows(summary["rounds"])
    if study.winners:
        tables["outer.csv"] = outer_rows(study)
    for name, (columns, rows) in tables.items():
        with replacing(folder.file(name)) as path, CsvFile(path, columns) as file:
            file.write_rows(rows)
    best = study.best
    if best is not None:
        tuned = with_values(study.experiment, best.values)
        folder.write_text("best.toml", f"{best_heading(summary)}\n{to_toml(tuned)}")
    summary["seconds"] = round(time.perf_counter() - began, 3)
    folder.write_json("summary.json", summary)
    shown = {**summary, "folder": str(folder.path)}
    if best is None:
        output.result(shown, in_files=True)
        reasons = [trial.reason for trial in study.trials.values() if trial.reason]
        raise AnswerIsNoError(
            f"none of {summary['trials']} trials gave a result; the first: {reasons[0] if reasons else 'no reason'}; "
            f"{folder.path}/trials.csv has the others. A space of smaller learning rates may help"
        )
    output.result(shown, *tune_tables(summary, folder.path), in_files=True)
