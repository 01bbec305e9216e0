from __future__ import annotations

import csv as stdlib_csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlrun.data import Table, csv_file, load_table
from dlrun.data.column_fit import fit_encoding
from dlrun.data.csv_fast import read_plain_csv
from dlrun.data.csv_file import read_csv
from dlrun.data.encoding import encode_table
from dlrun.data.values import decimal_commas
from dlrun.errors import DataError

Read = Callable[..., Table]


def test_types_are_inferred_from_all_values(csv: Read) -> None:
    table = csv('a,b,c,d\n1,x,"1,5",1.5e3\n 2 ,"y, ""z""",2,-.5\n,NA,3,NaN\n')
    np.testing.assert_array_equal(table.columns["a"], [1, 2, np.nan])
    assert table.columns["b"].tolist() == ["x", 'y, "z"', None]
    assert table.columns["c"].tolist() == ["1,5", "2", "3"]  # a decimal comma makes a text
    np.testing.assert_array_equal(table.columns["d"], [1500, -0.5, np.nan])
    assert table.numbers.tolist() == [2, 3, 4]


@pytest.mark.parametrize("marker", ["", "NA", "NaN", "nan", "null", "NULL", "None", "N/A", "?", "<NA>", "  "])
def test_missing_markers_in_numbers_and_texts(csv: Read, marker: str) -> None:
    table = csv(f"a,b\n{marker},{marker}\n1,x\n")
    assert np.isnan(table.columns["a"][0])
    assert table.columns["b"].tolist() == [None, "x"]


@pytest.mark.parametrize("text", ["1_000", "٣", "0x10", "1,5", "1 000", "5%", "1e", "--1", "1.2.3", "TRUE"])
def test_what_is_no_number_stays_text(csv: Read, text: str) -> None:
    assert csv(f'a,b\n"{text}",1\n').columns["a"].tolist() == [text]


def test_bom_blank_lines_spaces_crlf_and_no_last_newline(csv: Read) -> None:
    table = csv(b"\xef\xbb\xbf a , b\r\n1,2\r\n\r\n3,4")
    assert table.names == ["a", "b"]
    np.testing.assert_array_equal(table.columns["b"], [2, 4])
    assert table.numbers.tolist() == [2, 4]


def test_lines_are_counted_through_quoted_line_breaks(csv: Read) -> None:
    table = csv('a,b\n"x\ny",1\n"u\r\n\r\nv",2\nw,3\n')
    assert table.numbers.tolist() == [2, 4, 7]
    with pytest.raises(DataError, match="line 5: 1 field where"):
        csv('a,b\n"x\n\ny",1\nz\n')


def test_a_text_that_comes_late_keeps_every_value_as_written(csv: Read) -> None:
    rows = "".join(f"{index:05d},{index}\n" for index in range(9000))
    table = csv(f"a,b\n{rows}late,1\n")
    assert table.columns["a"][0] == "00000"
    assert table.columns["a"][-1] == "late"
    assert table.columns["b"][8999] == 8999


def test_columns_asked_for_as_text_stay_as_written(csv: Read) -> None:
    assert csv("a,b\n01,1\n", as_text=["a"]).columns["a"].tolist() == ["01"]


BAD = {
    "latin1": ("a,b\n1,x\n2,caf\xe9\n".encode("latin1"), r"t.csv, line 3: byte 0xe9 at position 13 .*iconv"),
    "cut UTF-8": (b"a\nx\xc3", "line 2: byte 0xc3 at position 3 "),
    "NUL": (b"a,b\n1,\x002\n", "line 2: a NUL byte at position 6"),
    "zip": (b"PK\x03\x04rest", "Excel"),
    "gzip": (b"\x1f\x8b\x08", "gunzip"),
    "UTF-16": ("a,b\n".encode("utf-16"), "UTF-16"),
    "short row": (b"a,b,c\n1,2,3\n1,2\n", r"line 3: 2 fields where the header has 3 \(a, b, c\)"),
    "long row": (b"a,b\n1,2,3\n", "line 2: 3 fields where the header has 2"),
    "twice": (b"a,b,a\n1,2,3\n", "the name 'a' stands over more than one column"),
    "no name": (b",a\n0,1\n7,2\n", "column 1 has no name"),
    "no second name": (b"a,\n0,1\n", "column 2 has no name"),
    "empty": (b"", "is empty"),
    "only BOM": (b"\xef\xbb\xbf\n\n", "is empty"),
    "only header": (b"a,b\n", "a header and no rows"),
    "semicolons": (b"a;b\n1;2;3\n", "separated by ';'"),
    "tabs": (b"a\tb\n1\t2\t3\n", r"separated by '\\t'"),
    "1e400": (b"a,b\n1,2\n1e400,2\n", "line 3, column 'a': '1e400' is infinite"),
    "inf": (b"a,b\n1,-inf\n", "line 2, column 'b': '-inf' is infinite"),
    "1e200": (b"a,b\n1,1e200\n", "line 2, column 'b': '1e200'"),
    "open quote": (b'a,b\n"1,2\n3,4\n', "a double quote is left open"),
    "after quote": (b'a,b\n"1"x,2\n', "line 2: text follows a closing double quote"),
    "long field": (b"a,b\n" + b"x" * 200_000 + b",1\n", "line 2: a field of more than 131072 characters"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named_with_place_and_remedy(csv: Read, case: str) -> None:
    content, message = BAD[case]
    with pytest.raises(DataError, match=message):
        csv(content)


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_as_bad_when_large(csv: Read, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "FAST_FROM_BYTES", 0)
    content, message = BAD[case]
    with pytest.raises(DataError, match=message):
        csv(content)


def test_infinity_as_a_category_is_no_error(csv: Read) -> None:
    assert csv("a\ninf\nx\n").columns["a"].tolist() == ["inf", "x"]


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "cars.csv").write_text("a\n1\n")
    (tmp_path / "folder.csv").mkdir()
    for source, message in {
        "missing.csv": "there is no file",
        "cars": r"did you mean 'cars\.csv'",
        "cars.xlsx": "no path that ends in .csv, .tsv, .parquet, .npz",
        "irsi": "did you mean 'iris'",
        "folder.csv": "not a regular file",
        ".": "the folder folder.csv is empty",
        "x" * 300 + ".csv": "cannot be read: File name too long",
        "~nobody-by-that-name/t.csv": "cannot be read: .*home",
        "CARS.CSV": "there is no file",
    }.items():
        with pytest.raises(DataError, match=message):
            load_table(source, folder=tmp_path)
    assert len(load_table(str(tmp_path / "cars.csv"), folder=Path("/"))) == 1


fields = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100).map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["", "NA", "nan", "x", " 7 ", "1_0", "True", "inf", "-0", "1e5", "é", "1e-400", "?", "+3", "NAN"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
)


def same(first: Table, second: Table) -> None:
    assert first.names == second.names
    np.testing.assert_array_equal(first.numbers, second.numbers)
    for name in first.names:
        a, b = first.columns[name], second.columns[name]
        assert a.dtype == b.dtype, name
        if a.dtype == np.float64:
            np.testing.assert_array_equal(a, b)
        else:
            assert a.tolist() == b.tolist()
    assert first.hash == second.hash


def columns_of(values: list[list[str]]) -> dict[str, list[str]]:
    return {f"c{index}": list(column) for index, column in enumerate(zip(*values, strict=True))}


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(fields, min_size=width, max_size=width), min_size=1)))
def test_both_readers_agree_on_what_the_quick_one_accepts(tmp_path: Path, rows: list[list[str]]) -> None:
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = stdlib_csv.writer(handle, lineterminator="\n", quoting=stdlib_csv.QUOTE_MINIMAL)
        writer.writerow(columns_of(rows))
        writer.writerows(rows)
    content = path.read_bytes()
    if b'"' in content or b"\r" in content:
        return
    quick = read_plain_csv(path, name="t", as_text=())
    if quick is not None:
        same(quick, read_csv(path, name="t"))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.floats(-1e100, 1e100),
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6),
        ),
        min_size=1,
    )
)
def test_round_trip_of_numbers_and_texts(tmp_path: Path, rows: list[tuple[float, str]]) -> None:
    texts = [f"x{text}x" for _, text in rows]  # no marker, no number, no space at the ends
    out = io.StringIO(newline="")
    writer = stdlib_csv.writer(out)
    writer.writerows(
        [["number", "text"], *([repr(number), text] for (number, _), text in zip(rows, texts, strict=True))]
    )
    (tmp_path / "t.csv").write_bytes(out.getvalue().encode())
    table = load_table("t.csv", folder=tmp_path)
    assert table.columns["number"].tolist() == [number for number, _ in rows]
    assert table.columns["text"].tolist() == texts


def test_a_large_file_is_read_quickly_and_exactly(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pandas.DataFrame({f"n{index}": random.standard_normal(30_000) for index in range(7)})
    frame["text"] = random.choice(["red", "green", "blue"], len(frame))
    frame["gaps"] = np.where(random.random(len(frame)) < 0.1, np.nan, random.integers(0, 9, len(frame)))
    frame["flag"] = random.random(len(frame)) < 0.5
    path = tmp_path / "large.csv"
    frame.to_csv(path, index=False)
    assert path.stat().st_size > csv_file.FAST_FROM_BYTES
    quick = read_plain_csv(path, name="t", as_text=())
    assert quick is not None
    for name in frame.columns[:7]:
        np.testing.assert_array_equal(quick.columns[name], frame[name])
    np.testing.assert_array_equal(quick.columns["gaps"], frame["gaps"])
    assert quick.columns["text"].tolist() == frame["text"].tolist()
    assert set(quick.columns["flag"]) == {"True", "False"}
    same(quick, load_table(str(path), folder=tmp_path))


def test_the_quick_reader_declines_what_it_cannot_vouch_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for content in [
        "a,b\n1,2\n3\n",
        "a,b\n1,2\n\n3,4\n",
        "a,b\n1,2,3\n4\n",
        "a\n1e400\n",
        "\na\n1\n",
        "a,b\n",
        "a\n" + "x" * 200_000,
    ]:
        path.write_text(content)
        assert read_plain_csv(path, name="t", as_text=()) is None, re.escape(content[:20])


@pytest.mark.parametrize("line", ["train", "train --set task=regression", "smooth", "train --target b"])
def test_decimal_commas_are_called_so(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dlrun.cli.app import run

    table = tmp_path / "orders.csv"
    table.write_text("total,b\n" + "".join(f'"1.{i:03},{i}",{i % 2}\n' for i in range(100, 190)))
    command, *more = line.split()
    target = [] if command == "smooth" or "--target" in more else ["--target", "total"]
    data = [str(table), "--column", "total", "--beta", "0.5"] if command == "smooth" else ["--data", str(table)]
    assert run([command, *data, *target, *more]) == 2
    said = capsys.readouterr().err
    assert "column 'total'" in said
    assert "'1.100,100' has a decimal comma" in said
    assert "write 1100.100" in said


def test_decimal_commas_where_numbers_were_learned_from(tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_text("x,y\n" + "".join(f"{i}.5,{i % 2}\n" for i in range(20)))
    learned = fit_encoding(load_table(str(plain), folder=tmp_path), ["x"])
    (tmp_path / "new.csv").write_text('x\n"100,5"\n')
    new = load_table("new.csv", folder=tmp_path)
    with pytest.raises(DataError, match=r"line 2, column 'x': '100,5' has a decimal comma, .*: write 100.5"):
        encode_table(new, learned)


def test_a_comma_may_part_thousands() -> None:
    assert decimal_commas(["359,146"]).endswith("write 359.146, or 359146")
    assert decimal_commas(["-1,5", "2,25", "x"]).endswith(
        "'-1,5' has a decimal comma, which makes it a text; numbers have a point: write -1.5"
    )
    assert not decimal_commas(["1,5", "x"])
    assert not decimal_commas([])


def test_a_file_of_another_format_and_one_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dlrun.cli.app import run

    (tmp_path / "table.xlsx").write_bytes(b"PK")
    assert run(["train", "--data", str(tmp_path / "table.xlsx"), "--target", "y"]) == 2
    assert "table.xlsx: files that end in .xlsx are not read; save it as one of .csv" in capsys.readouterr().err
    assert run(["train", "--data", str(tmp_path / "none.csv"), "--target", "y"]) == 2
    assert capsys.readouterr().err == f"dlrun: there is no file {tmp_path / 'none.csv'}.\n"
    with pytest.raises(DataError, match=f"there is no file none.csv in {re.escape(str(tmp_path))}"):
        load_table("none.csv", folder=tmp_path)
    (tmp_path / "table").write_text("x\n1\n")
    with pytest.raises(
        DataError, match=r"table: files without an ending are not read; save it as one of .csv, .tsv, .parquet"
    ):
        load_table(str(tmp_path / "table"), folder=tmp_path)
