"""The result of a workflow on standard output, also where its answer is no."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dlrun.cli.options import Showing
from dlrun.errors import AnswerIsNoError

if TYPE_CHECKING:
    from dlrun.workflows.results import Result


def show(work: Callable[[], Result], showing: Showing) -> None:
    """Do the work and show what it found."""
    try:
        result = work()
    except AnswerIsNoError as error:
        if error.result is not None:
            _print(error.result, showing)
        raise
    _print(result, showing)


def _print(result: Result, showing: Showing) -> None:
    showing.output.result(result.document, *result.tables, in_files=result.folder is not None)
