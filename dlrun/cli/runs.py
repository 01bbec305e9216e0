"""`dlrun runs`: the runs below a folder as a table; `dlrun runs rm`: some of them removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dlrun.cli.options import Showing
from dlrun.errors import ConfigError, RunError

REMOVE = "rm"


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER | rm RUN...]",
            help="Where to look; left out, runs. Or rm and folders of runs to remove (./rm is a folder).",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help="By error, seconds, status, … or a key of the experiment; -error is downwards. Left out, by time.",
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="KEY=VALUE",
            help="Only runs with this value, as in command=crossval or model.hidden=[]; may be repeated.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="So many at most.", show_default=False)
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write the table with all its columns.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With rm: do not ask.", show_default=False)] = False,
    *,
    showing: Showing,
) -> None:
    """Show the runs below a folder: what they were, how they ended, in what they differ, and their errors."""
    given = words or []
    if given[:1] == [REMOVE]:
        chosen = {"--sort": sort, "--where": where, "--limit": limit, "--csv": csv}
        if idle := next((option for option, value in chosen.items() if value), None):
            raise ConfigError(f"runs rm {idle}: chooses no runs to remove; name their folders, and leave {idle} out")
        _remove([Path(word) for word in given[1:]], showing, yes=yes)
        return
    if len(given) > 1:
        raise ConfigError(f"{given[1]}: one folder at a time; or rm before the folders of runs to remove")
    if yes:
        raise ConfigError("--yes: there is nothing to ask without rm before the folders of runs to remove")
    from dlrun.reporting import runs_report as report
    from dlrun.runs.listing import list_runs

    folder = Path(given[0] if given else "runs")
    found = report.ordered(report.where(list_runs(folder), where or []), sort)
    shown = found[:limit]
    document: dict[str, object] = {"command": "runs", "folder": str(folder), "found": len(found)}
    if csv is not None or showing.json:
        columns = report.runs_columns(shown)
        rows = [report.run_cells(run, columns) for run in shown]
        document["runs"] = [dict(zip(columns, row, strict=True)) for row in rows]
        if csv is not None:
            _write(csv, columns, rows)
    tables = [] if showing.json else [report.runs_table(shown, folder, left_out=len(found) - len(shown))]
    showing.output.result(document, *tables, in_files=csv is not None)
    if csv is not None:
        showing.output.note(f"runs: {csv}")


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from dlrun.runs.csv_files import CsvFile
    from dlrun.runs.files import refuse_other_kind, replacing

    if path.is_dir():
        raise RunError(f"{path}: is a folder, where --csv needs a file")
    refuse_other_kind(path, b"folder,name,command,", what="table of runs")
    with replacing(path) as temporary, CsvFile(temporary, columns) as file:
        file.write_rows(rows)


def _remove(folders: Sequence[Path], showing: Showing, *, yes: bool) -> None:
    from dlrun.runs.removing import refuse_no_run, remove_run

    if not folders:
        raise ConfigError("runs rm: names no run; should be followed by the folders of runs")
    folders = list(dict.fromkeys(folders))
    for folder in folders:  # all of them before any is touched
        refuse_no_run(folder)
    if not yes and not _agreed(folders):
        showing.output.note("nothing is removed")
        return
    stayed = {}
    for folder in folders:
        left = remove_run(folder)
        showing.output.note(f"removed: {folder}" + (f"; other files stay: {', '.join(left)}" if left else ""))
        stayed[str(folder)] = left
    if showing.json:
        showing.output.result({"command": "runs rm", "removed": list(stayed), "left": stayed})


def _agreed(folders: Sequence[Path]) -> bool:
    """Whether the user says yes; the end of input is a no. ConfigError where nobody can be asked."""
    import sys

    from dlrun.records import counted
    from dlrun.text import neutralize

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(f"runs rm {folders[0]}: nobody can be asked here; give --yes to remove without asking")
    named = ", ".join(map(str, folders[:3])) + (", …" if len(folders) > 3 else "")
    try:
        return typer.confirm(neutralize(f"Remove {counted(len(folders), 'run')} ({named})?"), err=True)
    except typer.Abort:
        print(file=sys.stderr)  # the line of the question has no end yet
        return False
