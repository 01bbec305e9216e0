"""NPY files, and tables whose rows stay in their file: the same data set as from memory."""

from __future__ import annotations

import itertools
import os
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlrun.config.schema import DataConfig
from dlrun.data import Dataset, fit_scaling, load_dataset, load_table, row_file, stored_tables
from dlrun.data import dataset as dataset_module
from dlrun.data.column_hash import ColumnHash
from dlrun.data.row_file import RowFile
from dlrun.data.stored_features import StoredFeatures
from dlrun.errors import ConfigError, DataError, MachineError


def load(path: Path, **options: Any) -> Dataset:
    config = DataConfig(source=path.name, **options)
    return load_dataset(config, task=None, folder=path.parent, seed=0)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files come in many pieces and many reads, as large ones do."""
    monkeypatch.setattr(stored_tables, "PIECE_VALUES", 50)
    monkeypatch.setattr(row_file, "READ_BYTES", 200)
    monkeypatch.setattr(row_file, "GAP_BYTES", 60)


# -- NPY in memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "f2", "f4", "f8", ">f4", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_columns_are_named_by_their_numbers(tmp_path: Path, dtype: str, order: Any) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1]]).astype(dtype, order=order)
    np.save(tmp_path / "t.npy", array)
    table = load_table("t.npy", folder=tmp_path)
    assert table.names == ["0", "1", "2"]
    assert table.default_target is None
    np.testing.assert_array_equal(np.stack(list(table.columns.values()), axis=1), array.astype(float))
    data = load(tmp_path / "t.npy", target="2")
    assert (data.task, data.classes, data.feature_names) == ("classification", ("0", "1"), ("0", "1"))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[{}]], dtype=object), "of type object; numbers are needed"),
        (np.zeros((2, 2), dtype=[("x", "f8")]), "numbers are needed"),
        (np.zeros((2, 2), dtype="complex64"), "of type complex64"),
        (np.zeros((2, 2), dtype="datetime64[s]"), "of type datetime64"),
        (np.array([["a", "b"]]), "Texts go into a .csv"),
        (np.zeros(5), r"shape \(5,\); it must be 2-D"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\); it must be 2-D.*reshape"),
        (np.zeros((0, 3)), "holds no rows"),
        (np.zeros((3, 0)), "no columns"),
        (np.array([[1, 2], [3, np.inf]]), "row 2, column '1': the value inf"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_npy_that_is_no_table(tmp_path: Path, array: Any, message: str, stream: bool) -> None:
    np.save(tmp_path / "t.npy", array, allow_pickle=array.dtype.hasobject)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "t.npy", target="1", stream=stream)


def test_npy_that_is_damaged(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.ones((50, 3)))
    whole = (tmp_path / "t.npy").read_bytes()
    cases = {
        b"": "not readable as an .npy file",
        b"PK\3\4junk": "not readable",
        whole[:60]: "not readable",
        whole[:-8]: "declares 1200 bytes and the file holds 1192",
        whole + b"x": "declares 1200 bytes and the file holds 1201",
        whole[:6] + b"\7\0" + whole[8:]: r"array format \(7, 0\)|not readable",
        whole.replace(b"(50, 3)", b"(-5, 3)"): r"its shape is \(-5, 3\)",
        whole.replace(b"(50, 3)", b"(1,1e9)"): "not readable",
    }
    for content, message in cases.items():
        (tmp_path / "t.npy").write_bytes(content)
        for stream in (False, True):
            with pytest.raises(DataError, match=message):
                load(tmp_path / "t.npy", target="1", stream=stream)


def test_npy_of_very_many_columns_is_refused_before_they_are_named(tmp_path: Path) -> None:
    with (tmp_path / "t.npy").open("wb") as file:  # a file with a hole: it takes no room
        np.lib.format.write_array_header_1_0(file, {"descr": "|i1", "fortran_order": False, "shape": (2, 10**9)})
        file.truncate(file.tell() + 2 * 10**9)
    with pytest.raises(DataError, match=r"1000000000 columns.*array\.T"):
        load(tmp_path / "t.npy", target="1")


# -- reading rows ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.integers(0, 79), max_size=40),
    columns=st.sampled_from([slice(0, 3), slice(1, 2), np.array([2, 0])]),
    reading=st.sampled_from([(1, 0), (64, 16), (300, 100), (1 << 20, 1 << 15)]),
)
def test_rows_of_a_file_are_the_rows_of_the_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[int], columns: Any, reading: tuple[int, int]
) -> None:
    monkeypatch.setattr(row_file, "READ_BYTES", reading[0])
    monkeypatch.setattr(row_file, "GAP_BYTES", reading[1])
    array = np.arange(240, dtype="f4").reshape(80, 3) * 0.1
    (tmp_path / "t").write_bytes(b"header" + array.tobytes())
    file = RowFile.open(tmp_path / "t", "t", rows=80, width=3, dtype="f4", offset=6)
    features = StoredFeatures(file, columns, None, gaps=False)
    found = features[np.array(rows, np.int64)]
    np.testing.assert_array_equal(found, array[rows][:, columns].astype(float))
    kept = np.arange(1, 80, 2)
    odd = StoredFeatures(file, columns, kept, gaps=False)
    some = np.array([row // 2 for row in rows if row < 78], np.int64)
    np.testing.assert_array_equal(odd[some], array[kept][some][:, columns].astype(float))


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(bytes(800))
    file = RowFile.open(path, "t", rows=50, width=2, dtype="f8", offset=0)
    file.check()
    os.truncate(path, 400)
    with pytest.raises(DataError, match="changed while it was being read"):
        file.check()
    with pytest.raises(DataError, match="shorter"):
        file.read(20, 30)


def test_a_scratch_file_has_no_name_and_needs_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pieces = [np.full((2, 3), value) for value in (1.0, 2.0)]
    file = RowFile.scratch(iter(pieces), "t", rows=4, width=3, dtype="f4")
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(file.read(1, 3), [[1, 1, 1], [2, 2, 2]])
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(100, 99, 1))
    with pytest.raises(MachineError, match=r"takes 48 bytes.*TMPDIR"):
        RowFile.scratch(iter(pieces), "t", rows=4, width=3, dtype="f4")


# -- the same data set as from memory --------------------------------------------------------------


def numbers(gaps: bool = False, dtype: str = "f4") -> np.ndarray:
    random = np.random.default_rng(5)
    array = random.normal(3, 2, (90, 4)).astype(dtype)
    array[:, 3] = random.integers(0, 3, 90)
    if gaps:
        array[random.random((90, 4)) < 0.05] = np.nan
        array[0] = 1
    return array


def mixed_table(gaps: bool) -> pyarrow.Table:
    random = np.random.default_rng(6)
    mask = random.random((90, 5)) < (0.06 if gaps else 0)
    colour = np.array(["red", "green", "blue"])[random.integers(0, 3, 90)]
    made = {
        "a": pyarrow.array(random.normal(size=90), mask=mask[:, 0]),
        "colour": pyarrow.array(colour, mask=mask[:, 1]),
        "flag": pyarrow.array(random.random(90) < 0.5, mask=mask[:, 2]),
        "whole": pyarrow.array(random.integers(0, 9, 90).astype("i2"), mask=mask[:, 3]),
        "day": pyarrow.array(np.full(90, "2024-02-29", dtype="datetime64[D]")),
        "y": pyarrow.array(np.array(["no", "yes"])[random.integers(0, 2, 90)], mask=mask[:, 4]),
        "who": pyarrow.array([f"p{number}" for number in random.integers(0, 20, 90)]),
    }
    return pyarrow.table(made)


def write(path: Path, gaps: bool) -> dict[str, Any]:
    """A table of 90 rows by the name of the file; returns its target and group."""
    if path.name.startswith("mixed"):
        pyarrow.parquet.write_table(mixed_table(gaps), path, row_group_size=40)
        return {"target": "y", "group": "who", "features": ["whole", "colour", "flag", "a"]}
    if path.suffix == ".parquet":
        columns = dict(zip("abcd", numbers(gaps, "f8").T, strict=True))
        pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=7)
        return {"target": "d"}
    array = numbers(gaps, "f8" if "double" in path.name else "f4")
    np.save(path, np.asfortranarray(array) if "fortran" in path.name else array)
    return {"target": "3", **({"features": ["2", "0"]} if "some" in path.name else {})}


FILES = ["t.npy", "double.npy", "fortran.npy", "some.npy", "t.parquet", "mixed.parquet"]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("gaps", "missing"), [(False, "error"), (True, "drop"), (True, "mean")])
def test_streamed_and_in_memory_are_one_data_set(tmp_path: Path, name: str, gaps: bool, missing: str) -> None:
    options = write(tmp_path / name, gaps)
    if gaps and missing == "mean":  # a target is never filled
        options["target"] = {"mixed.parquet": "who", "t.parquet": "d"}.get(name, "3")
        array = numbers(gaps, "f8" if "double" in name else "f4")
        array[:, 3] = np.nan_to_num(array[:, 3])
        if name == "mixed.parquet":
            options.pop("group")
        elif name == "t.parquet":
            pyarrow.parquet.write_table(pyarrow.table(dict(zip("abcd", array.T, strict=True))), tmp_path / name)
        else:
            np.save(tmp_path / name, np.asfortranarray(array) if "fortran" in name else array)
    options |= {"missing_target": "drop"} if missing == "drop" else {}
    there = load(tmp_path / name, missing=missing, stream=False, **options)
    streamed = load(tmp_path / name, missing=missing, stream=True, **options)
    assert isinstance(there.features, np.ndarray)
    assert isinstance(streamed.features, StoredFeatures)
    n = len(there)
    assert streamed.features.shape == there.features.shape
    assert streamed.features.gaps == bool(np.isnan(there.features).any())
    np.testing.assert_array_equal(streamed.features[np.arange(n)], there.features)
    for field in ("target", "rows", "groups", "categorical"):
        np.testing.assert_array_equal(getattr(streamed, field), getattr(there, field))
    for field in ("name", "task", "feature_names", "target_name", "classes", "hash", "encoding", "notes"):
        assert getattr(streamed, field) == getattr(there, field), field
    train = np.flatnonzero(np.arange(n) % 3)
    for normalize in ("standard", "minmax", "none"):
        how: Any = {"normalize": normalize, "missing": missing, "categorical": there.categorical}
        one, other = (fit_scaling(data.features, train, **how) for data in (there, streamed))
        for part in ("fill", "shift", "scale"):
            np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("cells", "value", "missing", "message"),
    [
        ([(70, 1), (20, 2)], np.nan, "error", r"row 21, column '2': the value is missing \(.*1 1, 2 1\)"),
        ([(80, 3), (81, 3)], np.nan, "mean", r"row 81, column '3': the target is missing \(in 2 of 90 rows"),
        ([(slice(None), 1)], np.nan, "mean", "column '1' has no value in any row"),
        ([(slice(None), 1)], np.nan, "drop", "column '1' has no value in any row"),
        ([(33, 0)], -np.inf, "drop", "row 34, column '0': the value -inf"),
        ([(slice(None), 3)], 2, "error", "the target is '2' in all 90 rows"),
        ([(slice(0, 50), 0), (slice(50, 90), 1)], np.nan, "drop", "leaves 0 of 90 rows, fewer than half"),
    ],
)
def test_streamed_and_in_memory_refuse_the_same(
    tmp_path: Path, cells: list[Any], value: float, missing: str, message: str
) -> None:
    array = numbers()
    for place in cells:
        array[place] = value
    np.save(tmp_path / "t.npy", array)
    told = []
    for stream in (False, True):
        with pytest.raises(DataError, match=message) as caught:
            load(tmp_path / "t.npy", target="3", missing=missing, stream=stream)
        told.append(str(caught.value))
    assert told[0] == told[1]


@pytest.mark.usefixtures("small_pieces")
def test_a_text_column_of_names_is_refused(tmp_path: Path) -> None:
    table = pyarrow.table({"name": [f"n{i}" for i in range(90)], "y": [0.5 * i for i in range(90)]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="'name' is text with 90 different values"):
        load(tmp_path / "t.parquet", target="y", stream=True)


def test_a_regression_target_stays_in_float64(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(40, 3)).astype("f4")
    np.save(tmp_path / "t.npy", array)
    data = load(tmp_path / "t.npy", target="1", stream=True)
    assert (data.task, data.feature_names) == ("regression", ("0", "2"))
    np.testing.assert_array_equal(data.target, array[:, 1].astype(float))


def test_streaming_begins_by_itself_at_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "t.npy", numbers())
    for limit, streamed in ((90 * 4 * 8, False), (90 * 4 * 8 - 1, True)):
        monkeypatch.setattr(dataset_module, "STREAM_BYTES", limit)
        assert isinstance(load(tmp_path / "t.npy", target="3").features, StoredFeatures) == streamed
        assert not isinstance(load(tmp_path / "t.npy", target="3", stream=False).features, StoredFeatures)


def test_only_some_files_can_be_streamed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,2\n3,4\n5,6\n")
    with pytest.raises(ConfigError, match=r"data.stream = true goes with .npy and .parquet.*'t.csv'"):
        load(tmp_path / "t.csv", target="y", stream=True)
    with pytest.raises(ConfigError, match="'iris'"):
        load_dataset(DataConfig(source="iris", stream=True), task=None, folder=tmp_path, seed=0)


def test_more_rows_than_memory_has_room_for_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "t.npy", numbers())
    monkeypatch.setattr("dlrun.data.survey.memory_bytes", lambda: 7000)
    with pytest.raises(DataError, match=r"90 rows.*7\.2 kB.*7 kB; take fewer rows"):
        load(tmp_path / "t.npy", target="3", stream=True)


@given(cuts=st.lists(st.integers(0, 40), max_size=4))
def test_the_hash_does_not_depend_on_the_pieces(cuts: list[int]) -> None:
    columns = {
        "a": np.array([0.0, -0.0, np.nan, 5.5] * 10),
        "b": np.array(["x", None, 'q"', "é"] * 10, dtype=object),
    }
    whole, parts = ColumnHash(), ColumnHash()
    whole.update(columns)
    edges = [0, *sorted(cuts), 40]
    for start, stop in itertools.pairwise(edges):
        if start < stop:
            parts.update({name: values[start:stop] for name, values in columns.items()})
    assert whole.hexdigest() == parts.hexdigest()
    other = ColumnHash()
    other.update({**columns, "a": columns["a"][::-1].copy()})
    assert other.hexdigest() != whole.hexdigest()
