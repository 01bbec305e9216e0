"""SIGINT and SIGTERM end a command by an exception, so that files are closed on the way out.

An exception that comes from a signal can strike anywhere, and there are places that do not let it through: while
Python imports a module, whose half-made state a later import would meet, and in what Python calls on its own account
(a finalizer, a weak reference's callback, what runs beside a fork), where it prints the exception and drops it. In
these places the signal is held back and tried again some milliseconds later.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
_AGAIN = 0.005  # seconds until a signal that was held back is tried again
_MOST = 400  # times that signals are held back: two seconds
_IMPORTING = "<frozen importlib._bootstrap>"


class Interrupted(BaseException):
    """The process was asked to stop by SIGINT. No `except Exception` catches it.

    Not `KeyboardInterrupt`: where one leaves an `exec` (a dataclass is made by one), CPython remembers it, though it
    is caught later, and ends by the signal whatever status the program gives.
    """


class Terminated(BaseException):
    """The process was asked to stop by SIGTERM. No `except Exception` catches it."""


@contextmanager
def signals_raise(*, ignored_after: bool = False) -> Iterator[None]:
    """Within, SIGTERM raises `Terminated` and SIGINT `Interrupted` where the program is.

    A signal that was ignored before (as by nohup) stays so. After, the old handlers are put back; or the signals are
    `ignored_after`, where the process has nothing left to do but exit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    hook, delivery = sys.unraisablehook, _Delivery()

    def dropped(unraisable: Any) -> None:
        number = {Interrupted: signal.SIGINT, Terminated: signal.SIGTERM}.get(unraisable.exc_type)
        if number is None:
            hook(unraisable)
        else:
            delivery.hold_back(number)

    sys.unraisablehook = dropped
    for number in _NUMBERS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, delivery.handle)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ignored_after else handler)
        sys.unraisablehook = hook


class _Delivery:
    """Raises a signal's exception, at once or as soon as the program is at a place that lets it through."""

    def __init__(self) -> None:
        self._waiting = int(signal.SIGINT)  # the signal that the alarm stands for
        self._patience = _MOST

    def handle(self, number: int, frame: FrameType | None) -> None:
        wanted = self._waiting if number == signal.SIGALRM else number
        if self._patience and _importing(frame):
            self.hold_back(wanted)
            return
        raise Interrupted if wanted == signal.SIGINT else Terminated

    def hold_back(self, number: int) -> None:
        self._waiting = number
        self._patience -= 1
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)


def ignore_further_signals() -> None:
    """While a failure is being reported, a second Ctrl-C must not cut the message short."""
    if threading.current_thread() is threading.main_thread():
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False
