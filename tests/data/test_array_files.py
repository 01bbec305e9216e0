"""NPZ and Parquet."""

from __future__ import annotations

import builtins
import contextlib
import io
import struct
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlrun.config.schema import DataConfig
from dlrun.data import load_dataset, load_table
from dlrun.data.npz_file import read_npz
from dlrun.errors import DataError


def test_npz_with_X_and_y_knows_its_target(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=np.arange(12, dtype=np.int16).reshape(6, 2), y=np.array(list("abaabb")))
    data = load_dataset(DataConfig(source="t.npz"), task=None, folder=tmp_path, seed=0)
    assert (data.target_name, data.classes, data.feature_names) == ("y", ("a", "b"), ("x1", "x2"))
    np.testing.assert_array_equal(data.features, np.arange(12).reshape(6, 2))
    np.testing.assert_array_equal(data.target, [0, 1, 0, 0, 1, 1])


def test_npz_with_features_target_names_and_a_further_column(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "t.npz",
        features=np.ones((3, 2), dtype=np.float16),
        target=np.array([[1.5], [2.5], [3.5]]),
        feature_names=np.array(["width", "height"]),
        flag=np.array([True, False, True]),
        name=np.array([b"ab", "é".encode(), b""]),
    )
    table = load_table("t.npz", folder=tmp_path)
    assert table.names == ["width", "height", "flag", "name", "target"]
    assert table.columns["flag"].tolist() == ["true", "false", "true"]
    assert table.columns["name"].tolist() == ["ab", "é", None]
    assert table.default_target == "target"


def test_npz_with_a_column_an_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", a=np.arange(3), b=np.array([1.0, np.nan, 3.0]))
    table = load_table("t.npz", folder=tmp_path)
    np.testing.assert_array_equal(table.columns["b"], [1, np.nan, 3])
    assert table.default_target is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.array([{}, {}], dtype=object), "y": np.arange(2)}, "'X' holds Python objects"),
        ({"a": np.zeros(2, dtype=[("x", "f8")])}, "'a' holds Python objects or records"),
        ({"X": np.zeros((2, 3, 4, 1, 1)), "y": np.arange(2)}, r"shape \(2, 3, 4, 1, 1\); it must be rows × columns"),
        ({"X": np.array([[[1.0], [np.nan], [2.0]]] * 2), "y": np.arange(2)}, "row 1: a step without a number stands"),
        ({"X": np.array([[["a"]]] * 2), "y": np.arange(2)}, "sequences must be numbers"),
        ({"X": np.zeros((2, 3)), "y": np.arange(3)}, r"'y' has the shape \(3,\) where 'X' has 2 rows"),
        ({"a": np.arange(2), "b": np.arange(3)}, "'b' has 3 values where 'a' has 2"),
        ({"a": np.float64(3)}, r"shape \(\)"),
        ({"a": np.arange(3), "b": np.array([1, np.inf, 2])}, "row 2, column 'b': the value inf"),
        ({"a": np.zeros(3, dtype="complex64")}, "of type complex64"),
        ({"a": np.zeros(3, dtype="datetime64[s]")}, "of type datetime64"),
        ({"a": np.zeros(0)}, "no rows"),
        ({"X": np.zeros((2, 1)), "y": np.arange(2), "x1": np.arange(2)}, "different names"),
        (
            {"X": np.zeros((2, 2)), "y": np.arange(2), "feature_names": np.array(["a", "a"])},
            "different names",
        ),
        ({}, "no arrays"),
    ],
)
def test_npz_that_is_no_table(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load_table("t.npz", folder=tmp_path)


def npy_header(shape: str) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_npz_declaring_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy_header("(1000000000000,)") + b"\0" * 80)
    with pytest.raises(DataError, match="'a' declares 8000000000000 bytes and holds 80"):
        read_npz(path, name="t.npz")
    np.savez_compressed(path, a=np.zeros(1_000_000))  # honest, but over the limit
    with pytest.raises(DataError, match="values of 8 MB, more than the 1 MB"):
        read_npz(path, name="t.npz", limit=1_000_000)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_npz_gives_a_data_error_or_a_table(tmp_path: Path, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, X=np.arange(6.0).reshape(3, 2), y=np.arange(3))
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) :]
    (tmp_path / "t.npz").write_bytes(content)
    with contextlib.suppress(DataError):
        load_table("t.npz", folder=tmp_path)


def test_parquet_types(tmp_path: Path) -> None:
    columns = {
        "int": pyarrow.array([1, None, 3]),
        "float32": pyarrow.array([0.5, 1.5, None], pyarrow.float32()),
        "decimal": pyarrow.array([Decimal("1.25"), Decimal("2.50"), None]),
        "bool": pyarrow.array([True, None, False]),
        "text": pyarrow.array(["a", "", "ü"]),
        "category": pyarrow.array(["u", "v", "u"]).dictionary_encode(),
        "nothing": pyarrow.nulls(3),
        "day": pyarrow.array([date(2020, 1, 1)] * 3),
        "y": pyarrow.array([1.0, 2.0, 4.5]),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    table = load_table("t.parquet", folder=tmp_path)
    np.testing.assert_array_equal(table.columns["int"], [1, np.nan, 3])
    np.testing.assert_array_equal(table.columns["float32"], [0.5, 1.5, np.nan])
    np.testing.assert_array_equal(table.columns["decimal"], [1.25, 2.5, np.nan])
    assert table.columns["bool"].tolist() == ["true", None, "false"]
    assert table.columns["text"].tolist() == ["a", None, "ü"]
    assert table.columns["category"].tolist() == ["u", "v", "u"]
    assert np.isnan(table.columns["nothing"]).all()
    with pytest.raises(DataError, match=r"column 'day' .*of type date32.*data.features, without it"):
        load_dataset(DataConfig(source="t.parquet", target="y"), task=None, folder=tmp_path, seed=0)
    config = DataConfig(source="t.parquet", target="y", features=["category"])
    assert load_dataset(config, task="regression", folder=tmp_path, seed=0).features.tolist() == [
        [1, 0],
        [0, 1],
        [1, 0],
    ]


def test_the_same_content_hashes_alike_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2.5,y\n")
    np.savez(tmp_path / "t.npz", a=np.array([1, 2.5]), b=np.array(["x", "y"]))
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2.5], "b": ["x", "y"]}), tmp_path / "t.parquet")
    hashes = {load_table(f"t.{end}", folder=tmp_path).hash for end in ("csv", "npz", "parquet")}
    assert len(hashes) == 1


def test_parquet_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 something else")
    with pytest.raises(DataError, match="not readable as a Parquet file"):
        load_table("t.parquet", folder=tmp_path)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").write_bytes(b"")
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r'pip install "dlrun\[parquet\]"'):
        load_table("t.parquet", folder=tmp_path)


def test_parquet_with_a_name_twice_or_no_rows(tmp_path: Path) -> None:
    twice = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"])
    for table, message in ((twice, "'a' stands over more than one"), (pyarrow.table({"a": []}), "no rows")):
        pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
        with pytest.raises(DataError, match=message):
            load_table("t.parquet", folder=tmp_path)
