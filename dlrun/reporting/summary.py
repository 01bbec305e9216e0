"""The part of `summary.json` that every command writes."""

from __future__ import annotations

from typing import Any

from dlrun.reporting.versions import versions


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
