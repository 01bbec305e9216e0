"""What reaches standard output and standard error."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import dlrun
from dlrun.reporting.output import Output, is_terminal
from dlrun.reporting.tables import Table
from dlrun.runs.json_text import to_json
from dlrun.runs.summary import common_summary
from dlrun.runs.versions import library_version

TABLE = Table(title="Title", columns=["name"], rows=[("x",)])


def pretend_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


def test_plain_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, TABLE, "text\x1b\n")
    assert capsys.readouterr().out == "Title\nname\nx\n\ntext\\u001b\n"


def test_rich_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_terminal(monkeypatch)
    Output().result({}, TABLE)
    shown = capsys.readouterr().out
    assert "│" in shown
    assert "\x1b[" in shown


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_plain_when_asked_for(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch)
    monkeypatch.setenv(variable, value)
    Output().result({}, TABLE)
    with Output().progress("training", 2) as advance:
        advance()
    assert capsys.readouterr().out == "Title\nname\nx\n"


def test_json_is_all_there_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_terminal(monkeypatch)
    output = Output(json=True)
    with output.progress("training", 2) as advance:
        advance()
    output.note("a note")
    output.result({"name": "x"}, TABLE)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"name": "x"}
    assert captured.err == "a note\n"


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(quiet=True)
    output.note("a note")
    output.result({}, TABLE, in_files=True)
    assert capsys.readouterr() == ("", "")
    output.result({}, TABLE)
    assert capsys.readouterr().out.startswith("Title")
    Output(quiet=True, json=True).result({"a": 1}, in_files=True)
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_terminal(monkeypatch)
    with Output().progress("training [red]\x1b", 2) as advance:
        advance(note="error 0.5")
        advance(note="error 0.25")
    shown = capsys.readouterr().out
    assert "training [red]\\u001b" in shown
    assert "2/2" in shown
    assert "error 0.25" in shown


def test_no_bar_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert not is_terminal()
    with Output().progress("training", 2) as advance:
        advance(2, note="done")
    assert capsys.readouterr() == ("", "")


def test_json_of_numpy_values() -> None:
    values = {
        "float32": np.float32(0.1),
        "array": np.array([1.5, np.inf]),
        "zero_d": np.array(2),
        "bool": np.bool_(True),
        "path": Path("runs"),
        "tuple": (1, None, "é"),
    }
    assert json.loads(to_json(values)) == {
        "float32": 0.1,
        "array": [1.5, None],
        "zero_d": 2,
        "bool": True,
        "path": "runs",
        "tuple": [1, None, "é"],
    }


def test_the_common_part_of_a_summary() -> None:
    summary = common_summary(
        command="train", seed=1, device="cpu", parameters=10, seconds=1.23456, data_hash="aa", split_hash=None
    )
    assert summary["seconds"] == 1.235
    assert summary["versions"]["numpy"] == np.__version__
    assert summary["versions"]["dlrun"] == dlrun.__version__
    assert {"command", "seed", "device", "parameters", "data_hash", "split_hash"} <= summary.keys()


def test_a_library_that_is_not_there() -> None:
    assert library_version("no-such-distribution-of-ours") is None
