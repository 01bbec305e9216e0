"""`dlrun list`: what there is to run, and on what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.cli.options import DebugOption, JsonOption, QuietOption

if TYPE_CHECKING:
    from dlrun.reporting.tables import Table


def command(quiet: QuietOption = False, json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the experiments, the data sets and the generators of data that come with dlrun."""
    from dlrun.reporting.output import Output

    found = available()
    Output(quiet=quiet, json=json).result(found, *tables(found))


def available() -> dict[str, list[dict[str, Any]]]:
    """Experiments, data sets and generators, each with its name and what it is about."""
    from dlrun.data.generators import GENERATORS
    from dlrun.data.packaged_sets import PACKAGED
    from dlrun.packaged import GALLERY, gallery_experiments, packaged_dir, packaged_experiments

    folder = packaged_dir("experiments")
    return {
        "experiments": [
            {"name": name, "about": first_comment(folder / f"{name}.toml")} for name in packaged_experiments()
        ],
        "gallery": [
            {"name": name, "about": first_comment(folder / GALLERY / f"{name}.toml")} for name in gallery_experiments()
        ],
        "data_sets": [
            {"name": name, "task": item.task, "target": item.target, "about": item.description}
            for name, item in PACKAGED.items()
        ],
        "generators": [
            {"name": name, "task": item.task, "target": item.target, "about": item.description}
            for name, item in GENERATORS.items()
        ],
    }


def first_comment(path: Path) -> str:
    """The comment that an experiment's file begins with, up to its first line without '#'."""
    words: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# ").rstrip())
    return " ".join(words)


def tables(found: dict[str, list[dict[str, Any]]]) -> list[Table]:
    """What `command` shows a person."""
    from dlrun.reporting.tables import Table

    experiments = Table(
        title="Experiments",
        columns=["name", "about"],
        footnotes=["dlrun train NAME runs one; dlrun show NAME prints it as TOML."],
    )
    for item in found["experiments"]:
        experiments.add(item["name"], item["about"])
    gallery = Table(
        title="Gallery",
        columns=["name", "about"],
        footnotes=["They are run like the others; docs/gallery.md shows their pictures."],
    )
    for item in found["gallery"]:
        gallery.add(item["name"], _first_sentence(item["about"]))
    sets = Table(title="Data sets", columns=["data.source", "task", "data.target", "about"])
    generators = Table(title="Generators of data", columns=["data.source", "task", "data.target", "about"])
    for table, kind in ((sets, "data_sets"), (generators, "generators")):
        for item in found[kind]:
            table.add(item["name"], item["task"], item["target"], item["about"])
    return [experiments, gallery, sets, generators]


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".") + "."
