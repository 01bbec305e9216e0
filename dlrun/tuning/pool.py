"""Units of work side by side: in forked processes where that pays, in threads where units must be held at an epoch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dlrun.errors import DlrunError, MachineError
from dlrun.training.stacking import FORK_SECONDS
from dlrun.training.workers import can_fork, side_by_side
from dlrun.tuning.units import Ended, Unit

# What a trial's own values can lead to; anything else is no matter of a trial, and ends the search.
_OWN_FAULTS = (DlrunError, MemoryError, ArithmeticError, ValueError)
_Step = int | str | list[Ended]  # epochs trained, what went wrong, or how all replicas of the unit ended


@dataclass(frozen=True)
class Progress:
    """Replicas that a unit trained through one epoch, or the end of the unit's stage (`epochs` 0).

    An end has the error where the unit failed by its own fault.
    """

    unit: Unit
    epochs: int = 0
    error: str = ""


def advance(units: Sequence[Unit], jobs: int, until: int | None = None) -> Iterator[Progress]:
    """Advance all units up to an epoch, or (None) to their ends; yields as they go, and an end for each.

    Leaving the iteration early stops the units.
    """
    seconds = sum(unit.seconds for unit in units)
    if jobs == 1 or len(units) == 1 or seconds < 2 * FORK_SECONDS:
        for unit in units:
            yield from _here(unit, until)
    elif until is None and can_fork():
        yield from _in_processes(units, jobs)
    else:
        yield from _in_threads(units, jobs, until)


def _here(unit: Unit, until: int | None) -> Iterator[Progress]:
    try:
        for epochs in unit.advance(until):
            yield Progress(unit, epochs)
    except unit.out_of_memory:
        yield Progress(unit, error="out of memory: a model of these sizes does not fit")
        return
    except MachineError:
        raise
    except _OWN_FAULTS as error:
        yield Progress(unit, error=str(error) if isinstance(error, DlrunError) else f"{type(error).__name__}: {error}")
        return
    yield Progress(unit)


def _in_processes(units: Sequence[Unit], jobs: int) -> Iterator[Progress]:
    """To their ends. A process sends no weights back, only how its replicas ended."""

    def work(unit: Unit) -> Iterator[_Step]:
        for event in _here(unit, None):
            yield event.epochs or event.error or unit.ended()

    for place, step in side_by_side(units, work, jobs=jobs):
        unit = units[place]
        if isinstance(step, int):
            yield Progress(unit, step)
        elif isinstance(step, str):
            yield Progress(unit, error=step)
        else:
            unit.finish(step)
            yield Progress(unit)


def _in_threads(units: Sequence[Unit], jobs: int, until: int | None) -> Iterator[Progress]:
    """NumPy lets go of Python's lock while it computes, so that large models do not take turns."""
    events: queue.SimpleQueue[Progress | BaseException] = queue.SimpleQueue()
    cancelled = threading.Event()

    def work(unit: Unit) -> None:
        try:
            for event in _here(unit, until):
                if cancelled.is_set():
                    return
                events.put(event)
        except BaseException as error:
            events.put(error)

    with ThreadPoolExecutor(min(jobs, len(units)), thread_name_prefix="dlrun-trials") as pool:
        try:
            for unit in units:
                pool.submit(work, unit)
            going = len(units)
            while going:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                going -= event.epochs == 0
                yield event
        finally:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
