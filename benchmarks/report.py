"""Pages of results: Markdown for readers, and the raw figures beside it as JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def machine(versions: Mapping[str, str]) -> str:
    """One paragraph: date, processor, versions, and how busy the machine was."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        f"{', ' if libraries else ''}{libraries}; load average at the end {load:.1f}."
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def save(name: str, page: str, raw: Mapping[str, Any]) -> None:
    """results/NAME.md and results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(page, encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
