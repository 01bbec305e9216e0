"""What a person, or a program, is told of a comparison of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dlrun.reporting.tables import Column, Table
from dlrun.reporting.train_report import ERROR_NAMES, figure, shown
from dlrun.resampling.comparison import Comparison


def comparison_json(each: Comparison) -> dict[str, Any]:
    """All that the comparison found, and its verdict."""
    return {
        "run_a": each.name_a,
        "run_b": each.name_b,
        "error_a": each.error_a,
        "error_b": each.error_b,
        "difference": asdict(each.difference),
        "p_adjusted": each.p_adjusted,
        "significant": each.significant,
        "identical": each.identical,
        "test_parts": each.folds,
        "verdict": each.verdict,
        "warnings": list(each.warnings),
    }


def _with_article(test: str) -> str:
    return test if "'s " in test else f"the {test}"


def comparison_table(comparisons: Sequence[Comparison], *, tested: str) -> Table:
    """A row per pair: both errors, their difference with its interval, and the test."""
    first = comparisons[0]
    name, several = ERROR_NAMES[first.task], len(comparisons) > 1
    columns = ["A", "B", f"{name} of A", f"{name} of B", "A − B", f"{100 * first.confidence:g} % interval", "p"]
    columns += ["p after Holm"] if several else []
    columns += ["effect size"]
    table = Table(
        title=f"Comparison by {_with_article(first.difference.test)}, {tested}",
        columns=[*columns[:2], *(Column(each, "right") for each in columns[2:])],
    )
    for each in comparisons:
        d = each.difference
        between = None if d.ci_low is None or d.ci_high is None else f"{figure(d.ci_low)} to {figure(d.ci_high)}"
        cells = [each.name_a, each.name_b, shown(each.error_a), shown(each.error_b), shown(d.value), between]
        cells += [shown(d.p_value)] + ([shown(each.p_adjusted)] if several else [])
        table.add(*cells, shown(d.effect_size))
    for each in comparisons:
        table.footnotes.append(each.verdict)
        table.footnotes += [f"Warning: {warning}." for warning in each.warnings]
    return table
