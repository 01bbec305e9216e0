"""Tables and arrays that must be refused."""

from __future__ import annotations

import io
import os
import zipfile
from datetime import date
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from reliability.cases import ROWS, TABLE, Bad, table

FINITE = "give a finite number"
LONG = [(n, n % 3, "no" if n % 2 else "yes") for n in range(80)]
CLASSES = np.arange(12) % 2


def csv(rows: Any, header: str = "a,b,y") -> str:
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


SOUND_NPZ = npz(X=np.zeros((12, 2)), y=CLASSES)

TABLES = [
    # -- what is no CSV
    table("no bytes", "", "is empty", "a header line"),
    table("a byte order mark alone", b"\xef\xbb\xbf", "is empty", "a header line"),
    table("empty lines", "\n\n", "is empty", "a header line"),
    table("blanks", "\n  \n", "line 1", "has no name", "name it"),
    table("a header alone", "a,b,y\n", "no rows", "needed below"),
    table("UTF-16 with a mark", TABLE.encode("utf-16"), "UTF-16", "save it as UTF-8"),
    table("UTF-16 without", TABLE.encode("utf-16-le"), "line 1", "NUL byte at position 1", "save the table as CSV"),
    table("Latin-1 text", csv(ROWS).replace("yes", "sí").encode("latin-1"), "line 2", "0xed", "iconv"),
    table("a NUL byte", TABLE + "1\0,2,yes\n", "line 14", "NUL byte", "save the table as CSV"),
    table("a workbook", b"PK\x03\x04" + bytes(100), "Excel", "save it as CSV"),
    table("gzip", b"\x1f\x8b" + bytes(100), "gzip", "unpack"),
    table("a picture", b"\x89PNG\r\n\x1a\n" + bytes(100), "NUL byte", "save the table as CSV"),
    table("Parquet as CSV", parquet(a=[1.0], y=[1.0]), "Parquet", "name it .parquet"),
    table("semicolons", TABLE.replace(",", ";") + "1;2\n", "line 1", "';'", "data.delimiter"),
    table("tabs", TABLE.replace(",", "\t") + "1\t2\n", "line 1", r"'\t'", "data.delimiter"),
    table("a web page", "<!DOCTYPE html>\n<p>404, not found</p>\n", "line 2", "2 fields where the header has 1"),
    table("a FIFO for a table", os.mkfifo, "not a regular file"),
    table("a folder for a table", lambda path: path.mkdir(), "not a regular file"),
    Bad(
        name="a device for a table",
        arguments=("train", "--data", "/dev/zero", "--target", "y"),
        says=("/dev/zero", ".csv, .tsv, .parquet, .npz"),
    ),
    Bad(
        name="a link to a device",
        arguments=("train", "--data", "t.csv", "--target", "y"),
        files={"t.csv": lambda path: path.symlink_to("/dev/zero")},
        says=("t.csv", "not a regular file"),
    ),
    # -- its shape
    table("a field too many", TABLE + "1,2,yes,4\n", "line 14", "4 fields where the header has 3", "double quotes"),
    table("a field too few", TABLE + "1,2\n", "line 14", "2 fields where the header has 3"),
    table("a header twice", TABLE.replace("a,b", "a,a", 1), "line 1", "'a'", "make names unique"),
    table("a header twice but for blanks", TABLE.replace("a,b", "a, a ", 1), "line 1", "'a'", "make names unique"),
    table("a column without a name", TABLE.replace("a,b", "a,", 1), "line 1", "column 2", "name it"),
    table("an open quote", TABLE + '"1,2,yes\n', "line 14", "quote is left open"),
    table("text behind a quote", TABLE + '"1"x,2,yes\n', "line 14", "inside a quoted field twice"),
    table("a 10 MB field", TABLE + f"1,{'9' * 10_000_000},yes\n", "line 14", "more than 131072", "double quote"),
    table("a 10 MB quoted field", TABLE + f'1,"{"x" * 10_000_000}",yes\n', "line 14", "more than 131072"),
    table("a 10 MB name", "a" * 10_000_000 + ",y\n1,2\n", "line 1", "more than 131072"),
    table(
        "a line of 70 MB", "a,y\n" + "1," * 35_000_000, "line 2", "longer than 67108864 bytes", "a line for each row"
    ),
    table("one row", "a,b,y\n1,2,yes\n", "1 row", "at least 2"),
    # -- its values
    table("inf", TABLE + "inf,1,yes\n", "line 14, column 'a'", "'inf'", FINITE),
    table("-Infinity", TABLE + "-Infinity,1,yes\n", "line 14, column 'a'", "'-Infinity'", FINITE),
    table("1e400", TABLE + "1e400,1,yes\n", "line 14, column 'a'", "'1e400'", FINITE),
    table("1e200", TABLE + "1e200,1,yes\n", "line 14, column 'a'", "'1e200'", FINITE),
    table("a number of 400 digits", TABLE + f"1,{'9' * 400},yes\n", "line 14, column 'b'", "'999", FINITE),
    table("nan", TABLE + "nan,1,yes\n", "line 14, column 'a'", "missing", 'data.missing to "mean"'),
    table("an empty field", TABLE + ",1,yes\n", "line 14, column 'a'", "missing", 'data.missing to "mean"'),
    table("a word among numbers", csv(LONG) + "oops,1,yes\n", "line 82, column 'a'", "'oops'", "correct it"),
    table("dates", csv([(f"2020-01-{n:02}T{n}", 1, y) for n, _, y in LONG]), "column 'a'", "dates", "data.features"),
    table("names", csv([(f"id{n}", b, y) for n, b, y in LONG]), "column 'a'", "identifiers", "data.features"),
    table("an empty column", csv([(a, "", y) for a, _, y in ROWS]), "column 'b'", "no value", "data.features"),
    table(
        "nothing left",
        csv([("", 1, "u"), (1, "", "v")] * 4),
        "leaves 0 of 8 rows",
        "by column",
        options=("--set", "data.missing=drop"),
    ),
    # -- its target
    table("no target", TABLE.replace(",y\n", ",z\n", 1), "no column 'y' (data.target)", "Columns: a, b, z"),
    table("a target alone", csv([(y,) for *_, y in ROWS], "y"), "no feature to predict 'y'", "At least one more"),
    table("an empty target", TABLE + "1,2,\n", "line 14, column 'y'", "target is missing", "fill it in"),
    table("one class", csv([(a, b, "yes") for a, b, _ in ROWS]), "column 'y'", "'yes'", "at least two classes"),
    table("a class a row", csv([(a, b, f"c{a}") for a, b, _ in LONG]), "column 'y'", "80 different", "another column"),
    table(
        "texts in a regression",
        TABLE,
        "line 2, column 'y'",
        "'yes'",
        "correct it",
        options=("--set", "task=regression"),
    ),
    table("an unknown feature", TABLE, "no column 'c'", "Columns", options=("--set", 'data.features=["c"]')),
    table("an unknown group", TABLE, "no column 'c'", "data.group", options=("--set", "data.group=c")),
    Bad(
        name="a target left out",
        arguments=("train", "--data", "t.csv"),
        files={"t.csv": TABLE},
        says=("t.csv", "data.target is missing", "Columns: a, b, y"),
    ),
    # -- arrays
    table("a text as NPZ", "hello", "not readable as an .npz", "numpy.savez", end="npz"),
    table("half an NPZ", SOUND_NPZ[: len(SOUND_NPZ) // 2], "not readable as an .npz", "numpy.savez", end="npz"),
    table("no arrays", npz(), "no arrays", "X and y", end="npz"),
    table("objects", npz(X=np.array([[1, "a"]], object), y=[1]), "'X'", "object", "astype(str)", end="npz"),
    table("records", npz(a=np.zeros(3, [("x", "f8")]), y=np.zeros(3)), "'a'", "records", "save numbers", end="npz"),
    table(
        "five axes",
        npz(X=np.zeros((3, 2, 2, 1, 1)), y=np.zeros(3)),
        "'X'",
        "(3, 2, 2, 1, 1)",
        "rows × columns",
        end="npz",
    ),
    table("other lengths", npz(X=np.zeros((3, 2)), y=np.zeros(4)), "'y'", "(4,)", "3 rows", end="npz"),
    table("a single number", npz(X=np.float64(3), y=np.zeros(1)), "'X'", "()", "rows × columns", end="npz"),
    table("no rows", npz(X=np.zeros((0, 2)), y=np.zeros(0)), "no rows", "at least 2", end="npz"),
    table("complex numbers", npz(a=np.zeros(12, complex), y=CLASSES), "'a'", "complex128", "are needed", end="npz"),
    table("times", npz(a=np.zeros(12, "M8[s]"), y=CLASSES), "'a'", "datetime64", "are needed", end="npz"),
    table("infinite arrays", npz(X=np.full((12, 2), np.inf), y=CLASSES), "row 1, column 'x1'", FINITE, end="npz"),
    table("arrays of nan", npz(X=np.full((12, 2), np.nan), y=CLASSES), "column 'x1'", "no value", end="npz"),
    table("too few names", npz(X=np.zeros((3, 2)), y=np.zeros(3), feature_names=["a"]), "2 different", end="npz"),
    table("bytes that are no text", npz(a=np.array([b"\xff"] * 12), y=CLASSES), "'a'", "UTF-8", end="npz"),
    table("an array without a header", zipped(X=b"hello", y=b""), "not readable", "numpy.savez", end="npz"),
    # -- Parquet
    table("nothing as Parquet", b"", "not readable as a Parquet", "to_parquet", end="parquet"),
    table("a text as Parquet", "PAR1 hello PAR1", "not readable as a Parquet", "to_parquet", end="parquet"),
    table("half a Parquet file", parquet(a=[1.0], y=[1.0])[:-9], "not readable as", "to_parquet", end="parquet"),
    table("no rows of Parquet", parquet(a=np.zeros(0), y=np.zeros(0)), "no rows", "at least 2", end="parquet"),
    table("days", parquet(a=[date(2020, 1, n + 1) for n in range(12)], y=CLASSES), "date32", end="parquet"),
    table("lists", parquet(a=[[1]] * 12, y=CLASSES), "'a'", "list<", "data.features", end="parquet"),
    table("inf in Parquet", parquet(a=[np.inf] * 12, y=CLASSES), "row 1, column 'a'", FINITE, end="parquet"),
    table("a gap in the target", parquet(a=range(12), y=[0, 1, None] * 4), "row 3, column 'y'", end="parquet"),
]
