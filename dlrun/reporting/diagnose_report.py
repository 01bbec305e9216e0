"""A diagnosis as tables and files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.diagnosis.bias_variance import Diagnosis
from dlrun.diagnosis.curves import Finding
from dlrun.diagnosis.gaps import Gap, Measured
from dlrun.diagnosis.layers import LayerReport
from dlrun.diagnosis.learning_curve import LearningCurve
from dlrun.diagnosis.recipe import Step
from dlrun.diagnosis.two_sample import TwoSample
from dlrun.records import four_digits
from dlrun.reporting.tables import Column, Table
from dlrun.runs.folder import RunFolder
from dlrun.runs.unkept import Unkept

LAYER_COLUMNS = (
    "initialization",
    "layer",
    "units",
    "mean",
    "spread",
    "dead",
    "saturated",
    "smallest_unit",
    "largest_unit",
    "signal",
    "gradient_norm",
)
CURVE_COLUMNS = ("rows", "repeat", "train_error", "dev_error", "status")


# -- bias and variance ---------------------------------------------------------------------------------


def errors_table(
    errors: Mapping[str, Measured], human: float, task: str, *, title: str, assumed: bool = False
) -> Table:
    """The errors in the order in which they are compared. `assumed`: nobody gave that of a human."""
    percent = task == "classification"
    table = Table(title=title, columns=["part", Column("rows", "right"), Column("error", "right")])
    table.add("human", None, _shown(human, percent=percent))
    for part, each in errors.items():
        table.add(part, each.rows, _shown(each.error, percent=percent))
    if assumed:
        table.footnotes.append(
            f"The human error is taken to be {human:g}; where nobody can do that well, give --human-error."
        )
    return table


def gaps_table(diagnosis: Diagnosis) -> Table:
    """Each gap with its interval, whether it is large, and whether the rows suffice to tell."""
    points = diagnosis.task == "classification"
    unit = "points" if points else "of the target's spread"
    table = Table(
        title="",
        columns=["gap", Column(unit, "right"), Column("95 % interval", "right"), "verdict"],
    )
    for each in diagnosis.gaps:
        low, high = (each.interval.low, each.interval.high) if each.interval else (None, None)
        interval = None if low is None or high is None else f"{_points(low, points)} … {_points(high, points)}"
        table.add(each.name, _points(each.value, points), interval, _gap_verdict(each))
    table.footnotes.append(_headline(diagnosis))
    limit = _points(diagnosis.gaps[0].tolerance, points) if diagnosis.gaps else ""
    table.footnotes.append(f"A gap is large above {limit} {unit if points else 'of it'} (--tolerance).")
    if diagnosis.unclear:
        table.footnotes.append(
            f"Too few rows to tell for sure: {', '.join(diagnosis.unclear)}; the interval reaches over the tolerance."
        )
    return table


def _headline(diagnosis: Diagnosis) -> str:
    """What the model suffers from, as surely as the rows can tell."""
    if not diagnosis.suffers_from:
        return f"Suffers from: {diagnosis.verdict}."
    unsure = [name for name in diagnosis.suffers_from if name in diagnosis.unclear]
    if len(unsure) == len(diagnosis.suffers_from):
        return f"May suffer from: {diagnosis.verdict}; the rows are too few to be sure."
    return f"Suffers from: {diagnosis.verdict}" + (f" ({', '.join(unsure)}: not sure)." if unsure else ".")


def _gap_verdict(each: Gap) -> str:
    word = "large" if each.large else "small"
    return f"{word}, but too few rows to tell" if each.certain is False else word


def _points(value: float, points: bool) -> str:
    return f"{100 * value:.1f}" if points else f"{value:.3f}"


def _shown(value: float, *, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else four_digits(value)


def steps_table(steps: Sequence[Step]) -> Table:
    """What to try next, in order."""
    table = Table(title="What to try next, in this order", columns=["against", "what", "how"])
    for each in steps:
        table.add(
            each.against, each.what, " ".join(f"--set {shlex.quote(setting)}" for setting in each.settings) or None
        )
    return table


def findings_text(found: Sequence[Finding]) -> str:
    """The sentences about the cost curve."""
    return "\n".join(["The cost curve:", *(f"  {each.sentence}" for each in found)])


def diagnosis_json(diagnosis: Diagnosis, errors: Mapping[str, Measured], human: float) -> dict[str, Any]:
    """What `summary.json` says of errors and gaps."""
    return {
        "human_error": human,
        "errors": {part: {"error": each.error, "rows": each.rows} for part, each in errors.items()},
        "gaps": {
            each.name: {
                "value": each.value,
                "ci_low": each.interval.low if each.interval else None,
                "ci_high": each.interval.high if each.interval else None,
                "large": each.large,
                "certain": each.certain,
            }
            for each in diagnosis.gaps
        },
        "suffers_from": list(diagnosis.suffers_from),
        "verdict": diagnosis.verdict,
    }


def steps_json(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """What `summary.json` says of the next steps."""
    return [{"against": each.against, "what": each.what, "set": list(each.settings)} for each in steps]


# -- learning curve ------------------------------------------------------------------------------------


def write_curve(folder: RunFolder | Unkept, curve: LearningCurve) -> None:
    """`learning_curve.csv`: a row per model."""
    with folder.csv("learning_curve.csv", CURVE_COLUMNS) as file:
        file.write_rows((p.rows, p.repeat, p.train_error, p.dev_error, p.status) for p in curve.points)


def curve_table(curve: LearningCurve, task: str) -> Table:
    """Means and deviations by size, and what more rows have brought."""
    percent = task == "classification"
    name = "error" if percent else "RMSE"
    table = Table(
        title="Error against the number of training rows",
        columns=[
            Column(heading, "right") for heading in ("rows", f"train {name}", "±", f"{curve.judged_on} {name}", "±")
        ],
    )
    for each in curve.sizes:
        figures = (each.train_error, each.train_deviation, each.dev_error, each.dev_deviation)
        table.add(each.rows, *(_shown(value, percent=percent) for value in figures))
    gain = curve.gain()
    if gain is not None:
        half, fall, interval = gain
        low, high = interval.low or 0.0, interval.high or 0.0
        said = (
            "more rows are likely to help"
            if low > 0
            else "whether more rows would help cannot be told from these models"
        )
        if high <= 0:
            said = "more rows of this kind are not likely to help"
        shown = [_points(value, percent) if percent else four_digits(value) for value in (fall, low, high)]
        last = curve.sizes[-1].rows
        table.footnotes.append(
            f"From {half} to {last} rows the {curve.judged_on} {name} fell by {shown[0]}"
            f"{' points' if percent else ''} ({shown[1]} … {shown[2]}): {said}."
        )
    return table


# -- two samples ---------------------------------------------------------------------------------------


def two_sample_text(found: TwoSample, first: str, second: str) -> str:
    """Whether the rows of the two tables can be told apart."""
    low, high = found.interval.low or 0.0, found.interval.high or 0.0
    area = f"area under the ROC curve {found.auc:.3f}, 99 % interval {low:.3f} … {high:.3f}"
    rows = f"{found.rows[0]} rows of {first} and {found.rows[1]} of {second}"
    if not found.differ:
        return f"Two samples: a classifier cannot tell {rows} apart ({area}; 0.5 is guessing)."
    most = ", ".join(f"{name} ({shift:+.2f})" for name, shift in found.features[:3])
    return (
        f"Two samples: {rows} differ: a classifier tells them apart ({area}; 0.5 is guessing).\n"
        f"  Means differ most, in standard deviations, in {most}."
    )


def two_sample_json(found: TwoSample) -> dict[str, Any]:
    """What `summary.json` says of the two-sample check."""
    return {
        "auc": found.auc,
        "ci_low": found.interval.low,
        "ci_high": found.interval.high,
        "differ": found.differ,
        "rows": list(found.rows),
        "features": dict(found.features[:10]),
    }


# -- layers --------------------------------------------------------------------------------------------


def write_layers(folder: RunFolder | Unkept, reports: Sequence[LayerReport]) -> None:
    """`layers.csv`: a row per network and layer."""
    with folder.csv("layers.csv", LAYER_COLUMNS) as file:
        file.write_rows(
            (
                report.name,
                each.layer,
                each.units,
                each.mean,
                each.spread,
                each.dead,
                each.saturated,
                each.smallest,
                each.largest,
                each.signal,
                each.gradient,
            )
            for report in reports
            for each in report.layers
        )


def layers_table(report: LayerReport, *, title: str) -> Table:
    """One network, a row per layer; the last row is that of the linear outputs."""
    names = ("units", "mean", "spread", "dead", "saturated", "smallest unit", "largest unit", "∂J/∂a", "‖dW‖")
    table = Table(title=title, columns=["layer", *(Column(name, "right") for name in names)])
    for each in report.layers:
        last = each is report.layers[-1]
        table.add(
            f"{each.layer} (outputs)" if last else str(each.layer),
            each.units,
            f"{each.mean:.3g}",
            f"{each.spread:.3g}",
            None if last else f"{100 * each.dead:.0f} %",
            None if last else f"{100 * each.saturated:.0f} %",
            f"{each.smallest:.3g}",
            f"{each.largest:.3g}",
            f"{each.signal:.3g}",
            f"{each.gradient:.3g}",
        )
    table.footnotes.append(report.sentence)
    return table


def initializations_table(reports: Sequence[LayerReport]) -> Table:
    """Initializations beside each other: spread and gradient norm at both ends."""
    table = Table(
        title="Initializations on the same rows",
        columns=[
            "initialization",
            *(
                Column(name, "right")
                for name in ("spread, first", "spread, last", "‖dW‖, first", "‖dW‖, last", "dead", "saturated")
            ),
            "verdict",
        ],
    )
    for report in reports:
        hidden = report.layers[:-1] or report.layers
        table.add(
            report.name,
            f"{hidden[0].spread:.3g}",
            f"{hidden[-1].spread:.3g}",
            f"{report.layers[0].gradient:.3g}",
            f"{report.layers[-1].gradient:.3g}",
            f"{100 * max(each.dead for each in hidden):.0f} %",
            f"{100 * max(each.saturated for each in hidden):.0f} %",
            report.verdict,
        )
    table.footnotes += ["dead, saturated: the share of units in the layer that has most of them."]
    return table


def layers_json(reports: Sequence[LayerReport]) -> list[dict[str, Any]]:
    """What `summary.json` says of layers."""
    return [
        {
            "name": report.name,
            "verdict": report.verdict,
            "sentence": report.sentence,
            "layers": [{**vars(each)} for each in report.layers],
        }
        for report in reports
    ]
