"""An optimizer on a cost that is written as an expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlrun.errors import AnswerIsNoError
from dlrun.workflows.request import Overrides, texts_of
from dlrun.workflows.results import Result

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.optim.path import PathRecord
    from dlrun.reporting.tables import Table

PATH = "path.csv"


@dataclass(frozen=True, eq=False, kw_only=True)
class MinimizeResult(Result):
    """Where an optimizer got, and on which way."""

    @property
    def document(self) -> dict[str, Any]:
        """What the command prints with --json."""
        return dict(self.summary)

    @property
    def values(self) -> dict[str, float]:
        """The variables after the last step."""
        return dict(self.summary["values"])

    @property
    def path(self) -> pd.DataFrame:
        """Cost, learning rate, values and gradient after each step. KeyError where it was written to a file."""
        return self.frame(PATH)


def minimize(
    expression: str,
    *,
    learning_rate: float = 0.01,
    steps: int = 1000,
    optimizer: str = "gradient_descent",
    start: Mapping[str, float] | None = None,
    set: Overrides = None,
    dtype: Literal["float32", "float64"] = "float64",
    out: str | Path | None = None,
) -> MinimizeResult:
    """Minimize the expression, such as "w**2 - 10*w + 25", over the variables in it.

    start  where variables start, else at 0;  set  other keys of [optimizer], a step being an epoch
    out    a CSV file for the path, written as it goes; without one every step stays in memory

    AnswerIsNoError, with the result in it, where the cost is no longer finite.
    """
    from dlrun.optim.descent import optimizer_settings
    from dlrun.optim.path import follow, read_cost
    from dlrun.runs.files import refuse_other_kind

    where = None if out is None else Path(out)
    if where is not None:
        refuse_other_kind(where, b"step,learning_rate,cost,", what="path of a minimization")
    cost, variables = read_cost(expression, start=dict(start or {}), dtype=dtype)
    settings = optimizer_settings({"name": optimizer, "learning_rate": learning_rate}, texts_of(set))
    names = list(variables)
    shown: list[PathRecord] = []
    kept: list[PathRecord] = []
    failure: AnswerIsNoError | None = None
    try:
        for record in written(follow(cost, variables, settings, steps=steps), names, where):
            if shown and not is_shown(shown[-1].step):
                shown.pop()
            shown.append(record)
            if where is None:
                kept.append(record)
    except AnswerIsNoError as error:
        failure = error
    result = MinimizeResult(
        summary=summary(expression, optimizer=settings.name, shown=shown, out=where, failure=failure),
        files={} if where is not None else {PATH: (columns_of(names), lambda: map(cells_of, kept))},
        shown=lambda: [table(expression, shown, names)],
    )
    if failure is not None:
        raise AnswerIsNoError(str(failure), result=result)
    return result


def is_shown(step: int) -> bool:
    """Whether the table holds the step besides the last one: 0 to 5, 10, 20, 50, 100, …"""
    return step <= 5 or str(step).rstrip("0") in ("1", "2", "5")


def written(records: Iterator[PathRecord], names: Sequence[str], out: Path | None) -> Iterator[PathRecord]:
    """The records, each written to the file on its way."""
    if out is None:
        yield from records
        return
    from dlrun.errors import ConfigError
    from dlrun.runs.csv_files import CsvFile

    columns = columns_of(names)
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise ConfigError(f"--out {out}: two columns would be called {twice[0]!r}; give that variable another name")
    with CsvFile(out, columns) as file:
        for record in records:
            file.write(*cells_of(record))
            yield record


def columns_of(names: Sequence[str]) -> list[str]:
    """The columns of `path.csv`."""
    return ["step", "learning_rate", "cost", *names, *(f"gradient_{name}" for name in names)]


def cells_of(record: PathRecord) -> tuple[Any, ...]:
    """A row of `path.csv`."""
    values = (*record.values.values(), *record.gradient.values())
    return (record.step, record.learning_rate, record.cost, *values)


def summary(
    expression: str,
    *,
    optimizer: str,
    shown: Sequence[PathRecord],
    out: Path | None,
    failure: Exception | None,
) -> Mapping[str, Any]:
    """The result as one JSON object."""
    last = shown[-1]
    return {
        "command": "minimize",
        "expression": expression,
        "optimizer": optimizer,
        "status": "diverged" if failure else "done",
        "steps": last.step,
        "cost": last.cost,
        "values": last.values,
        "gradient": last.gradient,
        "path": [{"step": r.step, "learning_rate": r.learning_rate, "cost": r.cost, "values": r.values} for r in shown],
        "out": out,
    }


def table(expression: str, shown: Sequence[PathRecord], names: Sequence[str]) -> Table:
    """The start, some of the steps and the last one."""
    from dlrun.reporting.tables import Column, Table

    numbers = ["cost", *names, *(f"gradient {name}" for name in names), "learning rate"]
    result = Table(title=f"minimize {expression}", columns=["step", *(Column(name, "right") for name in numbers)])
    for r in shown:
        cells = (r.cost, *r.values.values(), *r.gradient.values(), r.learning_rate)
        result.add(r.step, *(None if cell is None else f"{cell:.9g}" for cell in cells))
    return result
