"""A live progress bar, for a person at a terminal and for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from dlrun.text import neutralize

if TYPE_CHECKING:
    from rich.console import Console


class Advance(Protocol):
    """Called as work gets done: `count` more units, and a short text such as the latest error."""

    def __call__(self, count: float = 1, note: str = "") -> None: ...


@contextmanager
def progress_bar(console: Console | None, description: str, total: float) -> Iterator[Advance]:
    """A bar that is drawn on `console` while the block runs and gone afterwards; nothing without one."""
    if console is None:
        yield _ignore
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        transient=True,
        refresh_per_second=5,  # each refresh takes a few milliseconds from the training thread
    )
    with bar:
        task = bar.add_task(neutralize(description), total=total, note="")

        def advance(count: float = 1, note: str = "") -> None:
            bar.update(task, advance=count, note=neutralize(note))

        yield advance


def _ignore(count: float = 1, note: str = "") -> None:
    """No bar."""
