"""Who follows a workflow while it works: the command line shows it all, and from Python nobody need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from dlrun.reporting.progress import Advance, progress_bar


class Watcher(Protocol):
    """Told of remarks and progress; `dlrun.reporting.output.Output` is the one of the command line."""

    def note(self, text: str) -> None:
        """A remark, such as a column that looks like an identifier."""

    def urge(self, text: str) -> None:
        """A remark that is not to be left out: how to go on with a run that was broken off."""

    def progress(self, description: str, total: float) -> AbstractContextManager[Advance]:
        """Work of `total` units begins; what the block is given is called as they get done."""


class _Silent:
    def note(self, text: str) -> None:
        pass

    def urge(self, text: str) -> None:
        pass

    @contextmanager
    def progress(self, description: str, total: float) -> Iterator[Advance]:
        with progress_bar(None, description, total) as advance:
            yield advance


SILENT: Watcher = _Silent()
