"""The diagnosis of one finished run, or of the layers of an experiment at its first weights."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import ConfigError, DataError
from dlrun.workflows.findings import Asked, DiagnoseResult, Findings
from dlrun.workflows.request import Out, Overrides, Request, claimed
from dlrun.workflows.results import unkept_files
from dlrun.workflows.watcher import SILENT, Watcher

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from dlrun.backend import Backend, Device
    from dlrun.reporting.tables import Table

    FloatArray = npt.NDArray[np.float64]


def diagnose(
    run: str | Path | None = None,
    *,
    initialization: str | Path | None = None,
    human_error: float | None = None,
    tolerance: float | None = None,
    data: str | Path | pd.DataFrame | None = None,
    two_sample: bool = False,
    learning_curve: bool = False,
    repeats: int = 5,
    out: Out = None,
    overwrite: bool = False,
    set: Overrides = None,
    seed: int | None = None,
    run_code: bool = False,
    verify: bool = True,
    device: Device = "auto",
    jobs: int | None = None,
    watch: Watcher = SILENT,
) -> DiagnoseResult:
    """Say what a trained model suffers from (bias, variance, mismatch, its learning rate) and what to try next.

    run             the folder of a run of `dlrun train`; or `initialization`, an experiment whose layers are looked at
    human_error     what the error is compared with (0);  tolerance  what counts as a gap
    data            rows of another origin to compare with;  two_sample  whether the parts differ in distribution
    learning_curve  also train on growing parts of the training rows, `repeats` models each
    """
    from dlrun.backend import select_backend
    from dlrun.training.threads import computing_threads

    if (run is None) == (initialization is None):
        raise ConfigError("diagnose: should be given either the folder of a run, or --initialization EXPERIMENT")
    with computing_threads(1):
        backend = select_backend(device)
        if initialization is not None:
            if data is not None or two_sample or learning_curve:
                raise ConfigError("--data, --two-sample and --learning-curve go with a RUN, not with --initialization")
            request = Request.of(initialization, set=set, seed=seed)
            return _initializations(request, out, overwrite, backend)
        if set or seed is not None:
            raise ConfigError("--set and --seed go with --initialization; a run has its own experiment in its folder")
        assert run is not None
        asked = Asked(
            run=Path(run),
            human_error=human_error,
            tolerance=tolerance,
            data=str(data) if isinstance(data, Path) else data,
            two_sample=two_sample,
            learning_curve=learning_curve,
            repeats=repeats,
            jobs=jobs,
        )
        return _of_run(asked, out, overwrite, run_code, verify, backend, watch)


def _of_run(
    asked: Asked, out: Out, overwrite: bool, run_code: bool, verify: bool, backend: Backend, watch: Watcher
) -> DiagnoseResult:
    began = time.perf_counter()
    from dlrun.runs.reopening import reopened
    from dlrun.runs.stored import open_run, train_summary
    from dlrun.workflows.model import table_of

    before = train_summary(asked.run, check=verify)
    if before.get("status") == "diverged":
        return _diverged(asked, before)
    stored = open_run(asked.run, run_code=run_code, check=False)  # which the summary was
    run, changed = reopened(stored, backend)
    if changed:
        watch.note(f"warning: {changed}")
    table = None if asked.data is None else table_of(stored.model, asked.data)
    if table is not None and not len(table):
        raise DataError(f"{asked.second}: the table has no rows; nothing can be measured")
    found = Findings(asked, stored, run, backend, table)
    found.measure(watch)
    name = str(before.get("name") or "experiment")
    with claimed(out, name=name, command="diagnose", overwrite=overwrite) as folder:
        return found.report(folder, began)


def _diverged(asked: Asked, before: dict[str, Any]) -> DiagnoseResult:
    """Such a run has a curve and nothing else."""
    from dlrun.diagnosis.curves import findings, read_curve
    from dlrun.reporting.diagnose_report import findings_text

    curve = read_curve(asked.run / "metrics.csv")
    found = findings(curve, status="diverged", reason=str(before.get("reason") or ""))
    result = {
        "command": "diagnose",
        "run": str(asked.run),
        "curve": [{"what": each.what, "sentence": each.sentence} for each in found],
    }
    return DiagnoseResult(summary=result, shown=lambda: [findings_text(found)])


def _initializations(request: Request, out: Out, overwrite: bool, backend: Backend) -> DiagnoseResult:
    began = time.perf_counter()
    from dlrun.config import to_toml
    from dlrun.diagnosis.layers import compared_initializations
    from dlrun.reporting.diagnose_report import initializations_table, layers_json, layers_table, write_layers
    from dlrun.reporting.train_report import kept_in
    from dlrun.runs.summary import common_summary
    from dlrun.training.problem import Problem
    from dlrun.training.run import TrainRun
    from dlrun.workflows.opening import opened

    found = opened(request, SILENT)
    chosen, dataset = found.experiment, found.dataset
    problem = Problem(chosen, dataset)
    split = TrainRun(problem, backend).split
    reports = compared_initializations(problem, backend, split.train)
    with claimed(out, name=chosen.name, command="diagnose", overwrite=overwrite) as folder:
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
        summary, where = folder.write_summary(summary), folder.path

        def shown() -> list[Table | str]:
            own = layers_table(reports[0], title=f"{chosen.name}: layers at the initial weights ({reports[0].name})")
            others = initializations_table(reports)
            others.footnotes += [*(each.sentence for each in reports[1:]), *kept_in(where)]
            return [own, others]

        return DiagnoseResult(summary=summary, folder=where, files=unkept_files(folder), shown=shown)
