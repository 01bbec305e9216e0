"""`dlrun report`: a page about runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlrun.cli.options import DebugOption, JsonOption, NoVerifyOption, QuietOption
from dlrun.cli.plot import LabelOption, open_runs
from dlrun.errors import ConfigError, DlrunError, RunError

if TYPE_CHECKING:
    from dlrun.reporting.plots.source import Source

NAME = "report.html"


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of finished runs.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.html",
            help="Where to; left out, report.html in the run's folder (of several runs: here).",
            show_default=False,
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="The page's heading.", show_default=False)
    ] = None,
    label: LabelOption = None,
    no_verify: NoVerifyOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write one HTML page about runs: figures beside the baseline, plots, configuration, environment, warnings.

    The page needs no network and no other file. Several runs are compared, with a test where their splits are the
    same. A page that is there already is written anew.
    """
    from dlrun.reporting.output import Output
    from dlrun.reporting.report import report_page
    from dlrun.runs.files import write_whole

    path = _target(out, runs)
    sources = open_runs(runs, label, check=not no_verify)
    if alone := next((source for source in sources if not source.is_folder), None):
        raise RunError(f"{alone.path}: is a file; a report is about folders of runs, `dlrun plot` draws single files")
    verdicts = _verdicts(sources) if len(sources) > 1 else []
    write_whole(path, report_page(sources, title=title, verdicts=verdicts), follow=out is not None)
    output = Output(quiet=quiet, json=json)
    if json:
        output.result({"command": "report", "runs": [str(run) for run in runs], "verdicts": verdicts, "out": str(path)})
    output.note(f"report: {path}")


def _target(out: Path | None, runs: Sequence[Path]) -> Path:
    from dlrun.runs.files import refuse_link, refuse_other_kind

    if out is None:
        path = runs[0] / NAME if len(runs) == 1 else Path(NAME)
        refuse_link(path)
        return path
    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {out}: a report's name should end in .html")
    if out.is_dir():
        raise RunError(f"{out}: is a folder, where --out needs a file")
    refuse_other_kind(out, b"<!doctype html", b"<html", what="page")
    return out


def _verdicts(sources: Sequence[Source]) -> list[str]:
    """What `dlrun compare` says of the runs, or why it cannot compare them."""
    from dlrun.resampling.comparison import compare_all
    from dlrun.workflows.tested_runs import read_runs

    try:
        read = read_runs([source.path for source in sources], check=False)  # which opening them did
        named = [replace(run.losses, name=source.called) for run, source in zip(read, sources, strict=True)]
        pairs = compare_all(named)
    except DlrunError as error:
        return [f"The runs cannot be tested against each other: {error}."]
    warnings = dict.fromkeys(warning for pair in pairs for warning in pair.warnings)
    return [*(pair.verdict for pair in pairs), *(f"{warning[:1].upper()}{warning[1:]}." for warning in warnings)]
