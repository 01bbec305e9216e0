"""Work in forked processes: everything comes back, errors too, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import time

import pytest

from dlrun.errors import DataError, MachineError
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


def test_a_process_that_is_killed_is_an_error_that_says_so():
    def work(item):
        yield os.getpid()
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(MachineError, match=r"ended from outside.*memory"):
        list(side_by_side([1, 2], work, jobs=2))
    assert not children()


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
