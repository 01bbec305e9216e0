"""Pieces of work done side by side in forked processes, and what they yield brought back one after another.

Processes, because threads of one interpreter take turns between any two kernels, and a small stack's kernels take
microseconds (docs/crossval.md has the measurement). Forked, because a fork shares the data and all that is imported,
and begins to compute within milliseconds.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from dlrun.errors import MachineError

Item = TypeVar("Item")
Yielded = TypeVar("Yielded")
_NEXT, _YIELDED, _FAILED = "next", "yielded", "failed"
_PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>
_OF_MEMORY = frozenset({signal.SIGKILL, signal.SIGTERM})  # the kernel sends the one, daemons that watch it the other


def can_fork() -> bool:
    """Whether processes may be forked here: on Linux. Elsewhere system libraries may not survive it."""
    return sys.platform == "linux" and hasattr(os, "fork")


def side_by_side(
    items: Sequence[Item], work: Callable[[Item], Iterator[Yielded]], *, jobs: int
) -> Iterator[tuple[int, Yielded]]:
    """(place of the item, what `work(item)` yields), as it comes, with up to `jobs` items under way at a time.

    What is yielded is pickled; all else that `work` does stays in its process. An exception of an item is raised
    here; MachineError where a process was killed. Leaving the iteration ends all processes.
    """
    from multiprocessing.connection import wait

    workers: dict[Any, int] = {}  # connections, each with its process
    waiting = iter(range(len(items)))
    try:
        for _ in range(min(jobs, len(items))):
            _fork(items, work, workers)
        busy = dict.fromkeys(workers)
        for connection in busy:
            _send(connection, workers[connection], next(waiting))
        while busy:
            for ready in cast(list[Any], wait(list(busy))):
                place, kind, value = _receive(ready, workers[ready])
                if kind == _YIELDED:
                    yield place, value
                elif kind == _FAILED:
                    raise value
                elif (following := next(waiting, None)) is not None:
                    _send(ready, workers[ready], following)
                else:
                    del busy[ready]
    finally:
        _end(workers)


def _send(connection: Any, process: int, place: int) -> None:
    try:
        connection.send(place)
    except OSError:  # a broken pipe, which must not pass for that of standard output
        raise _ended(process) from None


def _receive(connection: Any, process: int) -> tuple[int, str, Any]:
    try:
        message: tuple[int, str, Any] = connection.recv()
    except (EOFError, OSError):  # between two messages, or within one
        raise _ended(process) from None
    return message


def _ended(process: int) -> MachineError:
    """What is said of a process whose end of the pipe has closed, which it does by ending alone."""
    how, memory = "was ended", True
    with suppress(ChildProcessError):
        found = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)  # its number stays its own until it is waited for
        if found is not None and found.si_code == os.CLD_EXITED:
            how, memory = f"ended with status {found.si_status}", False
        elif found is not None:
            how, memory = f"was ended by {_signal_name(found.si_status)}", found.si_status in _OF_MEMORY
    cause = "the system ends processes so where memory runs out: --jobs 1 needs less"
    return MachineError(
        f"process {process}, which did a part of the work, {how}; {cause if memory else '--jobs 1 starts none'}"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _fork(items: Sequence[Item], work: Callable[[Item], Iterator[Any]], workers: dict[Any, int]) -> None:
    """One more of the workers: a process that does the items whose places it is sent."""
    from multiprocessing import Pipe

    here, there = Pipe()
    parent = os.getpid()
    # Until the child has its own handlers no signal may raise in it: the parent's stack is above it.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGALRM))
    try:
        process = _forked()
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        raise
    if process:
        workers[here] = process  # before a signal can raise: whoever ends the others must know of it
        there.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return
    try:  # from here on the child
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its children
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        _end_with(parent)
        for each in (here, *workers):
            each.close()
        _serve(there, items, work)
    finally:  # by a signal, for nothing of the parent's stack may run here, nor what it registered for its end
        os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("the process has ended")


def _forked() -> int:
    """What `os.fork` returns."""
    with warnings.catch_warnings():
        # Python warns where threads are left behind. They are those of a BLAS, which sees to forks itself, and that
        # of a progress bar, which the child has nothing to do with.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _end_with(parent: int) -> None:
    """Have the system kill this process when its parent dies, however it does: a killed run leaves none behind."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it has died before
        os.kill(os.getpid(), signal.SIGKILL)


def _serve(connection: Any, items: Sequence[Item], work: Callable[[Item], Iterator[Any]]) -> None:
    with suppress(EOFError):  # the parent is gone
        while True:
            place = connection.recv()
            try:
                for value in work(items[place]):
                    connection.send((place, _YIELDED, value))
            except BaseException as error:
                connection.send((place, _FAILED, _sendable(error)))
                return
            connection.send((place, _NEXT, None))


def _sendable(error: BaseException) -> BaseException:
    """The exception, if it survives being sent."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (no foreign data)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end(workers: dict[Any, int]) -> None:
    for connection in workers:
        connection.close()
    for process in workers.values():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)  # which ends a stopped process too; none has anything to tidy up
        with suppress(ChildProcessError):
            os.waitpid(process, 0)
