"""Command lines in the pages, with the output that is pasted below them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
LEFT_OUT = "…"  # a pasted line that stands for any number of lines
_TIME = re.compile(r"\d+(\.\d+)? (s|ms)\b")
_NUMBER = re.compile(r"[-+−]?(\d+(\.\d+)?|\.\d+)(e[-+]?\d+)?|\binf\b|\bnan\b")


@dataclass(frozen=True)
class Pasted:
    """A command of a page, its words, and the lines below it."""

    page: str
    text: str
    output: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)[1:]


def pasted(page: Path) -> list[Pasted]:
    """All commands of a page, in their order."""
    found: list[Pasted] = []
    text, output = "", list[str]()
    going_on = False
    for line in [*page.read_text(encoding="utf-8").splitlines(), "end"]:
        if going_on:
            text = f"{text.removesuffix(chr(92))} {line.strip()}"
        elif line.startswith("    $ dlrun ") or (line and not line.startswith("    ")):
            if text:
                found.append(Pasted(page.name, text, tuple(output)))
            text, output = line.removeprefix("    $ ") if line.startswith("    $ ") else "", []
        elif text:
            output.append(line.removeprefix("    "))
        going_on = bool(text) and text.endswith("\\")
    return [Pasted(each.page, each.text, _stripped(each.output)) for each in found]


def _stripped(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in lines if line.strip())


def same_words(line: str) -> str:
    """The line without its numbers and the widths of its columns."""
    return " ".join(_NUMBER.sub("#", line).split())


def same_figures(line: str) -> str:
    """The line without its times."""
    return " ".join(_TIME.sub("# s", line).split())
