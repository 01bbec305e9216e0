"""A search of an experiment's space."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import AnswerIsNoError, ConfigError
from dlrun.runs.unkept import Unkept
from dlrun.workflows.request import Data, Out, Overrides, Request, claimed
from dlrun.workflows.results import Files, Result
from dlrun.workflows.resumed_search import begin, header_of, options_of, stored_config
from dlrun.workflows.watcher import SILENT, Watcher

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.backend import Device, Engine
    from dlrun.config.schema import Experiment
    from dlrun.runs.folder import RunFolder
    from dlrun.training.engine import Choice
    from dlrun.tuning.study import Study
    from dlrun.tuning.trials import Trial


class TuneResult(Result):
    """The trials of a search, and the best of them."""

    @property
    def best(self) -> dict[str, Any] | None:
        """The values of the best trial by their keys, and its `score`; None without one."""
        found: dict[str, Any] | None = self.summary["best"]
        return found

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial, as in `trials.csv`."""
        return self.frame("trials.csv")


def tune(
    experiment: str | Path | None = None,
    *,
    data: Data = None,
    target: str | None = None,
    trials: int | None = None,
    sampler: str | None = None,
    folds: int | None = None,
    outer_folds: int | None = None,
    halving: bool | None = None,
    rounds: int | None = None,
    out: Out = None,
    overwrite: bool = False,
    resume: bool = False,
    set: Overrides = None,
    seed: int | None = None,
    device: Device = "auto",
    engine: Engine = "auto",
    jobs: int | None = None,
    watch: Watcher = SILENT,
) -> TuneResult:
    """Search the experiment's [tune.space] for the values with the least error.

    trials       how many points to try (32);  sampler  random, grid, coarse-to-fine, sobol, or optuna
    folds        score by so many folds of the train and dev rows, in place of the dev part
    outer_folds  search inside of each of so many outer folds too, which tells how good a tuned model is
    halving      at a ninth and a third of the epochs only the best third goes on;  rounds  of coarse-to-fine (3)

    AnswerIsNoError, with the result in it, where no trial gave one.
    """
    began = time.perf_counter()
    import numpy as np

    from dlrun.backend import select_backend
    from dlrun.config import to_toml
    from dlrun.training.engine import settle_engine
    from dlrun.training.problem import Problem
    from dlrun.training.threads import computing_threads
    from dlrun.tuning.default_space import with_space
    from dlrun.tuning.journal import NAME, Journal
    from dlrun.tuning.study import Study
    from dlrun.workflows.opening import opening
    from dlrun.workflows.resuming import origin_of, refuse_code_of, told_how_to_go_on

    given = {"sampler": sampler, "trials": trials, "folds": folds, "outer_folds": outer_folds, "halving": halving}
    given |= {"rounds": rounds}
    named = Request.of(experiment, data=data, target=target, set=set, seed=seed)
    stored = stored_config(out, overwrite) if resume else None
    asked = stored is None or not named.bare
    request = named if asked or stored is None else Request(stored, trusted=False)
    with computing_threads(1), ExitStack() as kept:
        found = kept.enter_context(opening(request, watch))
        chosen, is_default = with_space(found.experiment)
        if stored is not None and not asked:
            refuse_code_of(chosen, stored.parent)
        if stored is not None and asked and to_toml(chosen) != stored.read_text(encoding="utf-8"):
            raise ConfigError(
                f"--resume goes on with the experiment in {stored}, and the one given differs from it; "
                "leave EXPERIMENT, --data, --set and --seed out"
            )
        problem = Problem(chosen, found.dataset)
        backend = select_backend(device, engine)
        everything = problem.replica(np.arange(len(found.dataset), dtype=np.int64))
        header = header_of(stored.parent) if stored is not None else None
        options, is_default = options_of(given, header, is_default)
        # What is wrong with the request is said here, before a folder is made.
        Study(problem, backend, options, folder=found.folder)
        steps_by = settle_engine(
            problem, backend, [everything], times=options.folds or 1
        )  # each trial may be compiled anew
        if is_default and stored is None:
            _tell_space(chosen, watch)
        folder = kept.enter_context(claimed(out, name=chosen.name, command="tune", overwrite=overwrite, resume=resume))
        own, journal = chosen, None
        told: list[Trial] = []
        if not isinstance(folder, Unkept):
            kept.enter_context(told_how_to_go_on(folder, watch, ["tune", *named.words_beside_resume(chosen)]))
            journal = kept.enter_context(Journal(folder.file(NAME), resume=resume))
            own = found.kept_in(folder, chosen)
            told = begin(
                folder,
                journal,
                options,
                origin=origin_of(problem, backend, engine=steps_by.name),
                is_default=is_default,
                config=to_toml(own),
                note=watch.note,
            )
            # Not before the search is known as the one to go on with.
            folder.file("summary.json").unlink(missing_ok=True)
        study = Study(problem, backend, options, folder=found.folder, jobs=jobs, journal=journal, told=told)
        study.asked_engine = engine
        for note in study.searches[0].sampler.notes:
            watch.note(f"note: {note}")
        _search(study, watch)
        return _result(study, own, folder, began=began, is_default=is_default, resumed=len(told), engine=steps_by)


def _tell_space(experiment: Experiment, watch: Watcher) -> None:
    from dlrun.config.keys import value_text

    lines = [f'  "{key}" = {value_text(range_)}' for key, range_ in experiment.tune.space.items()]
    watch.note("\n".join(["The experiment has no tune.space; this one is searched:", *lines]))


def _search(study: Study, watch: Watcher) -> None:
    """Run the search; say how much of it is kept where it is broken off."""
    try:
        with watch.progress(f"{study.experiment.name}, {study.options.sampler}", study.total) as advance:
            advance(study.known, note="")
            for event in study:
                if event.share or event.trial is not None:
                    advance(event.share, note=_note(study))
    except BaseException:
        if study.known:
            watch.note(f"{study.known} of {study.total} trials are kept")
        raise


def _note(study: Study) -> str:
    best = study.best
    return "" if best is None or best.score is None else f"best {best.score:.4f} (trial {best.number})"


def _result(
    study: Study,
    own: Experiment,
    folder: RunFolder | Unkept,
    *,
    began: float,
    is_default: bool,
    resumed: int,
    engine: Choice,
) -> TuneResult:
    """All files but the journal, and the result. The search without a single trial that gave one ends in the error.

    `own` is the experiment as its run keeps it.
    """
    from dlrun.config import to_toml, with_values
    from dlrun.records import counted
    from dlrun.reporting.tune_report import trial_columns, trial_rows, tune_tables
    from dlrun.reporting.tune_summary import best_heading, outer_rows, round_rows, summary_of
    from dlrun.runs.csv_files import CsvFile
    from dlrun.runs.files import replacing
    from dlrun.tuning.final import test_figures

    keys = study.space.keys
    tables = {"trials.csv": (trial_columns(keys), list(trial_rows(keys, study.trials.values())))}
    summary = summary_of(study, test=test_figures(study), seconds=0.0, is_default=is_default, resumed=resumed)
    summary |= engine.document()
    if summary["rounds"]:
        columns, rows = round_rows(summary["rounds"])
        tables["rounds.csv"] = (columns, list(rows))
    if study.winners:
        columns, rows = outer_rows(study)
        tables["outer.csv"] = (columns, list(rows))
    if not isinstance(folder, Unkept):
        for name, (columns, rows) in tables.items():
            with replacing(folder.file(name), follow=False) as path, CsvFile(path, columns) as file:
                file.write_rows(rows)
    best = study.best
    if best is not None:
        tuned = with_values(own, best.values)
        folder.write_text("best.toml", f"{best_heading(summary)}\n{to_toml(tuned)}")
    summary["seconds"] = round(time.perf_counter() - began, 3)
    summary, where = folder.write_summary(summary), folder.path
    files: Files = {name: (columns, rows.copy) for name, (columns, rows) in tables.items()}
    shown = (lambda: tune_tables(summary, where)) if best is not None else tuple
    result = TuneResult(summary=summary, folder=where, files=files, shown=shown)
    if best is None:
        reasons = [trial.reason for trial in study.trials.values() if trial.reason]
        place = "" if where is None else f"; {where}/trials.csv has the others"
        raise AnswerIsNoError(
            f"none of {counted(summary['trials'], 'trial')} gave a result; "
            f"the first: {reasons[0] if reasons else 'no reason'}{place}. "
            f"A space of smaller learning rates may help",
            result=result,
        )
    return result
