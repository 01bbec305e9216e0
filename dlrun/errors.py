"""The errors a user can meet, each with the exit status that the command line gives it.

A message says what is wrong, where (file, key or row and column, value) and what would be right.
"""

from __future__ import annotations

from typing import Any


class DlrunError(Exception):
    """Any error that is reported to the user as one message, without a traceback."""

    exit_status = 2


class ConfigError(DlrunError):
    """The experiment file, an override or an option is wrong."""


class DataError(DlrunError):
    """The data is wrong: a file, a column, a row or a value."""


class GraphError(DlrunError):
    """An operation was given tensors that it does not accept (shape, type or operand)."""


class RunError(DlrunError):
    """A run's folder is missing, taken, incomplete or of another kind."""


class AnswerIsNoError(DlrunError):
    """The work was done and its answer is no: a failed gradient check, every replica diverged.

    `result` is what was found nevertheless, where there is something to show.
    """

    exit_status = 1

    def __init__(self, message: str, *, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class MachineError(DlrunError):
    """The machine failed: disk full, no such device, out of memory."""

    exit_status = 3
