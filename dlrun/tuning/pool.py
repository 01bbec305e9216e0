"""Units of work on several threads. NumPy lets go of Python's lock while it computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dlrun.errors import DlrunError, MachineError
from dlrun.tuning.units import Unit

# What a trial's own values can lead to; anything else is no matter of a trial, and ends the search.
_OWN_FAULTS = (DlrunError, MemoryError, ArithmeticError, ValueError)


@dataclass(frozen=True)
class Progress:
    """Replicas that a unit trained through one epoch, or the end of the unit's stage (`epochs` 0)."""

    unit: Unit
    epochs: int = 0
    error: BaseException | None = None


def advance(units: Sequence[Unit], jobs: int, until: int | None = None) -> Iterator[Progress]:
    """Advance all units, `jobs` at a time; yields as they go, and an end for each, in the order of events.

    An end has the error where the unit failed by its own fault. Leaving the iteration early stops the units.
    """
    if jobs == 1 or len(units) == 1:
        for unit in units:
            yield from _advanced(unit, until)
        return
    events: queue.SimpleQueue[Progress | BaseException] = queue.SimpleQueue()
    cancelled = threading.Event()

    def work(unit: Unit) -> None:
        try:
            for event in _advanced(unit, until):
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


def _advanced(unit: Unit, until: int | None) -> Iterator[Progress]:
    try:
        for epochs in unit.advance(until):
            yield Progress(unit, epochs)
    except unit.out_of_memory as error:
        yield Progress(unit, error=error)
        return
    except MachineError:
        raise
    except _OWN_FAULTS as error:
        yield Progress(unit, error=error)
        return
    yield Progress(unit)
