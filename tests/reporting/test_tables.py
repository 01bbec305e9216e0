"""Tables, and text from users in them."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlrun.reporting.tables import Column, Table, cell_text, render_plain, render_rich
from dlrun.reporting.text import display_width, neutralize


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
