"""`dlrun kmeans` as a user runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from dlrun.cli.app import run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three blobs of 60 rows, clustered into 1 to 5."""
    folder = tmp_path_factory.mktemp("kmeans")
    table = folder / "blobs.toml"
    table.write_text('[data]\nsource = "blobs"\nrows = 60\nnoise = 0.5\n', encoding="utf-8")
    assert (
        run(["kmeans", str(table), "--clusters", "1-5", "--starts", "4", "--out", str(folder / "run"), "--quiet"]) == 0
    )
    return folder / "run"


def test_it_finds_as_many_blobs_as_there_are(blobs: Path) -> None:
    summary = json.loads((blobs / "summary.json").read_text(encoding="utf-8"))
    assert (summary["command"], summary["clusters"], summary["sizes"]) == ("kmeans", 3, [20, 20, 20])
    assert summary["rand_index"] == 1.0
    assert [row["silhouette"] is None for row in summary["choices"]] == [True, False, False, False, False]


def test_the_files_agree_with_each_other(blobs: Path) -> None:
    assigned = rows(blobs / "assignments.csv")
    assert len(assigned) == 60
    for centre in rows(blobs / "centres.csv"):
        own = [row for row in assigned if row["cluster"] == centre["cluster"]]
        assert len(own) == int(centre["rows"])
        for name in ("x1", "x2"):
            assert np.mean([float(row[name]) for row in own]) == pytest.approx(float(centre[name]))
    starts, elbow = rows(blobs / "starts.csv"), rows(blobs / "elbow.csv")
    assert len(starts) == 5 * 4
    for row in elbow:
        least = min(float(each["inertia"]) for each in starts if each["clusters"] == row["clusters"])
        assert float(row["inertia"]) == least
    distances = [float(row["distance"]) ** 2 for row in assigned]
    assert sum(distances) == pytest.approx(float(elbow[2]["inertia"]))


def test_both_pictures_are_drawn(blobs: Path) -> None:
    assert run(["plot", str(blobs), "--kind", "all", "--quiet"]) == 0
    for name in ("clusters", "elbow"):
        assert (blobs / f"plot-{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_without_a_target_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("a,b,kind\n0,0,x\n0,1,x\n9,9,y\n9,8,y\n", encoding="utf-8")
    assert run(["kmeans", "--data", str(table), "--clusters", "2", "--out", str(tmp_path / "run"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["features"] == ["a", "b", "kind=x", "kind=y"]
    assert (told["sizes"], told["target"]) == ([2, 2], None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--clusters", "0"], "--clusters 0: should be a whole number from 1"),
        (["--clusters", "5-3"], "--clusters 5-3"),
        (["--clusters", "three"], "--clusters three"),
        (["--clusters", "151"], "--clusters 151: should be from 1 to"),
        (["--start", "kmeans++"], "should be one of k-means++, random"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["kmeans", "iris", "--out", str(tmp_path / "run"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_missing_values_are_named_filled_or_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "gaps.csv"
    table.write_text("a,b\n0,0\n,1\n9,9\n9,8\n", encoding="utf-8")
    base = ["kmeans", "--data", str(table), "--clusters", "2", "--out", str(tmp_path / "run"), "--overwrite", "--json"]
    assert run(base) == 2
    said = capsys.readouterr().err
    assert run(["train", "--data", str(table), "--target", "b", "--set", "task=regression"]) == 2
    assert said == capsys.readouterr().err
    assert "line 3, column 'a': the value is missing (missing values by column: a 1)" in said
    for missing, expected in (("mean", 4), ("drop", 3)):
        assert run([*base, "--set", f"data.missing={missing}"]) == 0
        assert json.loads(capsys.readouterr().out)["rows"] == expected
