"""`dlrun smooth`: exponentially weighted averages of a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.options import DebugOption, JsonOption, OverwriteOption, QuietOption
from dlrun.errors import DataError, RunError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dlrun.data.table import Table as DataTable
    from dlrun.reporting.tables import Table

HEAD = 10  # rows that are shown where no file is asked for


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A table with the series.", show_default=False)],
    column: Annotated[str, typer.Option("--column", metavar="NAME", help="The column to smooth.")],
    beta: Annotated[
        list[float],
        typer.Option(
            "--beta", metavar="B", help="β, the weight of the past: about 1/(1−β) values count; may be repeated."
        ),
    ],
    bias_correction: Annotated[
        bool,
        typer.Option("--bias-correction/--no-bias-correction", help="Divide by 1−βᵗ, which mends the first values."),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.csv",
            help="Write the table with a column added for each β; left out, its first rows are shown.",
            show_default=False,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Smooth a column by exponentially weighted averages, v ← βv + (1−β)θ, in the order of the rows.

    Where a value is missing the average stays what it was.
    """
    from dlrun.records import counted
    from dlrun.reporting.output import Output
    from dlrun.reporting.smoothing import averaged_over, check_beta, exponential_average

    output = Output(quiet=quiet, json=json)
    betas = list(dict.fromkeys(beta))
    for each in betas:
        check_beta(each)
    data = read_series(file, column)
    series = data.columns[column]
    smoothed = {
        smoothed_name(column, b): exponential_average(series, b, bias_correction=bias_correction) for b in betas
    }
    if clash := next((name for name in smoothed if name in data.columns), None):
        raise DataError(f"{file} has a column {clash!r} already; smooth the table without it")
    missing = int((series != series).sum())
    if out is not None:
        write(out, file, data, smoothed, overwrite=overwrite)
        output.note(f"{counted(len(series), 'row')} in {out}")
    if missing:
        output.note(f"note: {missing} of {len(series)} values are missing; there the average stays what it was")
    result = {
        "command": "smooth",
        "file": str(file),
        "column": column,
        "rows": len(series),
        "missing": missing,
        "bias_correction": bias_correction,
        "averages": [
            {"beta": b, "about_values": averaged_over(b), "column": name, "last": values[-1]}
            for b, (name, values) in zip(betas, smoothed.items(), strict=True)
        ],
        "out": None if out is None else str(out),
    }
    if out is None:
        result["values"] = {column: series, **smoothed}
    shown = [] if out is not None else [table(data, column, betas, smoothed)]
    output.result(result, *shown)


def smoothed_name(column: str, beta: float) -> str:
    """What the column of averages is called: `temperature_beta_0.9`."""
    return f"{column}_beta_{beta!r}"


def read_series(file: Path, column: str) -> DataTable:
    """The table, with `column` as numbers."""
    from dlrun.data.sources import load_table
    from dlrun.data.values import decimal_commas

    found = load_table(str(file), folder=Path.cwd())
    series = found.column(column, key="--column")
    if series.dtype != float:
        row = next(i for i, value in enumerate(series) if not _is_number(value))
        if commas := decimal_commas([series[row]]):
            raise DataError(f"{found.where(row, column)}: {commas}")
        raise DataError(f"{found.where(row, column)}: {series[row]!r} is no number; --column should name a numeric one")
    return found


def _is_number(value: str | None) -> bool:
    from dlrun.data.values import parse_number

    return value is None or parse_number(value) is not None


def write(
    out: Path, source: Path, data: DataTable, smoothed: dict[str, npt.NDArray[np.float64]], *, overwrite: bool
) -> None:
    """The table of `source` with its new columns; the file appears whole or not at all."""
    from dlrun.runs.csv_files import CsvFile
    from dlrun.runs.files import replacing

    if out.is_dir():
        raise RunError(f"{out}: is a folder, where --out needs a file")
    if out.is_file() and not overwrite:
        raise RunError(f"{out}: this file exists; give --overwrite to replace it, or another --out")
    rows = _written(source) if source.suffix.lower() == ".csv" else _rows(data.columns)
    with replacing(out) as temporary, CsvFile(temporary, [*data.columns, *smoothed]) as file:
        file.write_rows([*cells, *averages] for cells, averages in zip(rows, _rows(smoothed), strict=True))


def _written(source: Path) -> Iterator[Sequence[str]]:
    """The cells of a CSV file's rows as they are written there: 359146 stays that, and NA stays NA."""
    import csv

    with source.expanduser().open(encoding="utf-8-sig", newline="") as file:
        lines = (cells for cells in csv.reader(file, strict=True) if cells)
        next(lines)
        yield from lines


def _rows(columns: Mapping[str, npt.NDArray[Any]]) -> Iterator[Sequence[Any]]:
    """Columns as rows of cells, None for what is missing."""
    cells = [[None if value != value else value for value in values.tolist()] for values in columns.values()]
    return zip(*cells, strict=True)


def table(data: DataTable, column: str, betas: Sequence[float], smoothed: dict[str, npt.NDArray[np.float64]]) -> Table:
    """The first rows, and the last one."""
    from dlrun.reporting.smoothing import averaged_over
    from dlrun.reporting.tables import Column, Table

    n = len(data)
    headings = [Column(name, "right") for name in (column, *(f"β = {beta:g}" for beta in betas))]
    result = Table(title=f"{data.name}: {column}, smoothed", columns=[Column("row", "right"), *headings])
    shown = [data.columns[column], *smoothed.values()]
    for row in range(n) if n <= HEAD + 2 else [*range(HEAD), n - 1]:
        result.add(row, *(_shown(values[row]) for values in shown))
    for beta in betas:
        about = f"{averaged_over(beta):.3g}"
        result.footnotes.append(f"β = {beta:g} averages about {about} value{'' if about == '1' else 's'}.")
    if n > HEAD + 2:
        result.footnotes.append(f"{n} rows; --out FILE.csv writes them all.")
    return result


def _shown(value: Any) -> str | None:
    return None if value != value else f"{value:.6g}"
