"""The pages on the commands tell all there are, and lead to files that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from dlrun.cli import commands

ROOT = Path(__file__).parents[2]
COMMANDS_PAGE = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
COMMON = {"--quiet", "--json", "--debug", "--help"}
DOCUMENTED = re.findall(r"^## dlrun (\w+)$", COMMANDS_PAGE, re.MULTILINE)


def section(name: str) -> str:
    return re.split(r"^## ", COMMANDS_PAGE.split(f"## dlrun {name}\n")[1], flags=re.MULTILINE)[0]


@pytest.mark.parametrize("name", list(commands.COMMANDS))
def test_every_command_and_option_is_documented(name: str) -> None:
    assert name in DOCUMENTED
    options = {option for parameter in commands.load(name).params for option in parameter.opts}
    for option in {option for option in options if option.startswith("--")} - COMMON:
        assert option in section(name), f"{option} is missing in the section on dlrun {name}"


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_documented_commands_exist(name: str, dlrun: Any) -> None:
    assert dlrun(name, "--help").status == 0
    for line in re.findall(r"^    \$ dlrun (.*)$", section(name), re.MULTILINE):
        used = [word.split("=")[0] for word in shlex.split(line) if word.startswith("--")]
        known = {option for parameter in commands.load(shlex.split(line)[0]).params for option in parameter.opts}
        assert set(used) <= known


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), f"{page} leads to {target}, which there is not"


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "index.md" or f"]({path.name})" in index, f"docs/index.md does not name {path.name}"
