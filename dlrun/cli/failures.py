"""What is said, and which status is given, when a command ends by an exception."""

from __future__ import annotations

import difflib
import errno
import os
import select
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlrun.cli.signals import Interrupted, Terminated, ignore_further_signals
from dlrun.errors import DlrunError
from dlrun.text import neutralize

WRONG_REQUEST = 2
MACHINE_FAILED = 3
INTERRUPTED = 130
TERMINATED = 143

_LONGEST = 4000  # characters of a message

# Errors of the operating system that no change to the request would mend.
_MACHINE_ERRORS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.EMFILE,
        errno.ENFILE,
        errno.EROFS,
        errno.ESTALE,
        errno.ENODEV,
        errno.ENXIO,
        errno.EPIPE,
    }
)


def report_failure(error: BaseException, arguments: Sequence[str] = ()) -> int:
    """Say on standard error what went wrong and return the exit status.

    `arguments` is the command line: with --debug in it the traceback is shown, and a wrong value of an
    option is quoted from it.
    """
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return 0
    ignore_further_signals()
    if isinstance(error, BrokenPipeError) and _reader_has_gone(error):
        return 0  # whoever reads the output has seen enough; `dlrun list | head -3` is no failure
    status, message = describe(error, arguments)
    trace = "".join(traceback.format_exception(error)) if "--debug" in arguments else ""
    with suppress(BrokenPipeError):  # nobody reads standard error; the status still tells
        print(neutralize(trace + _cut(message), keep_lines=True), file=sys.stderr)
    return status


def _reader_has_gone(error: BrokenPipeError) -> bool:
    """Whether the pipe is that of standard output, and nobody reads it any more: it may also be another one."""
    try:
        standard_output = sys.stdout.fileno()
        if error.filename is not None and not os.path.samestat(os.stat(error.filename), os.fstat(standard_output)):
            return False
    except (OSError, ValueError):
        return False  # no stream of the system, or a file that is gone
    if not hasattr(select, "poll"):
        return True  # where pipes cannot be asked
    poll = select.poll()
    poll.register(standard_output, select.POLLOUT)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


def _cut(message: str) -> str:
    """The message without the middle of a very long one, as a name of megabytes would make it."""
    if len(message) <= _LONGEST:
        return message
    return f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 2 :]}"


def describe(error: BaseException, arguments: Sequence[str] = ()) -> tuple[int, str]:
    """The exit status and the message for an exception."""
    if isinstance(error, DlrunError):
        return error.exit_status, f"dlrun: {error}"
    if isinstance(error, (Interrupted, KeyboardInterrupt)):
        return INTERRUPTED, "dlrun: interrupted"
    if isinstance(error, Terminated):
        return TERMINATED, "dlrun: terminated"
    if hasattr(error, "format_message"):  # Typer's errors of usage, by whichever Click it brings
        return _describe_usage(error, arguments)
    if isinstance(error, SystemExit):
        return (error.code if isinstance(error.code, int) else MACHINE_FAILED), f"dlrun: {error}"
    if type(error).__module__.partition(".")[0] == "cupy_backends" or _is_of(error, "cupy"):
        return MACHINE_FAILED, f"dlrun: the GPU failed: {_first_line(error)}; --device cpu runs without it"
    if isinstance(error, MemoryError):
        detail = f": {error}" if str(error) else ""
        return MACHINE_FAILED, f"dlrun: out of memory{detail}; a smaller training.batch_size needs less"
    if isinstance(error, OSError):
        return _describe_os_error(error)
    return MACHINE_FAILED, (
        f"dlrun: an error in dlrun itself: {type(error).__name__}: {_first_line(error)}{_place(error)}; "
        "with --debug the traceback is shown"
    )


def _describe_usage(error: Any, arguments: Sequence[str]) -> tuple[int, str]:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "dlrun"
    message = error.format_message()
    if type(error).__name__ == "NoSuchOption":
        message = f"no such option {error.option_name!r}{_nearest_option(error.option_name, context, arguments)}"
    elif message.startswith("Invalid value for") and (given := _given_value(error, arguments)):
        message = message.replace("Invalid value for", f"invalid value {given!r} for", 1)
    message = message[:1].lower() + message[1:].rstrip(".")
    return WRONG_REQUEST, f"{path}: {message}\nSee '{path} --help'."


def _given_value(error: Any, arguments: Sequence[str]) -> str | None:
    """What the command line gives for the option that the error is about."""
    for name in getattr(getattr(error, "param", None), "opts", ()):
        for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
            if argument == name:
                return following
            if argument.startswith(f"{name}="):
                return argument.removeprefix(f"{name}=")
    return None


def _nearest_option(wrong: str, context: Any, arguments: Sequence[str]) -> str:
    if context is None:
        return ""
    parameters = context.command.get_params(context)
    known = {name.lstrip("-"): name for parameter in parameters for name in parameter.opts if name.startswith("--")}
    if not wrong.startswith("--") and any(parameter.name == "expression" for parameter in parameters):
        given = next((argument for argument in arguments if argument.startswith(wrong)), wrong)
        return f"; an expression that begins with a minus needs a space before it: {f' {given}'!r}"
    name = wrong.lstrip("-").replace("-", "_")
    key = _key_called(name) if "set" in known else None
    own_option = key[-1].replace("_", "-") if key else ""
    if key and own_option not in known:
        value = _value_after(wrong, arguments) if key[-1] == name.split(".")[-1] else "…"
        return f"; it is a key of the experiment: --set {'.'.join(key)}={value}"
    near = [own_option] if key else difflib.get_close_matches(wrong.lstrip("-"), known, n=1)
    return f"; did you mean {known[near[0]]!r}?" if near else f"; there are {', '.join(sorted(known.values()))}"


def _key_called(name: str) -> tuple[str, ...] | None:
    """The experiment's key of this name, dotted or its last part, or that others call so."""
    from dlrun.config.keys import all_keys
    from dlrun.config.problems import OTHER_NAMES

    path = tuple(name.split("."))
    found = [key for key, doc in all_keys().items() if key[-len(path) :] == path and not doc.table]
    return min(found, key=len) if found else OTHER_NAMES.get(name)


def _value_after(option: str, arguments: Sequence[str]) -> str:
    """The value that the command line gives this option, which the command does not have."""
    for argument, following in zip(arguments, [*arguments[1:], "-"], strict=True):
        if argument == option and not following.startswith("-"):
            return following
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
    return "…"


def _describe_os_error(error: OSError) -> tuple[int, str]:
    status = MACHINE_FAILED if error.errno in _MACHINE_ERRORS else WRONG_REQUEST
    reason = error.strerror or _first_line(error)
    where = f"{error.filename}: " if error.filename is not None else ""
    return status, f"dlrun: {where}{reason[:1].lower()}{reason[1:]}"


def _is_of(error: BaseException, package: str) -> bool:
    return any(kind.__module__.partition(".")[0] == package for kind in type(error).__mro__)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
