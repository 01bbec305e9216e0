"""Which versions of what took part in a run."""

from __future__ import annotations

import platform
from importlib import metadata

import dlrun

LIBRARIES = ("numpy", "scipy", "pandas", "pydantic", "safetensors", "typer", "rich")
# The names CuPy is distributed under, and the optional reader of Parquet files.
CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy")
OPTIONAL = ("pyarrow",)


def library_version(*names: str) -> str | None:
    """The installed version of the first of these distributions that is there, without importing it."""
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def versions() -> dict[str, str | None]:
    """Python, dlrun and the libraries it stands on; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version(), "dlrun": dlrun.__version__}
    for name in LIBRARIES:
        found[name] = library_version(name)
    found["cupy"] = library_version(*CUPY)
    for name in OPTIONAL:
        found[name] = library_version(name)
    return found
