"""Work in forked processes: everything comes back, errors too, and nobody is left behind."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time

import pytest

from dlrun.errors import DataError, MachineError
from dlrun.training import workers
from dlrun.training.workers import can_fork, side_by_side

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes are not forked here")


def count(to):
    for number in range(to):
        yield number, os.getpid()


def children():
    """Processes begun by this one that are not yet waited for."""
    try:
        return os.waitpid(-1, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return False


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_all_items_are_done_in_order_within_each(jobs):
    found = list(side_by_side([3, 0, 4, 2], count, jobs=jobs))
    for place, to in enumerate([3, 0, 4, 2]):
        assert [value[0] for at, value in found if at == place] == list(range(to))
    processes = {value[1] for _, value in found}
    assert os.getpid() not in processes
    assert len(processes) <= jobs
    assert not children()


def test_an_exception_comes_back_as_it_is():
    def work(item):
        yield item
        raise DataError(f"item {item} is wrong")

    with pytest.raises(DataError, match="item 1 is wrong"):
        list(side_by_side([1], work, jobs=1))
    assert not children()


def test_an_exception_that_cannot_be_sent_comes_back_as_text():
    class OddError(Exception):
        def __init__(self, a, b):
            super().__init__("odd")

    def work(item):
        raise OddError(1, 2)
        yield

    with pytest.raises(RuntimeError, match="OddError: odd"):
        list(side_by_side([1], work, jobs=1))


@pytest.mark.parametrize(
    ("how", "advice"),
    [
        (signal.SIGKILL, "where memory runs out: --jobs 1 needs less"),
        (signal.SIGTERM, "where memory runs out: --jobs 1 needs less"),
        (signal.SIGSEGV, "--jobs 1 starts none"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_process_that_is_killed_while_it_works_is_an_error_that_says_so(how, advice):
    def work(item):
        yield os.getpid()
        faulthandler.disable()  # pytest's, which would print the stack
        os.kill(os.getpid(), how)

    with pytest.raises(MachineError, match=rf"process \d+, which .* was ended by {how.name}; .*{advice}$") as raised:
        list(side_by_side([1, 2], work, jobs=2))
    assert ("memory" in str(raised.value)) == (how is not signal.SIGSEGV)
    assert not children()


def test_a_process_that_is_killed_between_two_items_is_an_error_that_says_so():
    """It waits for its next item, and the parent, busy with what came before, finds a broken pipe as it sends that."""
    running = side_by_side([1, 1, 1, 1], count, jobs=1)
    _, (_, process) = next(running)
    time.sleep(0.2)  # the item has been sent whole, and its end too
    os.kill(process, signal.SIGKILL)
    _wait_for_end(process)
    with pytest.raises(MachineError, match=rf"process {process}, .* was ended by SIGKILL"):
        list(running)
    assert not children()


def test_a_process_that_is_killed_before_its_first_item_is_an_error_that_says_so(monkeypatch):
    forked = workers._forked

    def killed():
        process = forked()
        if process:
            os.kill(process, signal.SIGKILL)
            _wait_for_end(process)
        return process

    monkeypatch.setattr(workers, "_forked", killed)
    with pytest.raises(MachineError, match="was ended by SIGKILL"):
        list(side_by_side([1, 2], count, jobs=2))
    assert not children()


def test_a_process_that_is_killed_within_a_message_is_an_error_that_says_so():
    def work(item):
        yield os.getpid()
        yield bytes(1 << 26)  # far more than a pipe holds

    running = side_by_side([1], work, jobs=1)
    _, process = next(running)
    time.sleep(0.3)  # it has filled the pipe, and waits for a reader
    os.kill(process, signal.SIGKILL)
    with pytest.raises(MachineError, match=rf"process {process}, .* was ended by SIGKILL"):
        list(running)
    assert not children()


def test_a_process_that_ends_by_itself_is_told_by_its_status():
    def work(item):
        yield 0
        os._exit(7)

    with pytest.raises(MachineError, match=r"ended with status 7; --jobs 1 starts none$"):
        list(side_by_side([1], work, jobs=1))


def test_a_process_that_was_stopped_goes_on():
    def work(item):
        yield os.getpid()
        yield "done"

    running = side_by_side([1, 2], work, jobs=1)
    _, process = next(running)
    os.kill(process, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (process, signal.SIGCONT)).start()
    assert [value for _, value in running if value == "done"] == ["done", "done"]


@pytest.mark.parametrize("state", ["working", "sending", "waiting"])
def test_a_stopped_process_is_ended_too(state):
    def work(item):
        yield os.getpid()
        if state == "working":
            time.sleep(60)
        elif state == "sending":
            yield bytes(1 << 26)  # far more than a pipe holds

    running = side_by_side([1, 2], work, jobs=1)
    _, process = next(running)
    time.sleep(0.2)  # it has come to the state
    os.kill(process, signal.SIGSTOP)
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 30
    assert not children()


def _wait_for_end(process):
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)


def test_leaving_early_ends_the_processes():
    def work(item):
        yield os.getpid()
        time.sleep(60)
        yield 0

    began = time.monotonic()
    running = side_by_side([1, 2], work, jobs=2)
    _, process = next(running)
    running.close()
    assert time.monotonic() - began < 30
    assert not children()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_process_whose_parent_is_gone_ends():
    """It finds its pipe closed at the next thing that it wants to send."""
    reading, writing = os.pipe()
    parent = os.fork()
    if not parent:

        def work(item):
            while True:
                time.sleep(0.01)
                yield os.getpid()

        for _, process in side_by_side([1], work, jobs=1):
            os.write(writing, f"{process}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    process = int(os.read(reading, 100))
    for _ in range(500):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            break
        if _is_zombie(process):
            break
        time.sleep(0.01)
    else:
        pytest.fail("the process goes on")


def _is_zombie(process):
    with open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"
