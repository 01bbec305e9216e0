"""`summary.json`: what every command writes into it, and reading it back."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from dlrun.errors import RunError
from dlrun.runs.integrity import refuse_odd_files, verify
from dlrun.runs.versions import versions

SUMMARY = "summary.json"
_MOST = 3  # runs that a message names


def common_summary(
    *,
    command: str,
    seed: int,
    device: str,
    parameters: int,
    seconds: float,
    data_hash: str | None,
    split_hash: str | None,
) -> dict[str, Any]:
    """What was run, on what, how long it took, and hashes by which two runs can be told comparable.

    `parameters` counts the trainable numbers of one model; `seconds` is wall-clock time; the hashes are
    SHA-256 in hexadecimal, None where there is no data or no split.
    """
    return {
        "command": command,
        "seed": seed,
        "device": device,
        "parameters": parameters,
        "seconds": round(seconds, 3),
        "versions": versions(),
        "data_hash": data_hash,
        "split_hash": split_hash,
    }


def read_summary(folder: Path, *, check: bool = False) -> dict[str, Any]:
    """What `summary.json` of this folder says. RunError where it is missing, which names runs below, or damaged.

    With `check`, also where a file of the run is not as the run left it.
    """
    refuse_odd_files(folder)
    path = folder / SUMMARY
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"{folder}: no finished run: there is no {SUMMARY} in this folder, which a command of dlrun writes last"
            f"{_below(folder)}"
        ) from None
    except (ValueError, RecursionError) as error:  # a wrong encoding is a ValueError too
        raise RunError(f"{path}: damaged: {error}") from None
    if not isinstance(summary, dict):
        raise RunError(f"{path}: damaged: holds no JSON object")
    if check:
        verify(folder, summary)
    return summary


def _below(folder: Path) -> str:
    """The finished runs in this folder's folders, where it holds those of an experiment."""
    found = [str(path.parent) for path in islice(sorted(folder.glob(f"*/{SUMMARY}")), _MOST + 1)]
    if not found:
        return ""
    return f"; there is one in {', '.join(found[:_MOST])}{', …' if len(found) > _MOST else ''}"
