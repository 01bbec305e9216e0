"""CSV files, read back by Python's csv module and by pandas."""

from __future__ import annotations

import csv
import errno
import io
import math
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlrun.errors import RunError
from dlrun.runs.csv_files import CsvFile, csv_cell, csv_line


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (0.1, "0.1"),
        (1e-300, "1e-300"),
        (np.float32(0.1), "0.1"),
        (np.float32(1) / np.float32(3), "0.33333334"),
        (np.float64(1) / 3, "0.3333333333333333"),
        (-2.5, "-2.5"),
        (float("-inf"), "-inf"),
        (math.nan, "nan"),
        (np.int64(-3), "-3"),
        (True, "true"),
        (np.bool_(False), "false"),
        ("setosa", "setosa"),
        ("a,b", '"a,b"'),
        ('say "no"', '"say ""no"""'),
        ("two\nlines", '"two\nlines"'),
        (" padded", '" padded"'),
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-inf", "'-inf"),
        ("\t=1", "'\t=1"),
        ("\r=1", '"\'\r=1"'),
        ("=1,2", '"\'=1,2"'),
        ("-1.5e-3", "-1.5e-3"),
        ("+1", "+1"),
        ("-1-1", "'-1-1"),
    ],
)
def test_cells(value: Any, cell: str) -> None:
    assert csv_cell(value) == cell


@given(st.floats())
def test_floats_come_back_exactly(value: float) -> None:
    for number in (value, np.float64(value)):
        back = float(csv_cell(number))
        assert back == value or (math.isnan(back) and math.isnan(value))


@given(st.floats(width=32))
def test_single_precision_comes_back_exactly(value: float) -> None:
    number = np.float32(value)
    back = np.float32(csv_cell(number))
    assert back == number or (np.isnan(back) and np.isnan(number))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_text_comes_back_through_python(cells: list[str]) -> None:
    [row] = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert [field.removeprefix("'") for field in row] == [text.removeprefix("'") for text in cells]


def test_pandas_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    with CsvFile(path, ["epoch", "cost", "name"]) as file:
        file.write(1, -0.1, "été")
        file.write_rows((n, n / 3, None) for n in range(2, 5000))
    table = pd.read_csv(path)
    assert list(table.columns) == ["epoch", "cost", "name"]
    assert table["cost"][0] == -0.1
    assert table["cost"].iloc[-1] == pytest.approx(4999 / 3, rel=1e-15)
    assert len(table) == 4999


def test_each_row_is_in_the_file_at_once(tmp_path: Path) -> None:
    with CsvFile(tmp_path / "a.csv", ["x"]) as file:
        file.write(1)
        assert read(tmp_path / "a.csv") == [["x"], ["1"]]


def test_a_row_must_fit_the_header(tmp_path: Path) -> None:
    with CsvFile(tmp_path / "a.csv", ["x", "y"]) as file, pytest.raises(ValueError, match="1 cells under 2"):
        file.write(1)


def test_an_empty_field_alone_is_no_empty_line(tmp_path: Path) -> None:
    with CsvFile(tmp_path / "a.csv", ["x"]) as file:
        file.write(None)
    assert read(tmp_path / "a.csv") == [["x"], [""]]


def test_a_full_disk_leaves_complete_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with CsvFile(path, ["x"]) as file:
            file.write("first")
            resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
            with pytest.raises(OSError, match="large") as caught:
                file.write("a row that is too long for the file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(path)
    assert read(path) == [["x"], ["first"]]


def test_continuing_drops_half_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('x,y\n1,"two\nlines"\n2,"bro\nken')
    with CsvFile(path, ["x", "y"], append=True) as file:
        file.write(3, "new")
    assert read(path) == [["x", "y"], ["1", "two\nlines"], ["3", "new"]]


def test_continuing_half_a_header_or_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for content in (None, "", "x,"):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        with CsvFile(path, ["x", "y"], append=True) as file:
            file.write(1, 2)
        assert read(path) == [["x", "y"], ["1", "2"]]


def test_continuing_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RunError, match=r"its header is 'a,b', not 'x,y'"):
        CsvFile(tmp_path / "a.csv", ["x", "y"], append=True)
