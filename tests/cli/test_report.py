"""`dlrun report`: what the page says, that nothing of the data becomes markup, and how a real browser shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cli.browser import browse, find_browser, visit

from dlrun.cli.app import run as dlrun_run
from dlrun.reporting.report_html import escaped, tag

Dlrun = Callable[..., Any]
EVIL = '"><img src=http://dlrun.invalid/x.png onerror=window.parent.hacked=window.hacked=1>'
SCRIPT = "</title></style></svg><script>window.hacked=1</script>"
BIDI = "abc\u202egnp.exe\u2069"
OWN = """name = "own"
[data]
source = "own.csv"
target = '''c' & "d" <b>'''
[data.split]
train = 0.5
dev = 0.0
test = 0.5
[model]
hidden = []
[training]
epochs = 2
"""


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training and two cross-validations of a table whose every name is an attack."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [f"{i % 7},{i % 3 + (i % 2) * 5},{quoted((EVIL, BIDI)[i % 2])}" for i in range(40)]
    header = ",".join(map(quoted, (SCRIPT, BIDI, 'c\' & "d" <b>')))
    (folder / "own.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    (folder / "own.toml").write_text(OWN, encoding="utf-8")
    own = str(folder / "own.toml")
    quiet = ("--quiet", "--device", "cpu")
    assert dlrun_run(["train", own, "--out", str(folder / "<b>run"), *quiet]) == 0
    summary = folder / "<b>run" / "summary.json"
    told = json.loads(summary.read_text(encoding="utf-8"))
    summary.write_text(json.dumps({**told, "name": SCRIPT, "warnings": [EVIL]}), encoding="utf-8")
    for name, epochs in (("cv1", 2), ("cv2", 4)):
        out = ("--out", str(folder / name), "--set", f"training.epochs={epochs}")
        assert dlrun_run(["crossval", own, "--folds", "4", *out, *quiet]) == 0
    return folder


@pytest.fixture(scope="module")
def page(hostile: Path) -> Path:
    """The report of the training."""
    assert dlrun_run(["report", str(hostile / "<b>run"), "--out", str(hostile / "one.html"), "--quiet"]) == 0
    return hostile / "one.html"


@pytest.fixture(scope="module")
def beside(hostile: Path) -> Path:
    """The report of the two cross-validations, one of them called by an attack."""
    runs = [str(hostile / "cv1"), str(hostile / "cv2"), "--label", EVIL, "--label", "second"]
    assert dlrun_run(["report", *runs, "--out", str(hostile / "two.html"), "--quiet"]) == 0
    return hostile / "two.html"


class Reader(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_nothing_of_the_data_is_markup(page: Path, beside: Path) -> None:
    for path in (page, beside):
        text = path.read_text(encoding="utf-8")
        found = Reader(text)
        names = {name for name, _ in found.tags}
        assert not names & {"script", "iframe", "object", "embed", "link", "form", "b", "base"}
        assert not [key for _, attributes in found.tags for key in attributes if key.startswith("on")]
        assert not re.search("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
        assert "<img src=http://dlrun.invalid" in "".join(found.text)  # it is there, as text


def test_the_page_asks_for_nothing(page: Path, beside: Path) -> None:
    for path in (page, beside):
        found = Reader(path.read_text(encoding="utf-8"))
        for name, attributes in found.tags:
            for key, value in attributes.items():
                if key in ("src", "href", "xlink:href", "srcset", "action", "background", "poster"):
                    assert value is not None
                    assert value.startswith(("#", "data:image/png;base64,")), (name, key, value[:80])
                if key == "style" and value:
                    assert not re.search(r"url\((?!#)", value)
        policy = next(a["content"] for n, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None
        assert "default-src 'none'" in policy
        assert "script-src" not in policy  # none is allowed by the default


def test_ids_are_unique_and_references_lead_somewhere(beside: Path) -> None:
    found = Reader(beside.read_text(encoding="utf-8"))
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = {a[k] for _, a in found.tags for k in ("href", "xlink:href") if (a.get(k) or "").startswith("#")}
    assert links <= {f"#{each}" for each in ids}


def test_figures_stand_beside_the_baseline(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    assert dlrun("report", str(iris_run), "--out", "r.html").status == 0
    text = " ".join(Reader((here / "r.html").read_text(encoding="utf-8")).text)
    summary = json.loads((iris_run / "summary.json").read_text())
    assert f"{summary['figures']['test']['error']:.4g}" in text
    assert "0.6667 (majority)" in text  # a third of iris is right by saying one class
    for each in (summary["versions"]["numpy"], summary["data_hash"], "learning_rate = 0.01", "cross_entropy"):
        assert each in text


def test_two_runs_are_compared_where_their_splits_are_the_same(beside: Path) -> None:
    text = " ".join(Reader(beside.read_text(encoding="utf-8")).text)
    assert "Is the difference real?" in text
    assert re.search(r"corrected resampled t-test|erred alike on every test row|cannot be tested", text)


def test_other_splits_are_not_compared(dlrun: Dlrun, hostile: Path, here: Path) -> None:
    out = ("--out", "cv3", "--quiet", "--device", "cpu")
    assert dlrun("crossval", str(hostile / "own.toml"), "--folds", "5", *out).status == 0
    result = dlrun("report", str(hostile / "cv1"), "cv3", "--out", "r.html", "--json")
    (verdict,) = json.loads(result.stdout)["verdicts"]
    assert "tested on different splits" in verdict


def test_a_model_no_better_than_the_baseline_is_a_warning(dlrun: Dlrun, here: Path) -> None:
    assert dlrun("train", "xor", "--out", "run", "--set", "training.epochs=0", "--quiet").status == 0
    assert dlrun("report", "run").status == 0
    found = Reader((here / "run" / "report.html").read_text(encoding="utf-8"))
    assert [a for _, a in found.tags if a.get("class") == "warning"]
    assert "does not beat the majority baseline" in " ".join(found.text)


def test_a_summary_of_an_unknown_command_shows_its_numbers(dlrun: Dlrun, here: Path) -> None:
    (here / "odd").mkdir()
    (here / "odd" / "summary.json").write_text('{"command": "later", "score": {"a": 0.125, "b": ["<i>"]}, "n": null}')
    assert dlrun("report", "odd").status == 0
    text = (here / "odd" / "report.html").read_text()
    assert "score / a" in text
    assert "0.125" in text
    assert "<i>" not in text


def test_damaged_summaries_give_a_page_or_one_message(dlrun: Dlrun, here: Path) -> None:
    (here / "odd").mkdir()
    for command in ("train", "crossval", "bootstrap", "tune", "gradcheck", "diagnose"):
        for broken in ({"figures": 3}, {"error": [1], "baseline": "x"}, {"estimates": {"oob": "y"}}, {"warnings": 7}):
            summary = {"command": command, "name": "x", "task": "classification", **broken}
            (here / "odd" / "summary.json").write_text(json.dumps(summary))
            result = dlrun("report", "odd", "--out", "r.html")
            assert result.status in (0, 2), (summary, result.stderr)
            assert "error in dlrun itself" not in result.stderr


WRONG = {
    "ending": (("--out", "a.pdf"), "a report's name should end in .html"),
    "folder": (("--out", "sub.html"), "is a folder"),
    "labels": (("--label", "a", "--label", "b"), "2 given for 1 run;"),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_a_wrong_request_is_one_message(dlrun: Dlrun, iris_run: Path, here: Path, case: str) -> None:
    (here / "sub.html").mkdir()
    arguments, message = WRONG[case]
    result = dlrun("report", str(iris_run), *arguments)
    assert result.status == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_is_no_run(dlrun: Dlrun, iris_run: Path, here: Path) -> None:
    result = dlrun("report", str(iris_run / "metrics.csv"), "--out", "r.html")
    assert result.status == 2
    assert "is about folders of runs" in result.stderr


def test_elements_escape_what_they_are_given() -> None:
    made = tag("a", "<&\u202e\x1b", href="\"><x y='")
    assert made == '<a href="&quot;&gt;&lt;x y=&#x27;">&lt;&amp;\\u202e\\u001b</a>'
    assert escaped(tag("p", "x")) == "<p>x</p>"
    assert tag("p", None, class_=None) == "<p>None</p>"


# -- in a real browser -----------------------------------------------------------------------------

in_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium or Chrome is installed")


@in_browser
def test_the_checks_would_see_a_script_and_a_request(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!DOCTYPE html><main><img src='http://dlrun.invalid/x.png'><div style='width:900px'>wide</div>"
        "<script>window.hacked=1;console.error('seen')</script></main>"
    )
    found = visit(bad, tmp_path / "work", widths=(390,))
    assert found.found["390"]["hacked"] == "1"
    assert found.found["390"]["scroll"] > 390
    assert "http://dlrun.invalid/x.png" in found.requests
    assert any("seen" in line for line in found.console)


@in_browser
def test_light_on_a_phone_and_on_a_desk(page: Path, tmp_path: Path) -> None:
    seen = visit(page, tmp_path / "work")
    assert seen.console == []
    assert seen.requests == []
    for width in ("390", "1100"):
        found = seen.found[width]
        assert found["scroll"] <= found["client"], found["out"]
        assert found["out"] == []
        assert found["hacked"] == "undefined"
        assert (found["scripts"], found["handlers"]) == (0, 0)
        assert found["svgs"]
        assert min(found["svgs"]) > 300
        assert "onerror" in found["text"]
    assert brightness(found["background"]) > 200
    assert brightness(found["color"]) < 60


@in_browser
def test_dark_and_in_print(beside: Path, tmp_path: Path) -> None:
    seen = visit(beside, tmp_path / "work", dark=True)
    assert seen.console == []
    assert seen.requests == []
    found = seen.found["390"]
    assert found["scroll"] <= found["client"], found["out"]
    assert brightness(found["background"]) < 40
    assert brightness(found["color"]) > 200
    printed = seen.found["print"]
    assert brightness(printed["background"]) == 255
    assert brightness(printed["color"]) == 0
    assert sum(printed["details"]) > sum(found["details"])  # what is folded on the screen is open on paper


@in_browser
def test_it_prints(page: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    paper = tmp_path / "paper.pdf"
    browse(work, f"--print-to-pdf={paper}", "--no-pdf-header-footer", page.as_uri())
    assert paper.read_bytes().startswith(b"%PDF")
    assert b"/Type /Page" in paper.read_bytes()


def brightness(colour: str) -> float:
    """The mean of red, green and blue of `rgb(r, g, b)`."""
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3
