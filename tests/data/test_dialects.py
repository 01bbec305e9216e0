"""Tables as people have them: other delimiters, decimal commas, compressed files, a column that counts."""

from __future__ import annotations

import bz2
import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlrun.cli.app import run
from dlrun.data import load_table
from dlrun.data.dialect import find_dialect
from dlrun.errors import DataError

CASES = Path(__file__).parent / "cases"
QUICK = ("--set", "training.epochs=1", "--device", "cpu", "--out", "run")


def read(folder: Path, text: str | bytes, name: str = "t.csv", **options: str) -> dict[str, list[object]]:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    table = load_table(name, folder=folder, **options)  # type: ignore[arg-type]
    return {column: values.tolist() for column, values in table.columns.items()}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_delimiter_is_found_out(delimiter: str, end: str, tmp_path: Path) -> None:
    lines = ["a,b,y", "1.5,2,yes", "-3,4e2,no"]
    text = end.join(line.replace(",", delimiter) for line in lines) + end
    assert read(tmp_path, text) == {"a": [1.5, -3.0], "b": [2.0, 400.0], "y": ["yes", "no"]}


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_found_out(delimiter: str, tmp_path: Path) -> None:
    text = "a;b;y\n0,13;-0,5;nein\n7;1,25e3;ja\n;2,0;ja\n".replace(";", delimiter)
    found = read(tmp_path, text)
    np.testing.assert_array_equal(np.array(found["a"], float), [0.13, 7.0, np.nan])
    assert found["b"] == [-0.5, 1250.0, 2.0]
    assert found["y"] == ["nein", "ja", "ja"]


def test_quoted_fields_may_hold_what_delimits(tmp_path: Path) -> None:
    assert read(tmp_path, 'a;b\n"x;y";1\n"p;q";2\n') == {"a": ["x;y", "p;q"], "b": [1.0, 2.0]}
    assert read(tmp_path, 'a,b\n"x;y",1\n"p;q",2\n') == {"a": ["x;y", "p;q"], "b": [1.0, 2.0]}
    assert read(tmp_path, 'a;b\n"two\nlines";1,5\nz;2,5\n') == {"a": ["two\nlines", "z"], "b": [1.5, 2.5]}


def test_a_comma_counts_wherever_it_fits(tmp_path: Path) -> None:
    """What was read with commas before is read so now, whatever else stands in it."""
    assert read(tmp_path, "a,b\nx;y;z,1\np;q;r,2\n") == {"a": ["x;y;z", "p;q;r"], "b": [1.0, 2.0]}
    assert read(tmp_path, "a\n1;2\n3;4\n") == {"a": ["1;2", "3;4"]}


def test_what_is_given_counts(tmp_path: Path) -> None:
    text = "a;b,c;y\n1;2,5;3\n2;4,5;6\n"
    assert list(read(tmp_path, text, delimiter=";", decimal=",")) == ["a", "b,c", "y"]
    assert read(tmp_path, 'a,b\n"1,5",2\n', decimal=",") == {"a": [1.5], "b": [2.0]}
    assert read(tmp_path, "a;b\n1,5;x\n", decimal=".") == {"a": ["1,5"], "b": ["x"]}


def test_points_between_thousands_are_refused_and_not_misread(tmp_path: Path) -> None:
    for text in ("a;b\n1.234,5;1\n2,5;2\n", "a;b;c\n1.500;1;0,5\n20;2;1,5\n"):
        with pytest.raises(DataError, match=r"t\.csv, line 2, column 'a': '1\.(234,5|500)' has a point"):
            read(tmp_path, text)
    # points and commas: the points are the decimals, and the commas are said to be wrong as ever
    assert read(tmp_path, "a;b\n1.5;1,5\n2.5;2,5\n")["a"] == [1.5, 2.5]


def test_the_dialect_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    case = CASES / "semicolon_decimal_comma.csv"
    assert run(["train", "--data", str(case), "--target", "y", *QUICK]) == 0
    assert "is read with semicolons between its fields and decimal commas" in capsys.readouterr().err
    assert run(["train", "run/config.toml", "--device", "cpu", "--quiet", "--out", "again"]) == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tmp_path / "run/model.safetensors").read_bytes()
    assert run(["predict", "run", "--data", str(case), "--device", "cpu", "--out", "p.csv", "--quiet"]) == 0
    given = ["--set", "data.delimiter=;", "--set", "data.decimal=,"]
    assert run(["train", "--data", str(case), "--target", "y", *given, *QUICK, "--overwrite"]) == 0
    assert "is read with" not in capsys.readouterr().err
    assert 'delimiter = ";"' in (tmp_path / "run/config.toml").read_text()


def test_numbers_are_those_of_the_table_with_points(tmp_path: Path) -> None:
    text = (CASES / "semicolon_decimal_comma.csv").read_text()
    plain = read(tmp_path, text.replace(",", ".").replace(";", ","), "plain.csv")
    assert read(tmp_path, text) == plain
    assert set(map(type, plain["a"])) == {float}


# -- tabs, and columns that count --------------------------------------------------------------------


def test_tabs(tmp_path: Path) -> None:
    table = load_table(str(CASES / "tabs.tsv"), folder=tmp_path)
    assert list(table.columns) == ["a", "b", "y"]
    assert table.notes == ()  # the ending says it
    assert read(tmp_path, "only\n1,5\n2,5\n", "t.tsv") == {"only": [1.5, 2.5]}


def test_a_counting_column_without_a_name_is_left_out_and_told(tmp_path: Path) -> None:
    table = load_table(str(CASES / "pandas_index.csv"), folder=tmp_path)
    assert list(table.columns) == ["a", "b", "y"]
    assert "the first column, which has no name and counts the rows, is left out" in table.notes[0]
    assert read(tmp_path, ",a\n1,5\n2,6\n") == {"a": [5.0, 6.0]}
    for text in (",a\n0,5\n2,6\n", ",a\nx,5\ny,6\n", "a,\n5,0\n6,1\n"):
        with pytest.raises(DataError, match="has no name"):
            read(tmp_path, text)
    large = ",a\n" + "".join(f"{n},{n % 7}\n" for n in range(600_000))
    assert list(read(tmp_path, large)) == ["a"]


# -- compressed ----------------------------------------------------------------------------------------


def packed(path: Path, data: bytes, inner: str = "t.csv") -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(inner, data)
    else:
        path.write_bytes((gzip if path.suffix == ".gz" else bz2).compress(data))


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".zip"])
@pytest.mark.parametrize("case", ["semicolon_decimal_comma.csv", "tabs.tsv", "pandas_index.csv"])
def test_compressed_tables_are_read_as_they_are(ending: str, case: str, tmp_path: Path) -> None:
    packed(tmp_path / f"{case}{ending}", (CASES / case).read_bytes(), inner=f"folder/{case}")
    found = load_table(f"{case}{ending}", folder=tmp_path)
    plain = load_table(case, folder=CASES)
    assert found.hash == plain.hash
    assert found.name == f"{case}{ending}"


def test_a_compressed_table_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packed(tmp_path / "mine.csv.gz", (CASES / "tabs.tsv").read_bytes())
    assert run(["train", "--data", "mine.csv.gz", "--target", "y", *QUICK, "--quiet"]) == 0
    assert 'name = "mine"' in (tmp_path / "run/config.toml").read_text()


def test_archives_that_are_no_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
        archive.writestr("__MACOSX/a.csv", "")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    packed(tmp_path / "t.txt.gz", b"a\n1\n")
    for name, message in {
        "two.zip": "holds 2 of them",
        "none.zip": r"holds 0 of them \(readme\.txt\)",
        "t.txt.gz": "should hold a table",
    }.items():
        with pytest.raises(DataError, match=message):
            load_table(name, folder=tmp_path)
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    for name, data in {
        "cut.csv.gz": whole[:40],
        "no.csv.gz": b"a,b\n1,2\n",
        "no.csv.bz2": b"x",
        "no.zip": b"PK",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=f"{name}: the archive is damaged"):
            load_table(name, folder=tmp_path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "bomb.csv.gz", "wb") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match="made to fill the memory"):
        load_table("bomb.csv.gz", folder=tmp_path)


# -- anything ------------------------------------------------------------------------------------------

FIELDS = st.text(st.characters(codec="utf-8", exclude_characters='\r\n\0"'), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(FIELDS, min_size=3, max_size=3), min_size=1, max_size=6), delimiter=st.sampled_from(";\t|,")
)
def test_whatever_is_quoted_is_read_back(
    rows: list[list[str]], delimiter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Fields in quotes may hold any delimiter; the one between them is found where no other fits as well."""
    path = tmp_path_factory.mktemp("t") / "t.csv"
    lines = [delimiter.join(f'"{field}"' for field in row) for row in [["one", "two", "three"], *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    assert find_dialect(path).delimiter == delimiter
