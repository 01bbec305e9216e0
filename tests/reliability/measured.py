"""A process that reads files one after the other, and tells what each took: run as a script, files as arguments.

Linux can forget the high-water mark of the memory; elsewhere it never falls, and a file's share is what it adds.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time


def peak() -> int:
    """The most memory that the process held since `forget`, in bytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget() -> None:
    """Set the high-water mark to what the process holds now."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def command(path: str, sound: str) -> list[str]:
    """The command line that reads the file."""
    if path.endswith(".safetensors"):
        return ["predict", path, "--data", sound]
    return ["train", "--data", path, "--target", "y", "--set", "training.epochs=1", "--device", "cpu"]


def main(sound: str, *paths: str) -> None:
    """Read a sound table in each format first, so that the libraries' own memory is there already."""
    from dlrun.cli.app import run

    for path in (f"{sound}.npz", f"{sound}.parquet"):
        with contextlib.redirect_stdout(io.StringIO()):
            assert run(command(path, sound)) == 0
    for path in paths:
        forget()
        before, began = peak(), time.process_time()
        with contextlib.redirect_stderr(io.StringIO()) as told:
            status = run(command(path, f"{sound}.npz"))
        took = {"bytes": peak() - before, "seconds": time.process_time() - began}
        print(json.dumps({"path": path, "status": status, "told": told.getvalue(), **took}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
