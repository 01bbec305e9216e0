"""What the pages paste below a command is what the command prints; its figures are compared by `make soak` alone.

On another processor the last digits are others, and after many epochs more than those. Times are never compared.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pasted import DOCS, LEFT_OUT, pasted, same_figures, same_words

from dlrun.cli.app import run

PAGES = sorted(page for page in DOCS.glob("*.md") if pasted(page))
# What the reader brings along, or what tells of the machine.
FOREIGN = ("cars", "sample.csv", "new.csv", "quantile.toml", "dlrun info", "runs/line ")
SAME = same_figures if os.environ.get("DLRUN_SOAK") else same_words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pasted_outputs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page from top to bottom, in one folder that is empty at first."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").symlink_to(DOCS.parent / "experiments")
    wrong = []
    for each in pasted(page):
        if any(word in each.text + " " for word in FOREIGN):
            continue
        capsys.readouterr()
        run(each.words)
        printed = [SAME(line) for line in "\n".join(capsys.readouterr()).splitlines() if line.strip()]
        expected = [SAME(line) for line in each.output]
        missing = [line for line in expected if line not in printed and line != LEFT_OUT]
        whole = bool(expected) and LEFT_OUT not in expected
        more = [line for line in printed if line not in expected] if whole else []
        if missing or more:
            wrong.append(f"{each.text}\n  pasted: {missing}\n  printed: {more or printed}")
    assert not wrong, "\n".join(wrong)
