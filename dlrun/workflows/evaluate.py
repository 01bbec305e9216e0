"""A trained model's figures, on the parts of its own data or on another table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import RunError
from dlrun.workflows.results import Result
from dlrun.workflows.watcher import SILENT, Watcher

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from dlrun.backend import Backend, Device
    from dlrun.data.dataset import Dataset
    from dlrun.records import Figures
    from dlrun.reporting.class_report import ClassReport
    from dlrun.reporting.tables import Table
    from dlrun.runs.stored import StoredRun
    from dlrun.training.model import TrainedModel

    FloatArray = npt.NDArray[np.float64]


class EvaluateResult(Result):
    """How a model does."""

    @property
    def document(self) -> dict[str, Any]:
        """What the command prints with --json: it leaves no folder."""
        return dict(self.summary)

    @property
    def figures(self) -> dict[str, Any]:
        """`rows`, `cost` and `error` of each part, or of the `table`."""
        return dict(self.summary["figures"])


def evaluate(
    run: str | Path,
    *,
    data: str | Path | pd.DataFrame | None = None,
    run_code: bool = False,
    verify: bool = True,
    device: Device = "auto",
    watch: Watcher = SILENT,
) -> EvaluateResult:
    """Measure the model of a run again: cost and error beside the baseline, and how it does on each class.

    On another table the cost is the mean of -ln p of the true class, or the mean squared error in the target's
    units, and the baseline is the majority (or mean) of the rows that the model was trained on.

    run       the folder of a run of `dlrun train`;  data  a table or a frame; left out, the run's own parts
    run_code  load the Python functions that the run's config.toml names;  verify  refuse files that have changed
    """
    from dlrun.backend import select_backend
    from dlrun.runs.stored import open_run
    from dlrun.training.threads import computing_threads

    stored = open_run(Path(run), run_code=run_code, check=verify)
    backend = select_backend(device)
    with computing_threads(int(stored.summary.get("threads") or 1)), backend.quiet():
        return _own_parts(stored, backend, watch) if data is None else _other_table(stored, data, backend, watch)


# -- the run's own data ----------------------------------------------------------------------------


def _own_parts(stored: StoredRun, backend: Backend, watch: Watcher) -> EvaluateResult:
    from dlrun.reporting.train_report import PARTS
    from dlrun.runs.reopening import reopened

    run, changed = reopened(stored, backend)
    dataset, model = run.problem.dataset, stored.model
    parts = {part: rows for part in ("train", "dev", "test") if len(rows := getattr(run.split, part))}
    answers = {part: _answers(model, dataset, rows, backend) for part, rows in parts.items()}
    if changed:
        watch.note(f"warning: {changed}")
        figures = {part: _figures(answers[part], dataset.target[rows], dataset.task) for part, rows in parts.items()}
    else:
        for _ in run:  # no epoch is trained; the run measures what it started from
            pass
        assert run.outcome is not None
        figures = dict(run.outcome.figures)
        _compare(figures, stored.summary, watch)
    reports = {part: _class_report(model, answers[part], dataset.target[rows]) for part, rows in parts.items()}
    last = next(part for part in PARTS if part in parts)
    baseline = _baseline(stored, {part: dataset.target[rows] for part, rows in parts.items()}, dataset.task)
    facts = {"data": run.problem.experiment.data.source, "data_hash": dataset.hash, "data_changed": bool(changed)}
    return _result(stored, facts, figures, baseline, reports, last, [changed] if changed else [])


def _answers(model: TrainedModel, dataset: Dataset, rows: npt.NDArray[np.int64], backend: Backend) -> FloatArray:
    """The model's answers on some rows, (m, C); a quarter of a million at a time, for rows that are in a file."""
    import numpy as np

    scaling, most = model.preprocessing.scaling, 1 << 18
    parts = [rows[start : start + most] for start in range(0, len(rows), most)]
    return np.concatenate([model.answers(scaling.apply(dataset.features[part]), backend) for part in parts])


def _compare(figures: dict[str, Figures], summary: dict[str, Any], watch: Watcher) -> None:
    """Say so if the figures are not those of the summary: another device, or another model in the folder."""
    for part, each in figures.items():
        before = summary.get("figures", {}).get(part, {}).get("error")
        if before is not None and abs(each.error - before) > 1e-5 * max(abs(before), 1e-3):
            watch.note(
                f"warning: the error on the {part} part is {each.error:.6g}, and the summary says {before:.6g}; "
                f"trained on another device, or the run's files were changed"
            )


# -- another table ---------------------------------------------------------------------------------


def _other_table(
    stored: StoredRun, data: str | Path | pd.DataFrame, backend: Backend, watch: Watcher
) -> EvaluateResult:
    from dlrun.workflows.answering import answers_for
    from dlrun.workflows.model import table_of
    from dlrun.workflows.new_rows import rows_to_answer

    model = stored.model
    found = rows_to_answer(model.preprocessing, table_of(model, data))
    found.remark(watch)
    table = found.table
    answers = answers_for(model, table, backend)
    target = model.preprocessing.target(table)
    task = model.preprocessing.task
    figures = {"table": _figures(answers, target, task)}
    baseline = _baseline(stored, {"table": target}, task)
    facts = {"data": str(data) if isinstance(data, str | Path) else table.name}
    reports = {"table": _class_report(model, answers, target)}
    return _result(stored, facts, figures, baseline, reports, "table", [])


# -- both ------------------------------------------------------------------------------------------


def _figures(answers: FloatArray, target: npt.NDArray[Any], task: str) -> Figures:
    from dlrun.training.run import answer_figures

    return answer_figures(answers, target, task)


def _baseline(stored: StoredRun, targets: dict[str, npt.NDArray[Any]], task: str) -> dict[str, Any]:
    """The majority or mean of the rows that the model was trained on, which the summary keeps, on these targets."""
    import numpy as np

    from dlrun.reporting.train_report import BASELINES, figures_json

    try:
        answer = np.asarray(stored.summary["baseline"]["answer"], np.float64)
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{stored.folder}: summary.json is damaged: it lacks the answer of the baseline") from None
    if answer.shape != (len(stored.model.preprocessing.classes) or 1,):
        raise RunError(f"{stored.folder}: summary.json is damaged: its baseline is of other classes than the model")
    figures = {
        part: _figures(np.broadcast_to(answer, (len(target), len(answer))), target, task)
        for part, target in targets.items()
    }
    return {"kind": BASELINES[task], "figures": figures_json(figures)}


def _class_report(model: TrainedModel, answers: FloatArray, target: npt.NDArray[Any]) -> ClassReport | None:
    from dlrun.reporting.class_report import ClassReport

    classes = model.preprocessing.classes
    return ClassReport.of(classes, target, answers.argmax(axis=1)) if classes else None


def _result(
    stored: StoredRun,
    facts: dict[str, Any],
    figures: dict[str, Figures],
    baseline: dict[str, Any],
    reports: dict[str, ClassReport | None],
    last: str,
    notes: list[str],
) -> EvaluateResult:
    """The figures of all parts; classes of all parts in JSON, and of the last one for a person."""
    from dlrun.reporting.train_report import figures_json, figures_table, verdict

    task = stored.model.preprocessing.task
    plain = figures_json(figures)
    classes = {part: report.to_json() for part, report in reports.items() if report is not None}
    result = {
        "command": "evaluate",
        "run": str(stored.folder),
        **facts,
        "task": task,
        "classes": list(stored.model.preprocessing.classes) or None,
        "figures": plain,
        "baseline": baseline,
        "by_class": classes or None,
    }

    def shown() -> list[Table | str]:
        table = figures_table(str(stored.folder), task, plain, baseline)
        table.footnotes += [*verdict(stored.model.kind, task, plain, baseline), *notes]
        report = reports[last]
        title = f"{last} part" if "data_changed" in facts else str(facts["data"])
        return [table, *(report.tables(title) if report is not None else ())]

    return EvaluateResult(summary=result, shown=shown)
