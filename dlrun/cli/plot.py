"""`dlrun plot`: a picture of one run or several."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.options import DebugOption, JsonOption, NoVerifyOption, QuietOption
from dlrun.errors import ConfigError, RunError

if TYPE_CHECKING:
    from dlrun.reporting.plots.kinds import Options
    from dlrun.reporting.plots.source import Source

RunsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN", help="Folders of runs, or CSV files that a command of dlrun wrote.", show_default=False
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME",
        help="What to call each run, in their order; left out, by its path. May be repeated.",
        show_default=False,
    ),
]


class By(StrEnum):
    """What curves run over."""

    EPOCH = "epoch"
    STEP = "step"


def command(
    runs: RunsArgument,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Which picture; left out, the one that tells most about such a run; all: every one it has.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where to: .png, .svg or .pdf; left out, plot-KIND.png in the run's folder (of several runs: here).",
            show_default=False,
        ),
    ] = None,
    terminal: Annotated[
        bool,
        typer.Option(
            "--terminal", help="Draw with plain characters instead; no file without --out.", show_default=False
        ),
    ] = False,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="In place of the picture's own.", show_default=False)
    ] = None,
    label: LabelOption = None,
    log: Annotated[bool, typer.Option("--log", help="A logarithmic axis for costs and errors.")] = False,
    by: Annotated[By, typer.Option("--by", help="What curves run over.")] = By.EPOCH,
    expression: Annotated[
        str | None,
        typer.Option(
            "--expression",
            metavar="COST",
            help="Of a path: the cost that was minimized, whose contours to draw.",
            show_default=False,
        ),
    ] = None,
    no_verify: NoVerifyOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw runs: cost curves, decision regions, confusion, folds, estimates, trials, checks, paths.

    Several runs share one picture where that makes sense. A picture that is there already is drawn anew.
    """
    from dlrun.reporting.output import Output
    from dlrun.reporting.plots.kinds import Options, choose, fitting
    from dlrun.reporting.plots.names import label as shown

    sources = open_runs(runs, label, check=not no_verify)
    options = Options(
        title=None if title is None else shown(title, longest=120), log=log, by=by.value, expression=expression
    )
    if kind == "all":
        if out is not None:
            raise ConfigError(f"--out {out}: --kind all draws several pictures; leave --out out")
        kinds = [name for name in fitting(sources[0]) if can_draw(sources, name)] or [choose(sources, None)]
    else:
        kinds = [choose(sources, kind)]
    pictures = [
        draw(name, sources, options, target(out, sources, name, terminal), terminal, follow=out is not None)
        for name in kinds
    ]
    output = Output(quiet=quiet, json=json)
    result: dict[str, Any] = {"command": "plot", "runs": [str(run) for run in runs], "plots": pictures}
    output.result(result, *(p["text"] for p in pictures if p["text"]), in_files=not terminal)
    for picture in pictures:
        if picture["out"] is not None:
            output.note(f"{picture['kind']}: {picture['out']}")


def open_runs(runs: Sequence[Path], labels: Sequence[str] | None, *, check: bool = True) -> list[Source]:
    """The runs under the names that --label gives them."""
    from dlrun.records import counted
    from dlrun.reporting.plots.source import open_source

    if labels and len(labels) != len(runs):
        raise ConfigError(f"--label: {len(labels)} given for {counted(len(runs), 'run')}; give one for each, or none")
    names: Sequence[str | None] = labels or [None] * len(runs)
    return [open_source(run, name, check=check) for run, name in zip(runs, names, strict=True)]


def can_draw(sources: Sequence[Source], kind: str) -> bool:
    """Whether this kind shows these runs together."""
    from dlrun.reporting.plots.kinds import choose

    try:
        return choose(sources, kind) == kind
    except RunError:
        return False


def target(out: Path | None, sources: Sequence[Source], kind: str, terminal: bool) -> Path | None:
    """The file to write, if any."""
    from dlrun.runs.files import refuse_link, refuse_other_kind

    if out is not None:
        if out.is_dir():
            raise RunError(f"{out}: is a folder, where --out needs a file")
        refuse_other_kind(out, b"\x89png", b"<?xml", b"<svg", b"%pdf", what="picture")
        return out
    if terminal:
        return None
    path = sources[0].path
    if len(sources) > 1:
        path = Path(f"plot-{kind}.png")
    else:
        path = path / f"plot-{kind}.png" if sources[0].is_folder else path.with_name(f"{path.stem}-{kind}.png")
    refuse_link(path)
    return path


def draw(
    kind: str, sources: Sequence[Source], options: Options, out: Path | None, terminal: bool, *, follow: bool
) -> dict[str, Any]:
    """Draw to the file (through a link where it is to `follow` one) and as text, and say what was drawn."""
    from dlrun.reporting.plots.picture import drawn
    from dlrun.reporting.plots.style import format_of, to_bytes
    from dlrun.reporting.plots.terminal import as_text
    from dlrun.runs.files import write_whole

    format = format_of(out) if out is not None else ""
    with drawn(kind, sources, options) as figure:
        if out is not None:
            write_whole(out, to_bytes(figure, format), follow=follow)
        text = as_text(figure) if terminal else None
    return {"kind": kind, "out": None if out is None else str(out), "text": text}
