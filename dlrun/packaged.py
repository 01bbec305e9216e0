"""Where the experiments and data sets that come with dlrun lie.

In a checkout they are the top-level folders `experiments/` and `datasets/`; in a wheel the same
folders travel inside the package, as `dlrun/_packaged/experiments` and `dlrun/_packaged/datasets`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from dlrun.errors import RunError

Kind = Literal["experiments", "datasets"]
GALLERY = "gallery"  # the folder among the experiments


def packaged_dir(kind: Kind) -> Path:
    """The folder with the packaged experiments (`*.toml`) or data sets (`*.csv` with a card `*.md`).

    Raises RunError where the installation lacks it.
    """
    package = Path(__file__).resolve().parent
    candidates = (package / "_packaged" / kind, package.parent / kind)
    for folder in candidates:
        if folder.is_dir():
            return folder
    looked = " and ".join(str(folder) for folder in candidates)
    raise RunError(f"the packaged {kind} are missing (looked in {looked}); install dlrun again")


def packaged_experiments() -> tuple[str, ...]:
    """The names of the packaged experiments, sorted."""
    return tuple(sorted(file.stem for file in packaged_dir("experiments").glob("*.toml")))


def gallery_experiments() -> tuple[str, ...]:
    """The names of the packaged experiments of the gallery, one for each figure of the course texts, sorted."""
    return tuple(sorted(file.stem for file in (packaged_dir("experiments") / GALLERY).glob("*.toml")))
