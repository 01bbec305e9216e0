"""Where a signal's exception may come out, and where it waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from dlrun.cli.signals import Interrupted, Terminated, signals_raise

BOTH = [(signal.SIGINT, Interrupted), (signal.SIGTERM, Terminated)]


@pytest.mark.parametrize(("number", "expected"), BOTH)
def test_one_raises_where_the_program_is(number: signal.Signals, expected: type[BaseException]) -> None:
    with pytest.raises(expected), signals_raise():  # noqa: PT012 (either line may raise)
        os.kill(os.getpid(), number)
        time.sleep(5)


@pytest.mark.parametrize(("number", "expected"), BOTH)
def test_one_that_comes_during_an_import_waits_for_its_end(
    number: signal.Signals, expected: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_import.py").write_text(
        f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(0.03)\nfinished = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(expected), signals_raise():  # noqa: PT012 (it must not be the import that raises)
        import slow_to_import  # type: ignore[import-not-found]

        time.sleep(5)
    assert sys.modules.pop("slow_to_import").finished
    del slow_to_import


@pytest.mark.parametrize(("number", "expected"), BOTH)
def test_one_that_a_finalizer_drops_comes_again(
    number: signal.Signals, expected: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    class Held:
        pass

    def callback(_: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(1)

    with pytest.raises(expected), signals_raise():  # noqa: PT012
        held = Held()
        kept = weakref.ref(held, callback)
        del held
        time.sleep(5)
    assert kept() is None
    assert capfd.readouterr().err == ""


def test_other_exceptions_of_finalizers_are_shown_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Held:
        def __del__(self) -> None:
            raise ValueError

    shown = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: shown.append(unraisable.exc_type))
    with signals_raise():
        held = Held()
        del held
    assert shown == [ValueError]


def test_one_that_was_ignored_before_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_raise():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_process_about_to_exit_ignores_them() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    try:
        with signals_raise(ignored_after=True):
            pass
        assert all(signal.getsignal(number) is signal.SIG_IGN for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_processes_of_a_killed_run_die_with_it(tmp_path: Path) -> None:
    long = ("--set", "training.epochs=1000000", "--set", "training.early_stopping=", "--jobs", "2")
    long += ("--engine", "numpy")  # compiled steps need no processes
    command = [sys.executable, "-m", "dlrun", "crossval", "wine", "--out", "a", *long]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 30
    while len(workers := children.read_text().split()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while (left := [worker for worker in workers if runs(worker)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == []
    short = ("--folds", "2", "--set=training.epochs=1", "--quiet", "--overwrite", "--out", "a")
    again = subprocess.run([sys.executable, "-m", "dlrun", "crossval", "wine", *short], cwd=tmp_path, check=False)
    assert again.returncode == 0


def runs(process: str) -> bool:
    """Whether the process is there and not merely unreaped."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
