"""Which picture a run gets, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from plots.made_runs import METRICS, MakeRun

from dlrun.errors import ConfigError, RunError
from dlrun.reporting.plots.kinds import FIRST, KINDS, choose, fitting
from dlrun.reporting.plots.source import open_source
from dlrun.runs import pictures

ROW = (0, 1, 1, "train", 0.1, 1.0, 0.5, None)


def test_the_names_that_overwrite_removes_are_those_of_all_kinds() -> None:
    assert set(pictures.NAMES) == set(KINDS)
    assert all(name in KINDS for names in FIRST.values() for name in names)


def test_a_training_shows_its_cost_first(train_run: Path) -> None:
    assert fitting(open_source(train_run))[0] == "cost"
    assert choose([open_source(train_run)], None) == "cost"


def test_a_run_without_files_to_draw(make_run: MakeRun) -> None:
    empty = open_source(make_run("empty", {"command": "compare"}))
    with pytest.raises(RunError, match="nothing to plot"):
        choose([empty], None)
    with pytest.raises(RunError, match="nothing to plot"):
        choose([empty], "cost")


def test_a_kind_that_the_run_has_not(train_run: Path) -> None:
    with pytest.raises(RunError, match="has no folds to plot; it has cost, error"):
        choose([open_source(train_run)], "folds")


def test_a_kind_that_there_is_not(train_run: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'confusion'"):
        choose([open_source(train_run)], "confusoin")


def test_a_picture_of_one_run_refuses_two(make_run: MakeRun) -> None:
    table = {"gradcheck.csv": (("parameter", "relative_difference", "verdict"), [("W1", 1e-9, "great")])}
    runs = [open_source(make_run(name, {"command": "gradcheck"}, **table)) for name in "ab"]
    with pytest.raises(RunError, match="shows one run, and 2 are given"):
        choose(runs, "gradcheck")
    with pytest.raises(RunError, match="no picture in common"):
        choose(runs, None)


def test_a_missing_column_is_named(make_run: MakeRun) -> None:
    run = make_run("torn", {"command": "train"}, **{"metrics.csv": (METRICS[:5], [ROW[:5]])})
    with pytest.raises(RunError, match=r"metrics.csv: there is no column 'cost'; it has replica"):
        choose([open_source(run)], None)


def test_a_damaged_file_is_named(make_run: MakeRun) -> None:
    run = make_run("torn", {"command": "train"}, **{"metrics.csv": (METRICS, [ROW])})
    (run / "metrics.csv").write_text("replica,epoch\n1\n")
    with pytest.raises(RunError, match=r"metrics.csv, row 1: 1 field under 2 columns"):
        choose([open_source(run)], None)
    (run / "summary.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        open_source(run)


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"no finished run: there is no summary.json"):
        open_source(tmp_path)
    (tmp_path / "own.csv").write_text("height,weight\n1,2\n")
    with pytest.raises(RunError, match="no command of dlrun writes a table of such columns"):
        open_source(tmp_path / "own.csv")
    (tmp_path / "note.txt").write_text("hello")
    with pytest.raises(RunError, match=r"or a .csv file"):
        open_source(tmp_path / "note.txt")


def test_a_file_by_itself_is_known_by_its_header(make_run: MakeRun) -> None:
    run = make_run("curves", {"command": "train"}, **{"metrics.csv": (METRICS, [ROW])})
    (run / "metrics.csv").rename(run / "renamed.csv")
    assert choose([open_source(run / "renamed.csv")], None) == "cost"
