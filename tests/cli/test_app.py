"""The frame of the command line: statuses, messages, signals, speed."""

from __future__ import annotations

import errno
import importlib
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dlrun.cli import commands
from dlrun.cli.failures import describe
from dlrun.cli.signals import Terminated, signals_raise
from dlrun.errors import AnswerIsNoError, ConfigError, MachineError

PROGRAM = [sys.executable, "-m", "dlrun"]
HEAVY = {
    "numpy",
    "pandas",
    "scipy",
    "rich",
    "pydantic",
    "pyarrow",
    "matplotlib",
    "safetensors",
    "cupy",
    "filelock",
}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make `dlrun fail` a command that raises the given exception."""

    def install(error: BaseException) -> None:
        def command(debug: bool = False) -> None:
            raise error

        module = ModuleType("dlrun.cli.fail")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "dlrun.cli.fail", module)
        monkeypatch.setitem(commands.COMMANDS, "fail", "Fails.")

    return install


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (AnswerIsNoError("the check failed"), 1, "dlrun: the check failed\n"),
        (ConfigError("wrong\n  key"), 2, "dlrun: wrong\n  key\n"),
        (ConfigError("wrong \x1b[31m"), 2, "dlrun: wrong \\u001b[31m\n"),
        (MachineError("no device"), 3, "dlrun: no device\n"),
        (MemoryError(), 3, "dlrun: out of memory; a smaller training.batch_size needs less\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "a.csv"),
            3,
            "dlrun: a.csv: no space left on device\n",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "a"),
            2,
            "dlrun: a: no such file or directory\n",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "a"), 2, "dlrun: a: permission denied\n"),
        (KeyboardInterrupt(), 130, "dlrun: interrupted\n"),
        (Terminated(), 143, "dlrun: terminated\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 3, "dlrun: broken pipe\n"),
    ],
)
def test_failures(error: BaseException, status: int, message: str, dlrun: Any, failing: Any) -> None:
    failing(error)
    result = dlrun("fail")
    assert (result.status, result.stdout, result.stderr) == (status, "", message)


def test_an_error_of_ours_is_said_without_a_traceback(dlrun: Any, failing: Any) -> None:
    failing(ZeroDivisionError("float division by zero"))
    result = dlrun("fail")
    assert result.status == 3
    assert "an error in dlrun itself: ZeroDivisionError: float division by zero (test_app.py, line" in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback(dlrun: Any, failing: Any) -> None:
    failing(ConfigError("wrong"))
    result = dlrun("fail", "--debug")
    assert result.status == 2
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("dlrun: wrong\n")


def test_errors_of_the_gpu_are_the_machine_s() -> None:
    lost = type("CUDARuntimeError", (RuntimeError,), {"__module__": "cupy_backends.cuda.api.runtime"})
    full = type("OutOfMemoryError", (MemoryError,), {"__module__": "cupy.cuda.memory"})
    assert describe(lost("cudaErrorDeviceLost")) == (
        3,
        "dlrun: the GPU failed: cudaErrorDeviceLost; --device cpu runs without it",
    )
    assert describe(full("Out of memory allocating 8 bytes"))[0] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shwo"], "dlrun: no such command 'shwo'; did you mean 'show'?"),
        (["zzz"], "dlrun: no such command 'zzz'; there are "),
        (["--versoin"], "dlrun: no such option '--versoin'; did you mean '--version'?"),
        (["show", "--sed", "1"], "dlrun show: no such option '--sed'; did you mean '--seed'?"),
        (["show", "--seed", "one"], "dlrun show: invalid value 'one' for '--seed'"),
        (["show", "--seed=-1"], "dlrun show: invalid value '-1' for '--seed'"),
        (["show", "a", "b"], "dlrun show: got unexpected extra argument"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, dlrun: Any) -> None:
    result = dlrun(*arguments)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
    assert " --help'." in result.stderr


def test_no_command_shows_the_help(dlrun: Any) -> None:
    result = dlrun()
    assert (result.status, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


def test_version(dlrun: Any) -> None:
    from dlrun import __version__

    assert dlrun("--version") == type(dlrun())(0, f"dlrun {__version__}\n", "")


def test_help_names_every_command(dlrun: Any) -> None:
    shown = dlrun("--help").stdout
    for name in commands.COMMANDS:
        assert f"\n  {name} " in shown


@pytest.mark.parametrize("name", list(commands.COMMANDS))
def test_every_command_has_the_common_options(name: str, dlrun: Any) -> None:
    shown = dlrun(name, "--help").stdout
    for option in ("--quiet", "--json", "--debug", "--help"):
        assert option in shown
    assert inspect.getdoc(importlib.import_module(f"dlrun.cli.{name}").command)


def test_help_loads_nothing_heavy_and_is_quick(cpu_seconds: Any) -> None:
    script = "import sys; from dlrun.cli.app import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(found.stderr.split())
    assert cpu_seconds("--help") < 0.3


def test_loading_a_command_s_options_loads_nothing_heavy() -> None:
    script = (
        "import sys; from dlrun.cli import commands; [commands.load(n) for n in commands.COMMANDS];print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(found.stdout.split())


def test_a_closed_pipe_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run([*PROGRAM, "--help"], stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_standard_output() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*PROGRAM, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (3, b"dlrun: no space left on device\n")


def test_text_that_the_encoding_lacks() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*PROGRAM, "--é"], capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert b"no such option '--\\xe9'" in done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals(number: signal.Signals, status: int, dlrun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned = []

    def command(debug: bool = False) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        finally:
            cleaned.append(True)

    monkeypatch.setitem(sys.modules, "dlrun.cli.wait", SimpleNamespace(command=command))  # type: ignore[arg-type]
    monkeypatch.setitem(commands.COMMANDS, "wait", "Waits.")
    before = signal.getsignal(signal.SIGTERM)
    assert dlrun("wait").status == status
    assert cleaned == [True]
    assert signal.getsignal(signal.SIGTERM) is before


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals_raise():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_list(dlrun: Any) -> None:
    found = json.loads(dlrun("list", "--json").stdout)
    assert "digits" in [item["name"] for item in found["experiments"]]
    assert {"name", "task", "target", "about"} == found["data_sets"][0].keys()
    assert "spirals" in [item["name"] for item in found["generators"]]
    plain = dlrun("list").stdout
    assert "digits" in plain
    assert not set("│─╭\x1b") & set(plain)


def test_info(dlrun: Any) -> None:
    found = json.loads(dlrun("info", "--json").stdout)
    assert found["versions"]["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert isinstance(found["device"]["gpu"], bool)
    assert found["device"]["reason"]
    assert found["cpu"]["processors"] >= 1
    assert found["device"]["reason"].split(";")[0] in dlrun("info").stdout


def test_info_where_the_system_tells_no_affinity(dlrun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert json.loads(dlrun("info", "--json").stdout)["cpu"]["processors"] == os.cpu_count()


def test_show_can_be_saved_and_shown_again(dlrun: Any, tmp_path: Path) -> None:
    first = dlrun("show", "digits", "--seed", "3", "--set", "optimizer.learning_rate=0.25")
    assert first.status == 0
    (tmp_path / "again.toml").write_text(first.stdout)
    again = dlrun("show", str(tmp_path / "again.toml"))
    assert again.stdout == first.stdout
    found = json.loads(dlrun("show", str(tmp_path / "again.toml"), "--json").stdout)
    assert (found["seed"], found["optimizer"]["learning_rate"]) == (3, 0.25)


def test_show_of_nothing(dlrun: Any) -> None:
    result = dlrun("show", "digist")
    assert (result.status, result.stdout) == (2, "")
    assert "digits" in result.stderr


def test_every_built_command_is_listed() -> None:
    files = {path.stem for path in Path(commands.__file__).parent.glob("*.py")}
    frame = {"__init__", "app", "commands", "failures", "options", "signals"}
    built = {n for n in files - frame if hasattr(importlib.import_module(f"dlrun.cli.{n}"), "command")}
    assert built == set(commands.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("train", "iris", "--epochs", "5"), "training.epochs=5"),
        (("tune", "--batch-size=5"), "training.batch_size=5"),
        (("train", "--training.epochs", "5"), "training.epochs=5"),
        (("train", "--lr", "0.1"), "optimizer.learning_rate=…"),
        (("train", "--dropout", "0.2"), "model.keep_prob=…"),  # what is kept is not what is dropped
        (("train", "--epochs", "--json"), "training.epochs=…"),
    ],
)
def test_a_key_given_as_an_option(arguments: tuple[str, ...], key: str, dlrun: Any) -> None:
    assert f"it is a key of the experiment: --set {key}\n" in dlrun(*arguments).stderr
    assert "key of the experiment" not in dlrun("show", "--sed", "1").stderr


@pytest.mark.parametrize(("wrong", "right"), [("--lr", "--learning-rate"), ("--stpes", "--steps")])
def test_an_option_that_is_nearly_one_or_another_name_of_one(wrong: str, right: str, dlrun: Any) -> None:
    assert f"did you mean {right!r}?" in dlrun("minimize", "x**2", wrong, "1").stderr


def test_an_expression_that_begins_with_a_minus(dlrun: Any) -> None:
    assert "needs a space before it: ' -x + x**2'\n" in dlrun("minimize", "-x + x**2").stderr
    assert dlrun("minimize", " -x + x**2", "--quiet").status == 0
