"""The program `dlrun`: its entry point and its exit status.

Nothing heavy is imported here: `dlrun --help` must answer at once, and a command that needs pandas or
the training core imports it when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from dlrun.cli.signals import signals_raise


def main() -> NoReturn:
    """Run the command that the program's arguments name, and exit with its status."""
    sys.exit(run(sys.argv[1:], exiting=True))


def run(arguments: Sequence[str], *, exiting: bool = False) -> int:
    """Run one command line and return its exit status. No exception leaves here.

    0 done, 1 the answer is no, 2 a wrong request, configuration or data, 3 the machine failed, 130 and 143
    stopped by SIGINT and SIGTERM. With `exiting`, the process ends after it, and signals are ignored until then.
    """
    with signals_raise(ignored_after=exiting):
        try:
            _accept_any_text()
            _let_idle_threads_sleep()
            status = _invoke(list(arguments))
            sys.stdout.flush()
        except BaseException as error:
            from dlrun.cli.failures import report_failure

            status = report_failure(error, arguments)
            _drop_unwritable_output()
    return status


def _invoke(arguments: list[str]) -> int:
    import typer

    from dlrun.cli.commands import build
    from dlrun.cli.failures import WRONG_REQUEST

    group = build()
    if "_DLRUN_COMPLETE" in os.environ:  # the shell asks for completions, which Typer answers itself
        group.main(args=arguments, prog_name="dlrun")
    if not arguments:
        print(group.make_context("dlrun", [], resilient_parsing=True).get_help(), file=sys.stderr)
        return WRONG_REQUEST
    try:
        with group.make_context("dlrun", arguments) as context:
            group.invoke(context)
    except typer.Exit as request:
        return request.exit_code
    return 0


def _accept_any_text() -> None:
    """Let output never fail on a character that the terminal's encoding does not have, or where it is closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed before the program began, as by >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (for as long as the process)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _let_idle_threads_sleep() -> None:
    """Have OpenBLAS's threads wait 10 µs for the next product, not 20 ms, before they leave their core to others.

    Between two products the optimizer takes a core that they would hold: a step of a large network takes a fifth
    less time. OpenBLAS reads this as it is loaded, with NumPy, which no command has imported yet.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "15")  # 2^15 ticks of the processor's clock


def _drop_unwritable_output() -> None:
    """Where standard output is closed or full, keep Python from complaining again as it shuts down."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
