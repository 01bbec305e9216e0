"""The same picture as plain characters."""

from __future__ import annotations

from pathlib import Path

from plots.made_runs import METRICS, Draw, MakeRun

from dlrun.reporting.plots.terminal import MARKS, WIDTH, as_text


def test_a_falling_line_falls(make_run: MakeRun, draw: Draw) -> None:
    rows = [(0, e, e, "train", 0.1, 10.0 - e, 0.5, None) for e in range(1, 10)]
    run = make_run("fall", {"command": "train"}, **{"metrics.csv": (METRICS, rows)})
    with draw("cost", run) as figure:
        text = as_text(figure, width=40, height=10)
    grid = [line.split("|", 1)[1] for line in text.splitlines() if "|" in line]
    first = [line.index("*") for line in grid if "*" in line]
    assert len(first) >= 9
    assert first == sorted(first)
    assert "* train" in text
    assert "across: epoch, up: cost" in text


def test_only_plain_characters(train_run: Path, draw: Draw) -> None:
    with draw("cost", train_run) as figure:
        text = as_text(figure)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80


def test_a_confusion_matrix_has_its_numbers_and_names(make_run: MakeRun, draw: Draw) -> None:
    columns = ("row", "repeat", "fold", "target", "prediction", "p_cat", "p_dog")
    rows = [(i, 0, 0, "cat", "cat", 0.9, 0.1) for i in range(12)] + [(12, 0, 0, "dog", "dog", 0.1, 0.9)]
    run = make_run("pets", {"command": "crossval", "task": "classification"}, **{"predictions.csv": (columns, rows)})
    with draw("confusion", run) as figure:
        lines = as_text(figure).splitlines()
    top = next(line for line in lines if "12" in line and "|" in line)
    assert top.startswith("cat |")
    assert sum("dog" in line for line in lines) == 2
    assert lines.index(top) < next(i for i, line in enumerate(lines) if line.startswith("dog |"))


def test_a_mark_for_each_name_and_another_for_what_has_none(make_run: MakeRun, draw: Draw) -> None:
    rows = [(0, i, 80, 20, 1.0, error) for i, error in enumerate([0.1, 0.2, 0.3, 0.4, 0.5])]
    summary = {
        "command": "crossval",
        "error": {"mean": 0.3, "ci_low": 0.1, "ci_high": 0.5},
        "baseline": {"kind": "majority", "error": {"mean": 0.9}},
    }
    columns = ("repeat", "fold", "n_train", "n_test", "cost", "error")
    run = make_run("boxes", summary, **{"folds.csv": (columns, rows)})
    with draw("folds", run) as figure:
        lines = as_text(figure).splitlines()
    grid = [line.split("|", 1)[1] for line in lines if "|" in line]
    names = dict(reversed(line.split(" ", 1)) for line in lines if line[1:2] == " " and line[0] in MARKS)
    assert set(names) == {"mean and its interval", "majority baseline"}
    mean, baseline = names["mean and its interval"], names["majority baseline"]
    assert [set(line) for line in grid].count({baseline}) == 1
    assert sum(line.count(baseline) for line in grid) == WIDTH
    assert sum(line.count(mean) for line in grid) == 3  # the mean, and the interval's two ends
    assert len(set("".join(grid)) - {" ", mean, baseline}) == 1  # the box with its points


def test_the_range_is_written_as_tables_write_numbers(make_run: MakeRun, draw: Draw) -> None:
    rows = [(0, e, e, "train", 0.1, 16450.0 * e, 16450.0, None) for e in range(1, 10)]
    with draw("cost", make_run("large", {"command": "train"}, **{"metrics.csv": (METRICS, rows)})) as figure:
        low, high = figure.axes[0].get_ylim()
        margin = [line.split("|")[0].strip() for line in as_text(figure).splitlines() if "|" in line]
    assert [margin[0], margin[-1]] == [f"{float(f'{end:.4g}'):.0f}" for end in (high, low)]
