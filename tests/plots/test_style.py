"""Pictures are the same bytes each time, without dates, legible to the colour-blind, and whatever a name holds."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.colors import to_rgb
from plots.made_runs import METRICS, Draw, MakeRun

from dlrun.errors import ConfigError
from dlrun.reporting.plots.names import label
from dlrun.reporting.plots.style import COLOURS, evenly, format_of, power_of_ten, to_bytes

# Viénot, Brettel and Mollon (1999): linear RGB as protanopes and deuteranopes see it.
BLINDNESS = {
    "protan": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deutan": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


@pytest.mark.parametrize("kind", list(BLINDNESS))
def test_no_two_of_the_first_four_colours_look_alike_to_the_colour_blind(kind: str) -> None:
    def seen(colour: str) -> list[float]:
        linear = [c**2.2 for c in to_rgb(colour)]
        return [max(sum(a * b for a, b in zip(row, linear, strict=True)), 0) ** (1 / 2.2) for row in BLINDNESS[kind]]

    for a, b in itertools.combinations(COLOURS[:4], 2):
        distance = sum((x - y) ** 2 for x, y in zip(seen(a), seen(b), strict=True)) ** 0.5
        assert distance > 0.15, (a, b)


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_the_same_picture_is_the_same_file(train_run: Path, draw: Draw, format: str) -> None:
    found = []
    for _ in range(2):
        with draw("cost", train_run) as figure:
            found.append(to_bytes(figure, format))
    assert found[0] == found[1]
    assert b"<dc:date>" not in found[0]
    assert b"/CreationDate" not in found[0]


def test_the_same_picture_in_another_process(train_run: Path, tmp_path: Path) -> None:
    code = "from dlrun.cli.app import run; import sys; sys.exit(run(sys.argv[1:]))"
    found = []
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.svg"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "DISPLAY": "", "MPLBACKEND": "TkAgg"}
        command = [sys.executable, "-W", "error", "-c", code, "plot", str(train_run), "--out", str(out), "--quiet"]
        subprocess.run(command, check=True, env=environment)
        found.append(out.read_bytes())
    assert found[0] == found[1]


HOSTILE = [
    "<script>alert(1)</script>",
    "$x^2$ & $",
    "a\x07b\nc\x1b[31m",
    "\u202egnp.exe",
    "_hidden",
    "中文 😀",
    "\\frac{",
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_drawn_as_text(make_run: MakeRun, draw: Draw, name: str) -> None:
    columns = ("row", "repeat", "fold", "target", "prediction", f"p_{name}", "p_b")
    rows = [(0, 0, 0, "b", "b", 0.2, 0.8), (1, 0, 0, "b", "b", 0.1, 0.9)]
    summary = {"command": "crossval", "task": "classification", "name": name}
    run = make_run("hostile", {**summary}, **{"predictions.csv": (columns, rows)})
    with draw("confusion", run) as figure:
        svg = to_bytes(figure, "svg")
    assert b"<script" not in svg
    assert b"\x1b" not in svg


def test_a_label_shows_escapes_for_what_cannot_be_drawn() -> None:
    assert label("a\x07b") == "a\\u0007b"
    assert label("\u202eabc") == "\\u202eabc"
    assert label("ñandú α ≤ ½") == "ñandú α ≤ ½"
    assert label("中") == "\\u4e2d"
    assert len(label("x" * 200)) == 40


def test_powers_of_ten() -> None:
    assert [power_of_ten(v) for v in (1e-7, 2e-4, 0.01, 1, 100, 1e5, 0)] == [
        "10⁻⁷",
        "2·10⁻⁴",
        "0.01",
        "1",
        "100",
        "10⁵",
        "0",
    ]
    assert power_of_ten(0.01, always=True) == "10⁻²"


@pytest.mark.parametrize(("count", "most"), [(5, 10), (10, 5), (1000, 7), (1, 5), (0, 5)])
def test_evenly_keeps_the_ends(count: int, most: int) -> None:
    found = list(evenly(count, most))
    assert len(found) <= most
    if count:
        assert (found[0], found[-1]) == (0, count - 1)


def test_an_unknown_ending() -> None:
    with pytest.raises(ConfigError, match=r"--out a\.jpg: a picture's name should end in \.png, \.svg or \.pdf"):
        format_of(Path("a.jpg"))


def test_metrics_header_is_that_of_the_file() -> None:
    from dlrun.runs.metrics import COLUMNS

    assert COLUMNS[: len(METRICS)] == METRICS
