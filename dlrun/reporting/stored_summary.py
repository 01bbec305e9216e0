"""The summary of a finished run, read back."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from dlrun.errors import RunError
from dlrun.reporting.integrity import refuse_odd_files, verify

SUMMARY = "summary.json"
_MOST = 3  # runs that a message names


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
