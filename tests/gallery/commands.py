"""The commands by which `make` draws the pictures of the gallery, as the page shows them."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def recipes(target: str) -> tuple[str, ...]:
    """The lines that `make` would run for a target, everything being out of date."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "-nB", target], cwd=ROOT, env=clean, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return tuple(done.stdout.splitlines())


def pictures() -> list[str]:
    """The names of all pictures, in the order in which they are made."""
    drawn = [re.search(r"--out docs/images/gallery/(\w+)\.png", line) for line in recipes("gallery")]
    return [found[1] for found in drawn if found]


def commands_of(picture: str) -> list[str]:
    """What a reader would type: without what is only there for make, experiments by their names."""
    lines = [
        line for line in recipes(f"gallery-{picture}") if line.startswith((".venv/bin/dlrun", ".venv/bin/python exp"))
    ]
    return [_shown(line) for line in lines if ".svg" not in line]


def _shown(line: str) -> str:
    line = line.removeprefix(".venv/bin/").replace(" --overwrite", "").replace(" --quiet", "")
    line = re.sub(r"experiments/(?:gallery/)?(\w+)\.toml", r"\1", line)
    return line.replace("docs/images/gallery/", "").rstrip()
