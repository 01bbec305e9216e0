"""`dlrun smooth`: exponentially weighted averages, by hand, by pandas, and on the year of temperatures."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dlrun.packaged import packaged_dir
from dlrun.reporting.smoothing import averaged_over, exponential_average

Dlrun = Callable[..., Any]
YEAR = packaged_dir("experiments") / "data" / "temperatures.csv"
LONDON = np.array([40.0, 49.0, 45.0])  # the first days of the texts' example, in °F


def test_the_definition_by_hand() -> None:
    # v = 0.1·40 = 4; 0.9·4 + 0.1·49 = 8.5; 0.9·8.5 + 0.1·45 = 12.15
    np.testing.assert_allclose(exponential_average(LONDON, 0.9, bias_correction=False), [4, 8.5, 12.15])
    np.testing.assert_allclose(exponential_average(LONDON, 0.9), [40, 8.5 / 0.19, 12.15 / 0.271])


def test_the_correction_of_the_second_day_at_beta_098_is_00396() -> None:
    plain = exponential_average(LONDON, 0.98, bias_correction=False)
    corrected = exponential_average(LONDON, 0.98)
    assert plain[1] / corrected[1] == pytest.approx(0.0396, rel=1e-12)
    assert plain[1] == pytest.approx(0.02 * 0.98 * 40 + 0.02 * 49)


@pytest.mark.parametrize(("beta", "values"), [(0.9, 10), (0.98, 50), (0.5, 2), (0.0, 1)])
def test_about_how_many_values_count(beta: float, values: float) -> None:
    assert averaged_over(beta) == pytest.approx(values)


def test_the_correction_fades() -> None:
    theta = np.random.default_rng(0).normal(10, 1, 600)
    plain, corrected = (exponential_average(theta, 0.98, bias_correction=on) for on in (False, True))
    assert abs(plain[0] - corrected[0]) > 9
    np.testing.assert_allclose(plain[-1], corrected[-1], rtol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.98])
def test_pandas_says_the_same_with_gaps_too(beta: float) -> None:
    theta = np.random.default_rng(1).normal(size=200)
    theta[[0, 7, 8, 50]] = np.nan
    series = pd.Series(theta)
    # With adjust, pandas divides by Σ βⁱ, which is the bias correction; missing values are passed over.
    expected = series.ewm(alpha=1 - beta, adjust=True, ignore_na=True).mean().to_numpy()
    np.testing.assert_allclose(exponential_average(theta, beta), expected, rtol=1e-12)


def read(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {key: [row[key] for row in rows] for key in rows[0]}


def test_the_year_of_temperatures_is_what_its_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("make_temperatures", YEAR.with_name("make_temperatures.py"))
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.as_csv(script.temperatures()) == YEAR.read_text()


def test_larger_betas_are_smoother_and_later(dlrun: Dlrun, here: Path) -> None:
    betas = ("--beta", "0.5", "--beta", "0.9", "--beta", "0.98")
    result = dlrun("smooth", str(YEAR), "--column", "temperature_c", *betas, "--out", "out.csv")
    assert (result.status, result.stdout) == (0, "")
    assert "365 rows in out.csv" in result.stderr
    table = read(here / "out.csv")
    assert list(table) == ["day", "temperature_c", *(f"temperature_c_beta_{b}" for b in (0.5, 0.9, 0.98))]
    assert table["day"][:2] == ["1", "2"]
    roughness, peak = [], []
    for beta in (0.5, 0.9, 0.98):
        values = np.array(table[f"temperature_c_beta_{beta}"], float)
        roughness.append(np.abs(np.diff(values)).mean())
        peak.append(int(values.argmax()))
    assert roughness == sorted(roughness, reverse=True)
    assert peak[2] > peak[1]


def test_without_the_correction_the_average_starts_near_zero(dlrun: Dlrun, here: Path) -> None:
    both = {}
    for option in ("--bias-correction", "--no-bias-correction"):
        result = dlrun("smooth", str(YEAR), "--column", "temperature_c", "--beta", "0.98", option, "--json")
        both[option] = json.loads(result.stdout)["values"]["temperature_c_beta_0.98"]
    first = json.loads(result.stdout)["values"]["temperature_c"][0]
    assert both["--bias-correction"][0] == pytest.approx(first)
    assert both["--no-bias-correction"][0] == pytest.approx(0.02 * first)


def test_the_head_of_the_table(dlrun: Dlrun, here: Path) -> None:
    (here / "t.csv").write_text("t\n" + "\n".join(str(i) for i in range(100)) + "\n")
    result = dlrun("smooth", "t.csv", "--column", "t", "--beta", "0.9")
    lines = result.stdout.splitlines()
    assert len(lines) == 2 + 10 + 1 + 2
    assert lines[12].split()[:2] == ["99", "99"]
    assert "β = 0.9 averages about 10 values." in lines
    one = dlrun("smooth", "t.csv", "--column", "t", "--beta", "0")
    assert "β = 0 averages about 1 value." in one.stdout


def test_missing_values_are_told_and_passed_over(dlrun: Dlrun, here: Path) -> None:
    (here / "gap.csv").write_text("day,city,t\n1,=Rome,4\n2,Oslo,\n3,Oslo,8\n")
    result = dlrun("smooth", "gap.csv", "--column", "t", "--beta", "0.5", "--out", "o.csv")
    assert "1 of 3 values are missing" in result.stderr
    table = read(here / "o.csv")
    assert table["t"] == ["4", "", "8"]
    # v: 2, 2, 5; corrected by 1 − 0.5 and 1 − 0.25
    np.testing.assert_allclose(np.array(table["t_beta_0.5"], float), [4, 4, 20 / 3])
    assert table["city"][1] == "Oslo"


def test_the_cells_of_the_table_stay_as_they_were(dlrun: Dlrun, here: Path) -> None:
    rows = [["01", " x", "359146"], ["2", "", "-5.10"], ["3", "NA", "NA"], ["1e3", 'a "b",\nc', "+7"]]
    with (here / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["day", "note", "t"], *rows[:2]])
        file.write("\n")
        csv.writer(file).writerows(rows[2:])
    result = dlrun("smooth", "t.csv", "--column", "t", "--beta", "0.5", "--out", "t.csv", "--overwrite")
    assert result.status == 0, result.stderr
    table = read(here / "t.csv")
    assert [list(cells) for cells in zip(table["day"], table["note"], table["t"], strict=True)] == rows
    # v: 179573, then 89783.95 passed over the gap, then 44895.475; corrected by 1 − 0.5ᵗ
    expected = [359146, 89783.95 / 0.75, 89783.95 / 0.75, 44895.475 / 0.875]
    np.testing.assert_allclose(np.array(table["t_beta_0.5"], float), expected)


WRONG = {
    "beta 1": (("t.csv", "--column", "t", "--beta", "1"), "--beta 1: should be at least 0 and less than 1"),
    "beta nan": (("t.csv", "--column", "t", "--beta", "nan"), "--beta nan: should be"),
    "no column": (("t.csv", "--column", "x", "--beta", "0.9"), "t.csv has no column 'x' (--column)"),
    "text": (("t.csv", "--column", "word", "--beta", "0.9"), "t.csv, line 3, column 'word': 'b' is no number"),
    "no file": (("no.csv", "--column", "t", "--beta", "0.9"), "there is no file"),
    "taken": (("t.csv", "--column", "t", "--beta", "0.9", "--out", "t.csv"), "t.csv: this file exists"),
    "folder": (("t.csv", "--column", "t", "--beta", "0.9", "--out", "."), "is a folder"),
    "twice": (("s.csv", "--column", "t", "--beta", "0.9"), "has a column 't_beta_0.9' already"),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_a_wrong_request_is_one_message(dlrun: Dlrun, here: Path, case: str) -> None:
    (here / "t.csv").write_text("t,word\n1,2\n2,b\n")
    (here / "s.csv").write_text("t,t_beta_0.9\n1,2\n")
    arguments, message = WRONG[case]
    result = dlrun("smooth", *arguments)
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert (here / "t.csv").read_text() == "t,word\n1,2\n2,b\n"
