"""Columns of dates become numbers, told and kept with the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlrun.cli.app import run
from dlrun.config.schema import DataConfig
from dlrun.data import Dataset, Preprocessing, fit_scaling, load_dataset, load_table
from dlrun.data.dates import FORMS, date_forms, read_date
from dlrun.errors import DataError, RunError

CASES = Path(__file__).parent / "cases"
Load = Callable[..., Dataset]
WRITTEN = {"yyyy-mm-dd": "%Y-%m-%d", "dd.mm.yyyy": "%d.%m.%Y", "mm/dd/yyyy": "%m/%d/%Y", "dd/mm/yyyy": "%d/%m/%Y"}


@given(
    st.datetimes(), st.sampled_from(FORMS), st.sampled_from(["", " %H:%M", "T%H:%M:%S", " %H:%M:%S.%f", " %I:%M %p"])
)
def test_a_date_is_read_as_it_was_written(moment: pandas.Timestamp, form: str, time: str) -> None:
    day = moment.replace(year=max(moment.year, 1000))  # strftime writes earlier ones with fewer digits
    found = read_date(day.strftime(WRITTEN[form] + time), form)
    assert found == (day.year, day.month, day.day, day.weekday(), day.hour if time else 0)


@pytest.mark.parametrize(
    ("texts", "forms"),
    [
        (["2021-03-01", "2021-3-1T10:00:00Z", "2021/12/31 23:59:59.5+02:00"], ("yyyy-mm-dd",)),
        (["31.12.2026", "1.1.2026"], ("dd.mm.yyyy",)),
        (["12/31/2026", "1/2/2026"], ("mm/dd/yyyy",)),
        (["31/12/2026", "1/2/2026"], ("dd/mm/yyyy",)),
        (["01/02/2026", "1/2/2026"], ("mm/dd/yyyy", "dd/mm/yyyy")),
        (["31/12/2026", "12/31/2026"], ()),
        (["2021-02-30"], ()),
        (["2021-03-01", "soon"], ()),
        (["2021-03-01 24:00"], ()),
        (["2021-03-01 13:00 PM"], ()),
        (["2021-03-01 10:61"], ()),
        (["2021-03/01"], ()),
        (["1.5.24"], ()),
        (["٢٠٢١-03-01"], ()),
        ([], ()),
    ],
)
def test_the_form_is_that_of_all_texts(texts: list[str], forms: tuple[str, ...]) -> None:
    assert date_forms(texts) == forms


def test_dates_become_numbers(dataset: Load) -> None:
    data = dataset("when,y\n2021-03-01,1.5\n2024-02-29,2.5\n1999-12-31,3.5\n")  # a Monday, a Thursday, a Friday
    assert data.feature_names == ("when.year", "when.month", "when.day", "when.weekday")
    np.testing.assert_array_equal(data.features, [[2021, 3, 1, 0], [2024, 2, 29, 3], [1999, 12, 31, 4]])
    assert not data.categorical.any()
    assert data.notes == (
        "t.csv: column 'when' holds dates (yyyy-mm-dd) and becomes when.year, when.month, when.day, when.weekday",
    )


def test_times_give_the_hour_and_gaps_stay_gaps(dataset: Load) -> None:
    data = dataset("when,y\n3/14/2021 11:59 PM,1\n3/1/2021,2\n,3\n12/25/2021 12:05 am,2\n", missing="mean")
    assert data.feature_names[4] == "when.hour"
    np.testing.assert_array_equal(data.features[:, 4], [23, 0, np.nan, 0])
    assert np.isnan(data.features[2]).all()


def test_error_refuses_them(dataset: Load) -> None:
    content = "when,a,y\n2021-03-01,1,1.5\n2024-02-29,2,2.5\n"
    with pytest.raises(DataError, match=r"(?s)t.csv, column 'when' holds dates, and data.dates = .error.*exclude"):
        dataset(content, dates="error")


def test_dates_that_may_be_read_in_two_ways_are_not_guessed(dataset: Load) -> None:
    rows = "".join(f"{1 + i % 12}/{1 + i // 12}/2021,{i},{i % 7}.5\n" for i in range(60))
    with pytest.raises(DataError, match="month/day/year or day/month/year; write dates as yyyy-mm-dd"):
        dataset("when,a,y\n" + rows)
    few = dataset("when,a,y\n" + "".join(f"{1 + i % 3}/5/2021,{i},{i % 7}.5\n" for i in range(60)))
    assert few.feature_names[0] == "when=1/5/2021"  # few categories, as ever


def test_a_model_reads_new_dates_as_those_it_knows(dataset: Load, tmp_path: Path) -> None:
    data = dataset("when,y\n1/2/2021,1.5\n31/12/2021,2.5\n", normalize="none")
    scaling = fit_scaling(data.features, [0, 1], normalize="none", missing="error", categorical=data.categorical)
    model = Preprocessing.of(data, scaling)
    again = Preprocessing.from_parts(model.to_metadata(), model.to_tensors())
    assert again.encoding == data.encoding
    (tmp_path / "new.csv").write_text("when\n3/4/2022\n")  # by itself it might be the 4th of March
    np.testing.assert_array_equal(again.features(again.read("new.csv", folder=tmp_path)), [[2022, 4, 3, 6]])
    for wrong in ("4/13/2022", "2022-04-03", "20220403"):
        (tmp_path / "new.csv").write_text(f"when\n{wrong}\n")
        with pytest.raises(DataError, match=f"line 2, column 'when': '{wrong}' where .* on dates as dd/mm/yyyy"):
            again.features(again.read("new.csv", folder=tmp_path))
    (tmp_path / "new.csv").write_text('when\n""\n')
    with pytest.raises(DataError, match="line 2, column 'when': the value is missing"):
        again.features(again.read("new.csv", folder=tmp_path))


@pytest.mark.parametrize("change", [{"form": "odd"}, {"form": 3}, {"categories": ["year", "century"]}])
def test_damaged_dates_of_a_model_are_named(dataset: Load, change: dict[str, object]) -> None:
    data = dataset("when,y\n1/2/2021,1.5\n31/12/2021,2.5\n")
    scaling = fit_scaling(data.features, [0, 1], normalize="none", missing="error", categorical=data.categorical)
    model = Preprocessing.of(data, scaling)
    metadata = model.to_metadata()
    entries = [json.loads(metadata["encoding"])[0] | change]
    with pytest.raises(RunError, match="damaged"):
        Preprocessing.from_parts(metadata | {"encoding": json.dumps(entries)}, model.to_tensors())


def test_streamed_dates_are_those_in_memory(tmp_path: Path) -> None:
    days = pandas.date_range("2015-01-01", periods=2500).strftime("%Y-%m-%d")  # more than categories may be
    table = pyarrow.table({"when": list(days), "y": np.arange(2500) % 17 / 3})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    streamed, whole = (
        load_dataset(DataConfig(source="t.parquet", target="y", stream=stream), task=None, folder=tmp_path, seed=0)
        for stream in (True, False)
    )
    assert streamed.encoding == whole.encoding
    assert streamed.notes == whole.notes
    np.testing.assert_array_equal(streamed.features[np.arange(2500)], whole.features)


def test_the_commands_train_and_predict_on_dates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    case = str(CASES / "dates.csv")
    quick = ("--set", "training.epochs=1", "--device", "cpu")
    assert run(["train", "--data", case, "--target", "y", *quick, "--out", "run"]) == 0
    assert "column 'when' holds dates (yyyy-mm-dd) and becomes when.year, when.month" in capsys.readouterr().err
    assert run(["predict", "run", "--data", case, "--device", "cpu", "--out", "p.csv", "--quiet"]) == 0
    assert len((tmp_path / "p.csv").read_text().splitlines()) == len(load_table(case, folder=tmp_path)) + 1
    assert run(["evaluate", "run", "--device", "cpu", "--quiet"]) == 0
    assert run(["train", "--data", case, "--target", "y", *quick, "--set", "data.dates=error", "--overwrite"]) == 2
    assert "holds dates" in capsys.readouterr().err
