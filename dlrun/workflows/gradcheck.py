"""Whether the gradient of an experiment can be trusted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlrun.errors import AnswerIsNoError, ConfigError
from dlrun.workflows.request import Data, Out, Overrides, Request, claimed
from dlrun.workflows.results import Result, unkept_files
from dlrun.workflows.watcher import SILENT, Watcher

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.config.schema import Experiment
    from dlrun.diagnosis.batch import CheckedBatch
    from dlrun.diagnosis.gradcheck import GradientCheck
    from dlrun.diagnosis.sweep import EpsilonSweep
    from dlrun.reporting.tables import Table
    from dlrun.runs.folder import RunFolder
    from dlrun.runs.unkept import Unkept
    from dlrun.training.run import TrainRun

DROPOUT = ("off", "fixed")


class GradcheckResult(Result):
    """How far the gradient is from differences of the cost."""

    @property
    def verdict(self) -> str:
        """`great`, `look closer` or `worry`."""
        return str(self.summary["verdict"])

    @property
    def parameters(self) -> pd.DataFrame:
        """A row per parameter, as in `gradcheck.csv`."""
        return self.frame("gradcheck.csv")


def gradcheck(
    experiment: str | Path | None = None,
    *,
    data: Data = None,
    target: str | None = None,
    epsilon: float = 1e-7,
    one_sided: bool = False,
    after_epochs: int = 0,
    dropout: Literal["off", "fixed"] = "off",
    sample: int | None = None,
    rows: int | None = None,
    epsilon_sweep: bool = False,
    out: Out = None,
    overwrite: bool = False,
    set: Overrides = None,
    seed: int | None = None,
    jobs: int | None = None,
    watch: Watcher = SILENT,
) -> GradcheckResult:
    """Compare the gradient that training uses with differences of the cost, parameter by parameter, in float64.

    epsilon   how far a component is moved, ε;  one_sided  (J(θ+ε)−J(θ))/ε in place of (J(θ+ε)−J(θ−ε))/2ε
    dropout   switched off, or with its masks held fixed;  after_epochs  train so many first
    sample    compare so many random components;  rows  of the batch;  epsilon_sweep  also the error against ε

    A relative difference of about 1e-7 is great, of 1e-5 look closer, of 1e-3 worry. AnswerIsNoError, with the result
    in it, where a gradient is wrong.
    """
    began = time.perf_counter()
    from dlrun.backend import Backend
    from dlrun.diagnosis.batch import checked_batch
    from dlrun.diagnosis.differences import check_epsilon
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun
    from dlrun.training.threads import computing_threads, usable_cores
    from dlrun.workflows.opening import opened
    from dlrun.workflows.train import starting_model

    check_epsilon(epsilon)
    if dropout not in DROPOUT:
        raise ConfigError(f"dropout = {dropout!r}: should be one of {', '.join(DROPOUT)}")
    found = opened(Request.of(experiment, data=data, target=target, set=set, seed=seed), SILENT)
    chosen = found.experiment
    problem = Problem(chosen, found.dataset)
    with computing_threads(1):
        run = TrainRun(problem, Backend(), start=starting_model(problem, watch))
        batch = checked_batch(run, after_epochs=after_epochs, rows=rows, fixed_dropout=dropout == "fixed")
        with claimed(out, name=chosen.name, command="gradcheck", overwrite=overwrite) as folder:
            check, sweep = _check(
                batch,
                watch,
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
                "dropout": dropout,
                "seconds": time.perf_counter() - began,
            }
            return _report(run, check, sweep, facts, folder, found.kept_in(folder))


def _check(
    batch: CheckedBatch,
    watch: Watcher,
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
    with watch.progress(name, total) as advance:
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
    folder: RunFolder | Unkept,
    config: Experiment,
) -> GradcheckResult:
    """Files, tables and the answer."""
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
    from dlrun.reporting.train_report import kept_in
    from dlrun.runs.summary import common_summary

    experiment, data = run.problem.experiment, run.problem.dataset
    folder.write_text("config.toml", to_toml(config))
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
    summary, where = folder.write_summary(summary), folder.path

    def shown() -> list[Table | str]:
        when = f"after {counted(facts['after_epochs'], 'epoch')}" if facts["after_epochs"] else "at the initial weights"
        title = f"Gradient check of {experiment.name}, {when}, on {counted(facts['rows'], 'row')}"
        table = check_table(check, title=title + (", masks held fixed" if facts["dropout"] == "fixed" else ""))
        effort = f"{counted(check.size, 'parameter')}, {facts['seconds']:.2f} s."
        table.footnotes.append(" ".join([effort, *kept_in(where)]))
        return [table, *([sweep_table(sweep)] if sweep is not None else [])]

    result = GradcheckResult(summary=summary, folder=where, files=unkept_files(folder), shown=shown)
    if not check.passed:
        place = "" if where is None else f". All parameters are in {where}"
        raise AnswerIsNoError(f"the gradient check fails: {failure(check)}{place}", result=result)
    return result
