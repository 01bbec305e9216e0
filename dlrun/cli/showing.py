"""The result of a workflow on standard output, also where its answer is no."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dlrun.cli.options import Showing
from dlrun.errors import AnswerIsNoError

if TYPE_CHECKING:
    from dlrun.workflows.results import Result


def show(work: Callable[[], Result], showing: Showing, *, in_files: bool | None = None) -> None:
    """Do the work and show what it found; `in_files`: whether files hold the same, by default those of a run."""
    try:
        result = work()
    except AnswerIsNoError as error:
        if error.result is not None:
            _print(error.result, showing, in_files)
        raise
    _print(result, showing, in_files)


def _print(result: Result, showing: Showing, in_files: bool | None) -> None:
    kept = result.folder is not None if in_files is None else in_files
    showing.output.result(result.document, *result.tables, in_files=kept)
