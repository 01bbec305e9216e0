"""A gradient check as files and tables."""

from __future__ import annotations

from typing import Any

from dlrun.diagnosis.gradcheck import CLOSER, GradientCheck, ParameterCheck
from dlrun.diagnosis.sweep import EpsilonSweep, SweepLine
from dlrun.reporting.tables import Column, Table
from dlrun.runs.folder import RunFolder
from dlrun.runs.unkept import Unkept

CHECK_COLUMNS = (
    "parameter",
    "components",
    "relative_difference",
    "max_absolute_difference",
    "worst_component",
    "verdict",
    "analytic",
    "numerical",
    "norm",
    "kinks",
    "closer_look",
    "size",
)
SWEEP_COLUMNS = ("epsilon", "one_sided", "two_sided", "components", "kinks")


def write_check(folder: RunFolder | Unkept, check: GradientCheck) -> None:
    """`gradcheck.csv`: a row per parameter."""
    with folder.csv("gradcheck.csv", CHECK_COLUMNS) as file:
        file.write_rows(
            (
                each.name,
                each.components,
                each.relative_difference,
                each.max_absolute_difference,
                worst_component(each),
                each.verdict,
                each.analytic,
                each.numerical,
                each.norm,
                each.kinks,
                each.closer_look,
                each.size,
            )
            for each in check.parameters
        )


def write_sweep(folder: RunFolder | Unkept, sweep: EpsilonSweep) -> None:
    """`epsilon_sweep.csv`: a row per ε."""
    with folder.csv("epsilon_sweep.csv", SWEEP_COLUMNS) as file:
        file.write_rows(
            (epsilon, one, two, sweep.components, kinks)
            for epsilon, one, two, kinks in zip(
                sweep.epsilons, sweep.one_sided.errors, sweep.two_sided.errors, sweep.kinks, strict=True
            )
        )


def worst_component(each: ParameterCheck) -> str | None:
    """The place as it is written in equations and in NumPy: W1[3,17], b1[2]."""
    if each.worst is None:
        return None
    row, column = each.worst
    return f"{each.name}[{row},{column}]" if each.name.startswith("W") else f"{each.name}[{column}]"


def check_json(check: GradientCheck) -> dict[str, Any]:
    """What `summary.json` says of the check."""
    return {
        "passed": check.passed,
        "verdict": check.verdict,
        "relative_difference": check.relative_difference,
        "epsilon": check.epsilon,
        "sides": 1 if check.one_sided else 2,
        "components": check.components,
        "of_components": check.size,
        "kinks": sum(each.kinks for each in check.parameters),
        "cost": check.cost,
        "rounding_error": check.rounding,
        "by_parameter": {
            each.name: {
                "verdict": each.verdict,
                "relative_difference": each.relative_difference,
                "closer_look": each.closer_look,
                "max_absolute_difference": each.max_absolute_difference,
                "worst_component": worst_component(each),
                "analytic": each.analytic,
                "numerical": each.numerical,
                "components": each.components,
                "kinks": each.kinks,
            }
            for each in check.parameters
        },
    }


def check_table(check: GradientCheck, *, title: str) -> Table:
    """One row per parameter; below it what the verdicts mean where they are not plain."""
    kinks = any(each.kinks for each in check.parameters)
    closer = any(each.closer_look is not None for each in check.parameters)
    columns: list[Column | str] = ["parameter", Column("components", "right")]
    columns += [Column("at kinks", "right")] if kinks else []
    columns += [Column("relative difference", "right")]
    columns += [Column(f"at ε = {CLOSER:.0e}", "right")] if closer else []
    columns += ["worst component", Column("back-propagation", "right"), Column("numerical", "right"), "verdict"]
    table = Table(title=title, columns=columns)
    for each in check.parameters:
        cells: list[Any] = [each.name, each.components]
        cells += [each.kinks] if kinks else []
        cells += [f"{each.relative_difference:.2e}" if each.components else None]
        cells += [None if each.closer_look is None else f"{each.closer_look:.2e}"] if closer else []
        values = (each.analytic, each.numerical) if each.worst else (None, None)
        table.add(*cells, worst_component(each), *values, each.verdict)
    table.footnotes += _explained(check)
    return table


def _explained(check: GradientCheck) -> list[str]:
    found = {each.verdict for each in check.parameters}
    sides = "one-sided" if check.one_sided else "two-sided"
    whole = "" if check.components == check.size else f" in {check.components} of {check.size} components"
    overall = f"Overall: {check.verdict}, relative difference {check.relative_difference:.2e}{whole}"
    notes = [f"{overall} ({sides}, ε = {check.epsilon:g})."]
    if any(each.kinks for each in check.parameters):
        notes.append("At kinks the cost has no derivative within ±ε: those components are not compared.")
    if any(each.closer_look is not None for each in check.parameters):
        notes.append(f"What was not great was taken again with ε = {CLOSER:.0e} and half of it, and extrapolated.")
    if "rounding" in found:
        notes.append("rounding: the gradient is so small that the rounding of the cost hides it; nothing can be told.")
    if "kinks" in found:
        notes.append("kinks: every component that was looked at lies at a kink; nothing can be told.")
    return notes


def sweep_table(sweep: EpsilonSweep) -> Table:
    """The errors by ε, the slopes and the best ε."""
    table = Table(
        title="Relative difference against ε",
        columns=[Column(name, "right") for name in ("ε", "one-sided", "two-sided", "at kinks")],
    )
    for epsilon, one, two, kinks in zip(
        sweep.epsilons, sweep.one_sided.errors, sweep.two_sided.errors, sweep.kinks, strict=True
    ):
        table.add(f"{epsilon:.1e}", f"{one:.2e}", f"{two:.2e}", kinks)
    table.footnotes += [
        _line_sentence("One-sided", sweep.one_sided, "linear", 1),
        _line_sentence("Two-sided", sweep.two_sided, "quadratic", 2),
        f"{sweep.components} components; below the best ε, rounding grows as 1/ε.",
    ]
    return table


def _line_sentence(name: str, line: SweepLine, exact: str, order: int) -> str:
    best = f"best ε = {line.best_epsilon:.1e} (error {line.best_error:.1e})"
    if line.slope is None:
        return (
            f"{name}: {best}; no slope: the cost is (nearly) {exact} in each component, or kinks leave too few points."
        )
    return f"{name}: {best}; the error falls with slope {line.slope:.2f} (theory: {order})."


def sweep_json(sweep: EpsilonSweep) -> dict[str, Any]:
    """What `summary.json` says of the sweep."""
    return {
        name: {"best_epsilon": line.best_epsilon, "best_error": line.best_error, "slope": line.slope}
        for name, line in (("one_sided", sweep.one_sided), ("two_sided", sweep.two_sided))
    }
