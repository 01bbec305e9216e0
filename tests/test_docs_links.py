"""Every relative link of the pages and the README leads to a file that there is, and to a heading that is in it."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+(?:\([^()\s]*\))?)\)")


def without_code(text: str) -> str:
    """The text without fenced blocks, blocks that stand four spaces in, and code within a line."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(?:^\s*\n)(?:(?: {4}|\t).*\n?)+", "\n", text, flags=re.MULTILINE)
    return re.sub(r"`+[^`\n]*`+", lambda found: "x" * len(found[0]), text)


@cache
def anchors(path: Path) -> frozenset[str]:
    """What GitHub calls the headings: lower case, spaces as hyphens, without punctuation; equal ones numbered."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1\s*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} (.+?)\s*#*\s*$", text, flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = found.count(slug)
        found.append(slug)
        if count:
            found.append(f"{slug}-{count}")
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_anchors_exist(page: Path) -> None:
    for link in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page if not name else page.parent / name
        assert target.exists(), f"{page.name} leads to {name}, which there is not"
        assert ROOT in target.resolve().parents, f"{page.name} leads out of the project: {name}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} leads to {link}; {target.name} has no such heading"


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see [a](b.md#c) and ![d](e.png)", ["b.md#c", "e.png"]),
        ("`[a](b.md)` is code", []),
        ("```\n[a](b.md)\n```\n[c](d.md)", ["d.md"]),
        ("text\n\n    [a](b.md)\n\n[c](d.md)", ["d.md"]),
    ],
)
def test_what_counts_as_a_link(text: str, links: list[str]) -> None:
    assert LINK.findall(without_code(text)) == links


def test_headings_are_called_as_github_calls_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# φ given, and learned\n## What `a_b` is?\n## Twice\n## Twice\n", encoding="utf-8")
    assert anchors(page) == {"φ-given-and-learned", "what-a_b-is", "twice", "twice-1"}


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """`make docs`, in strict mode: unknown pages, unknown headings and pages that nothing leads to are errors."""
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(ROOT / "docs")]
    done = subprocess.run([*command, str(tmp_path / "site")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/gallery.html").exists()
