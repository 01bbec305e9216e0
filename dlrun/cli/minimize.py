"""`dlrun minimize`: an optimizer on a cost that is written on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.options import DebugOption, JsonOption, QuietOption

if TYPE_CHECKING:
    from dlrun.optim.path import PathRecord
    from dlrun.reporting.tables import Table


class DType(StrEnum):
    """The precision to compute in."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"


def command(
    expression: Annotated[
        str,
        typer.Argument(
            metavar="EXPRESSION",
            help="The cost, such as 'w**2 - 10*w + 25': numbers, names, + - * / % **, and functions of the graph "
            "(exp, log, sqrt, sigmoid, …). After --, it may begin with a minus.",
        ),
    ],
    learning_rate: Annotated[float, typer.Option("--learning-rate", metavar="F", help="α.")] = 0.01,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=0, help="How many updates to make.")] = 1000,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            help="gradient_descent, momentum, nesterov, rmsprop, adam or adamw.",
        ),
    ] = "gradient_descent",
    start: Annotated[
        list[str] | None,
        typer.Option(
            "--start",
            metavar="NAME=VALUE",
            help="Where a variable starts; left out, at 0. May be repeated.",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another key of [optimizer], such as optimizer.beta1=0.8 or optimizer.decay.name=inverse_time "
            "(a step is an epoch here); may be repeated.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[DType, typer.Option("--dtype", help="The precision to compute in.")] = DType.FLOAT64,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.csv",
            help="Write the path: cost, learning rate, values and gradient after each step.",
            show_default=False,
        ),
    ] = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Minimize EXPRESSION over the variables in it, and show the path."""
    from dlrun.errors import AnswerIsNoError
    from dlrun.optim.descent import optimizer_settings
    from dlrun.optim.path import follow, read_cost
    from dlrun.reporting.output import Output
    from dlrun.runs.files import refuse_other_kind

    if out is not None:
        refuse_other_kind(out, b"step,learning_rate,cost,", what="path of a minimization")
    cost, variables = read_cost(expression, start=start_values(start or []), dtype=dtype.value)
    settings = optimizer_settings({"name": optimizer, "learning_rate": learning_rate}, set_ or [])
    records = follow(cost, variables, settings, steps=steps)
    shown: list[PathRecord] = []
    failure: AnswerIsNoError | None = None
    try:
        for record in written(records, list(variables), out):
            if shown and not is_shown(shown[-1].step):
                shown.pop()
            shown.append(record)
    except AnswerIsNoError as error:
        failure = error
    result = summary(expression, optimizer=settings.name, shown=shown, out=out, failure=failure)
    output = Output(quiet=quiet, json=json)
    output.result(result, table(expression, shown, list(variables)), in_files=out is not None)
    if out is not None:
        output.note(f"path: {out}")
    if failure is not None:
        raise failure


def start_values(texts: Sequence[str]) -> dict[str, float]:
    """`w=0` as {"w": 0.0}; raises ConfigError on anything else, and on a variable that is given twice."""
    import math

    from dlrun.errors import ConfigError

    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not equals or not name.isidentifier() or not math.isfinite(number):
            raise ConfigError(f"--start {text}: should be NAME=VALUE with a finite number, such as w=0")
        if name in found:
            raise ConfigError(f"--start {text}: {name} has been given a start already, {found[name]:g}")
        found[name] = number
    return found


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

    columns = ["step", "learning_rate", "cost", *names, *(f"gradient_{name}" for name in names)]
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise ConfigError(f"--out {out}: two columns would be called {twice[0]!r}; give that variable another name")
    with CsvFile(out, columns) as file:
        for record in records:
            values = (*record.values.values(), *record.gradient.values())
            file.write(record.step, record.learning_rate, record.cost, *values)
            yield record


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
