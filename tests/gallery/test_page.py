"""The page of the gallery shows every picture, with the commands that draw it; its experiments load by their names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from gallery.commands import ROOT, commands_of, pictures

from dlrun.config import load_experiment
from dlrun.packaged import GALLERY, gallery_experiments, packaged_dir, packaged_experiments

PAGE = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
SPANISH = (ROOT / "docs/galeria.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"!\[[^\]]+\]\(images/gallery/(\w+)\.png\)\n\n    make gallery-(\w+)\n", PAGE)
LIMIT = 6_000_000
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


@needs_make
def test_every_picture_is_shown_with_the_command_that_makes_it() -> None:
    assert all(picture == command for picture, command in SHOWN)
    assert sorted(picture for picture, _ in SHOWN) == sorted(pictures())


@needs_make
@pytest.mark.parametrize("picture", [picture for picture, _ in SHOWN])
def test_the_commands_are_those_that_make_runs(picture: str) -> None:
    shown = PAGE.split(f"    make gallery-{picture}\n")[1].split("```sh\n")[1].split("\n```")[0].splitlines()
    assert shown == commands_of(picture)


@needs_make
def test_the_spanish_page_names_targets_that_there_are() -> None:
    assert set(re.findall(r"make gallery-(\w+)\n", SPANISH)) <= set(pictures())


def test_pictures_are_there_and_small() -> None:
    there = {path.stem: path for path in (ROOT / "docs/images/gallery").glob("*.png")}
    assert set(there) == {picture for picture, _ in SHOWN}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in there.values())
    assert sum(path.stat().st_size for path in there.values()) < LIMIT


@pytest.mark.parametrize("name", gallery_experiments())
def test_experiments_load_by_their_own_name_and_say_what_they_show(name: str) -> None:
    assert load_experiment(name).experiment.name == name
    text = (packaged_dir("experiments") / GALLERY / f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert f" {name} " in f" {re.sub(r'[^a-z0-9_]', ' ', PAGE)} "


def test_no_name_means_two_experiments() -> None:
    assert not set(gallery_experiments()) & set(packaged_experiments())


def test_list_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    from dlrun.cli.app import run

    assert run(["list"]) == 0
    told = capsys.readouterr().out
    for name in gallery_experiments():
        assert f"\n{name} " in told


@needs_make
def test_what_a_picture_is_made_from_is_made_first(tmp_path: Path) -> None:
    """In a checkout where only one experiment changed, only its runs and pictures are made again."""
    import os
    import subprocess

    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    program = tmp_path / ".venv/bin/dlrun"
    program.parent.mkdir(parents=True)
    program.write_text(
        '#!/bin/sh\necho "$@" >> calls\nwhile [ $# -gt 0 ]; do [ "$1" = --out ] && out=$2; shift; done\n'
        'case $out in *.csv|*.png|*.svg) touch "$out" ;; *) mkdir -p "$out"; touch "$out/summary.json" ;; esac\n'
    )
    (tmp_path / ".venv/bin/python").write_text("#!/bin/sh\n")
    for each in (program, tmp_path / ".venv/bin/python"):
        each.chmod(0o755)
    for stamp in ("pyvenv.cfg", ".installed", ".installed-dev"):
        (tmp_path / ".venv" / stamp).touch()
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}

    def make() -> list[str]:
        subprocess.run(["make", "-s", "gallery"], cwd=tmp_path, env=clean, check=True, capture_output=True)
        log = tmp_path / "calls"
        calls = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return calls

    assert sum("plot" in call for call in make()) == 2 * len(SHOWN)  # PNG and SVG
    assert make() == []
    later = max(path.stat().st_mtime for path in tmp_path.rglob("*")) + 10
    os.utime(tmp_path / "experiments/gallery/dropout.toml", (later, later))
    again = make()
    assert len([call for call in again if call.startswith("train")]) == 2
    assert {Path(call.split("--out ")[1].split()[0]).stem for call in again if call.startswith("plot")} == {
        "dropout",
        "dropout_regions",
    }
