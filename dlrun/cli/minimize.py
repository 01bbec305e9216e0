"""`dlrun minimize`: an optimizer on a cost that is written on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dlrun.cli.options import Showing
from dlrun.cli.showing import show
from dlrun.errors import AnswerIsNoError


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
    *,
    showing: Showing,
) -> None:
    """Minimize EXPRESSION over the variables in it, and show the path."""
    from dlrun.workflows.minimize import minimize

    try:
        show(
            lambda: minimize(
                expression,
                learning_rate=learning_rate,
                steps=steps,
                optimizer=optimizer,
                start=start_values(start or []),
                set=set_,
                dtype=dtype.value,
                out=out,
            ),
            showing,
            in_files=out is not None,
        )
    except AnswerIsNoError:
        _tell(out, showing)
        raise
    _tell(out, showing)


def _tell(out: Path | None, showing: Showing) -> None:
    if out is not None:
        showing.output.note(f"path: {out}")


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
