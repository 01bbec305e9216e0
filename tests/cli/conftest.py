"""Running a command line inside the test's own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from dlrun.cli.app import run


@dataclass(frozen=True)
class Result:
    """What a command line gave."""

    status: int
    stdout: str
    stderr: str


Dlrun = Callable[..., Result]


@pytest.fixture
def dlrun(capsys: pytest.CaptureFixture[str]) -> Dlrun:
    """`dlrun("list", "--json")` gives the status and what was printed."""

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        status = run(arguments)
        return Result(status, *capsys.readouterr())

    return call
