"""Draw what a command prints on a terminal: `python docs/images/draw_run.py run.svg dlrun crossval --folds 10`.

The command is really run, on a pseudo-terminal, in a temporary folder; its live bar is left out of the picture.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from contextlib import suppress
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 96


def printed(command: list[str]) -> str:
    """Everything that the command writes to its terminal."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    chunks: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(command, stdout=there, stderr=there, cwd=folder, env=environment)
        os.close(there)
        with suppress(OSError):  # how a pseudo-terminal tells that its other end is closed
            while chunk := os.read(here, 1 << 16):
                chunks.append(chunk)
        process.wait()
    os.close(here)
    return b"".join(chunks).decode()


if __name__ == "__main__":
    target = Path(__file__).with_name(sys.argv[1])
    command = sys.argv[2:]
    output = printed(command)
    output = output.rsplit("\x1b[?25h", 1)[-1].replace("\r\n", "\n").strip("\r\n")
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    console.print(f"[green]$[/] {' '.join([Path(command[0]).name, *command[1:]])}")
    console.print(Text.from_ansi(output))
    console.save_svg(str(target), title="dlrun", unique_id=target.stem)
