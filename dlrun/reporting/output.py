"""Where a command's results go: Rich on a terminal, plain text in a pipe, JSON when asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from dlrun.reporting.progress import Advance, progress_bar
from dlrun.reporting.tables import Table, render_plain, render_rich
from dlrun.runs.csv_files import csv_line
from dlrun.runs.json_text import to_json
from dlrun.text import neutralize

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """One command's standard output (results) and standard error (notes).

    `quiet` leaves out the bar, the notes, and results that also stand in the run's files. `json` makes the
    result one JSON object and keeps everything else off standard output.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self._quiet = quiet
        self._json = json

    def result(self, data: Mapping[str, Any], *parts: Table | str, in_files: bool = False) -> None:
        """Print the result: `data` with --json, else the tables and texts of `parts`, an empty line apart.

        `in_files` says that the run's folder holds the same: then --quiet prints nothing.
        """
        if self._json:
            sys.stdout.write(to_json(data))
        elif not (self._quiet and in_files):
            self._print(parts)

    def csv(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print the result as CSV, as it would be written to a file; on a terminal without control characters."""
        lines = map(csv_line, chain([columns], rows))
        sys.stdout.writelines(_harmless(lines) if sys.stdout.isatty() else lines)

    def note(self, text: str) -> None:
        """A remark on standard error, such as where the files are; not with --quiet."""
        if not self._quiet:
            self.urge(text)

    def urge(self, text: str) -> None:
        """A remark that --quiet does not leave out either, such as how to go on with a run that was broken off."""
        with suppress(BrokenPipeError):  # nobody reads remarks; the run goes on without them
            print(neutralize(text, keep_lines=True), file=sys.stderr)

    def progress(self, description: str, total: float) -> AbstractContextManager[Advance]:
        """A live bar on a terminal; with --quiet, --json or in a pipe, nothing."""
        hidden = self._quiet or self._json or not is_terminal()
        return progress_bar(None if hidden else _console(), description, total)

    def _print(self, parts: tuple[Table | str, ...]) -> None:
        console = _console() if is_terminal() else None
        for index, part in enumerate(parts):
            if index:
                print()
            if isinstance(part, str):
                print(neutralize(part, keep_lines=True).rstrip("\n"))
            elif console is None:
                print(render_plain(part))
            else:
                console.print(render_rich(part, console.width))


def _harmless(lines: Iterable[str]) -> Iterator[str]:
    return (neutralize(line, keep_lines=True) for line in lines)


def is_terminal() -> bool:
    """Whether colour, bars and box-drawing may be used: a capable terminal, and no NO_COLOR."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _console() -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, force_terminal=True, markup=False, emoji=False, highlight=False)
