"""`dlrun evaluate`: a trained model's figures, on the parts of its own data or on another table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.options import (
    DebugOption,
    Device,
    DeviceOption,
    JsonOption,
    NoVerifyOption,
    QuietOption,
    RunArgument,
    RunCodeOption,
)
from dlrun.errors import RunError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dlrun.backend import Backend
    from dlrun.data.dataset import Dataset
    from dlrun.records import Figures
    from dlrun.reporting.class_report import ClassReport
    from dlrun.reporting.output import Output
    from dlrun.reporting.tables import Table
    from dlrun.runs.stored import StoredRun
    from dlrun.training.model import TrainedModel

    FloatArray = npt.NDArray[np.float64]


def command(
    run: RunArgument,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Another table with the same columns; left out, the run's own train, dev and test parts.",
            show_default=False,
        ),
    ] = None,
    run_code: RunCodeOption = False,
    no_verify: NoVerifyOption = False,
    device: DeviceOption = Device.AUTO,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure the model of a run again: cost and error beside the baseline, and how it does on each class.

    On another table the cost is the mean of -ln p of the true class, or the mean squared error in the target's
    units, and the baseline is the majority (or mean) of the rows that the model was trained on.
    """
    from dlrun.backend import select_backend
    from dlrun.reporting.output import Output
    from dlrun.runs.stored import open_run
    from dlrun.training.threads import computing_threads

    output = Output(quiet=quiet, json=json)
    stored = open_run(run, run_code=run_code, check=not no_verify)
    backend = select_backend(device.value)
    with computing_threads(int(stored.summary.get("threads") or 1)), backend.quiet():
        if data is None:
            _own_parts(stored, backend, output)
        else:
            _other_table(stored, data, backend, output)


# -- the run's own data ----------------------------------------------------------------------------


def _own_parts(stored: StoredRun, backend: Backend, output: Output) -> None:
    from dlrun.reporting.train_report import PARTS
    from dlrun.runs.reopening import reopened

    run, changed = reopened(stored, backend)
    dataset, model = run.problem.dataset, stored.model
    parts = {part: rows for part in ("train", "dev", "test") if len(rows := getattr(run.split, part))}
    answers = {part: _answers(model, dataset, rows, backend) for part, rows in parts.items()}
    if changed:
        output.note(f"warning: {changed}")
        figures = {part: _figures(answers[part], dataset.target[rows], dataset.task) for part, rows in parts.items()}
    else:
        for _ in run:  # no epoch is trained; the run measures what it started from
            pass
        assert run.outcome is not None
        figures = dict(run.outcome.figures)
        _compare(figures, stored.summary, output)
    reports = {part: _class_report(model, answers[part], dataset.target[rows]) for part, rows in parts.items()}
    last = next(part for part in PARTS if part in parts)
    baseline = _baseline(stored, {part: dataset.target[rows] for part, rows in parts.items()}, dataset.task)
    facts = {"data": run.problem.experiment.data.source, "data_hash": dataset.hash, "data_changed": bool(changed)}
    _show(stored, facts, figures, baseline, reports, last, [changed] if changed else [], output)


def _answers(model: TrainedModel, dataset: Dataset, rows: npt.NDArray[np.int64], backend: Backend) -> FloatArray:
    """The model's answers on some rows, (m, C); a quarter of a million at a time, for rows that are in a file."""
    import numpy as np

    scaling, most = model.preprocessing.scaling, 1 << 18
    parts = [rows[start : start + most] for start in range(0, len(rows), most)]
    return np.concatenate([model.answers(scaling.apply(dataset.features[part]), backend) for part in parts])


def _compare(figures: dict[str, Figures], summary: dict[str, Any], output: Output) -> None:
    """Say so if the figures are not those of the summary: another device, or another model in the folder."""
    for part, each in figures.items():
        before = summary.get("figures", {}).get(part, {}).get("error")
        if before is not None and abs(each.error - before) > 1e-5 * max(abs(before), 1e-3):
            output.note(
                f"warning: the error on the {part} part is {each.error:.6g}, and the summary says {before:.6g}; "
                f"trained on another device, or the run's files were changed"
            )


# -- another table ---------------------------------------------------------------------------------


def _other_table(stored: StoredRun, data: str, backend: Backend, output: Output) -> None:
    from dlrun.workflows.answering import answers_for, read_like_training

    model = stored.model
    table = read_like_training(model, data)
    answers = answers_for(model, table, backend)
    target = model.preprocessing.target(table)
    task = model.preprocessing.task
    figures = {"table": _figures(answers, target, task)}
    baseline = _baseline(stored, {"table": target}, task)
    facts = {"data": data}
    reports = {"table": _class_report(model, answers, target)}
    _show(stored, facts, figures, baseline, reports, "table", [], output)


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


def _show(
    stored: StoredRun,
    facts: dict[str, Any],
    figures: dict[str, Figures],
    baseline: dict[str, Any],
    reports: dict[str, ClassReport | None],
    last: str,
    notes: list[str],
    output: Output,
) -> None:
    """The figures of all parts; classes of all parts in JSON, and of the last one for a person."""
    from dlrun.reporting.train_report import figures_json, figures_table, verdict

    task = stored.model.preprocessing.task
    plain = figures_json(figures)
    classes = {part: report.to_json() for part, report in reports.items() if report is not None}
    table = figures_table(str(stored.folder), task, plain, baseline)
    table.footnotes += [*verdict(stored.model.kind, task, plain, baseline), *notes]
    tables: list[Table] = [table]
    report = reports[last]
    if report is not None:
        tables += report.tables(f"{last} part" if "data_changed" in facts else str(facts["data"]))
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
    output.result(result, *tables)
