"""`docs/reliability.md` names tests that exist, and counts that hold."""

from __future__ import annotations

import re
from pathlib import Path

from reliability.bombs import BOMBS
from reliability.test_bad_input import CASES
from reliability.test_full_disk import COMMANDS
from reliability.test_hostile_names import FORMULAS, NAMES
from reliability.test_no_foreign_code import READERS

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_the_tests_that_the_page_names_exist() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", PAGE))
    elsewhere = set(re.findall(r"`(tests/\w+/test_\w+\.py)`", PAGE))
    assert named
    assert elsewhere
    assert all((Path(__file__).parent / name).is_file() for name in named)
    assert all((Path(__file__).parents[2] / name).is_file() for name in elsewhere)


def test_the_counts_of_the_page() -> None:
    for number, what in (
        (len(CASES), "cases"),
        (len(BOMBS), "bombs"),
        (len(NAMES), "names"),
        (len(FORMULAS), "kinds of formula"),
        (len(READERS), "command lines on a run's folder"),
    ):
        assert f"| {number} {what}" in PAGE
    assert f"in turn of {len(COMMANDS)} commands" in PAGE
