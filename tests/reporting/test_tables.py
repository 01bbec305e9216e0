"""Tables, and text from users in them."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlrun.records import counted
from dlrun.reporting.tables import Column, Table, cell_text, render_plain, render_rich
from dlrun.reporting.train_report import figure
from dlrun.text import display_width, neutralize


def example() -> Table:
    table = Table(title="Errors", columns=["split", Column("error"), "rows"], footnotes=["of 10 runs"])
    table.add("train", 0.03125, 90)
    table.add("dev", np.float32(0.5), None)
    return table


def test_plain_text_is_aligned() -> None:
    assert render_plain(example()).split("\n") == [
        "Errors",
        "split    error  rows",
        "train  0.03125    90",
        "dev        0.5     -",
        "of 10 runs",
    ]


def test_wide_characters_keep_columns_aligned() -> None:
    table = Table(title="", columns=["name", "value"], rows=[("数字", 1), ("e\u0301", 2), ("abcd", 3)])
    assert [display_width(line) for line in render_plain(table).split("\n")] == [len("name  value")] * 4


def test_a_row_must_fit() -> None:
    with pytest.raises(ValueError, match="2 cells in a table of 3"):
        example().add(1, 2)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (True, "yes"),
        (np.int64(7), "7"),
        (1230281.8, "1.23028e+06"),
        (float("nan"), "nan"),
        ("\x1b[31mred\n", "\\u001b[31mred\\n"),
    ],
)
def test_cells(value: object, shown: str) -> None:
    assert cell_text(value) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 数", "plain é 数"),
        ("a\tb\rc\x07\x9b", "a\\tb\\rc\\u0007\\u009b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028\udc80", "\\u2028\\udc80"),
    ],
)
def test_neutralized(text: str, expected: str) -> None:
    assert neutralize(text) == expected


@given(st.text())
def test_nothing_that_moves_the_cursor_is_left(text: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", neutralize(text))
    assert neutralize(text, keep_lines=True).count("\n") == text.count("\n")


def test_rich_interprets_no_markup_and_no_control_characters() -> None:
    from rich.console import Console

    table = Table(title="[red]title", columns=["[bold]name"], footnotes=["[blink]note"])
    table.add("[link=http://x]:smile: \x1b[2J")
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, color_system=None, width=80).print(render_rich(table))
    shown = stream.getvalue()
    for text in ("[red]title", "[bold]name", "[link=http://x]:smile: \\u001b[2J", "[blink]note"):
        assert text in shown


def on_a_terminal(table: Table, width: int) -> str:
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, force_terminal=True, color_system=None, width=width).print(render_rich(table, width))
    return stream.getvalue()


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40, 24])
def test_no_number_is_cut_on_a_narrow_terminal(width: int) -> None:
    table = Table("", ["parameter", "optimizer.learning_rate", "relative difference", "back-propagation", "verdict"])
    table.add("W1[0,10]", 0.000457312, "8.85431e-09", -0.00967419, "a verdict that is a sentence of several words")
    shown = on_a_terminal(table, width)
    assert all(len(line.rstrip()) <= width for line in shown.splitlines())
    for whole in ("0.000457312", "8.85431e-09", "-0.00967419", "W1[0,10]"):
        assert whole in shown
    if width > 60:
        assert "│" in shown or width < 100
        for part in ("optimizer.", "rate", "difference", "propagation", "parameter"):
            assert part in shown


def test_a_table_too_wide_for_any_columns_is_told_row_by_row() -> None:
    table = Table("title", ["one", "the second"], rows=[(1.5, 2)] * 2, footnotes=["note"])
    shown = on_a_terminal(table, 9)
    assert "│" not in shown
    wide = Table("title", [f"column{i}" for i in range(9)], rows=[range(9)])
    lines = on_a_terminal(wide, 40).splitlines()
    assert lines[:3] == ["title", "column0  0", "column1  1"]


def test_warnings_are_not_dimmed() -> None:
    from rich.console import Console

    stream = io.StringIO()
    table = Table("", ["a"], rows=[(1,)], footnotes=["Warning: look", "by the way"])
    Console(file=stream, force_terminal=True, color_system="standard", width=80).print(render_rich(table))
    assert "\x1b[33mWarning: look" in stream.getvalue()
    assert "\x1b[2mby the way" in stream.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [(39030.0, "39030"), (0.0, "0"), (1.0, "1"), (16453.7, "16450"), (1e-7, "1e-07"), (0.093956, "0.09396")],
)
def test_figures_in_sentences(value: float, text: str) -> None:
    assert figure(value) == text
    assert figure(None) == "-"


def test_one_is_no_plural() -> None:
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
