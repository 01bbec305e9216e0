"""Sphinx makes the pages of this folder a site: `make docs`. They are plain Markdown, and read as well without it."""

from __future__ import annotations

import re
from typing import Any

project = "dlrun"
copyright = "the dlrun authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["images"]
myst_heading_anchors = 4  # links to headings, spelt as GitHub spells them
html_theme = "alabaster"
html_theme_options = {
    "description": "Experiments with neural networks, from one file and one command",
    "fixed_sidebar": True,
    "page_width": "1100px",
    "sidebar_width": "230px",
}
html_copy_source = False
html_show_sphinx = False
# The pages show terminals and the experiment file's TOML; nothing in a code block without a language is Python.
highlight_language = "none"


def as_site(app: Any, docname: str, source: list[str]) -> None:
    """Give the index a table of contents, and offer Markdown files from outside of this folder for download."""
    source[0] = re.sub(r"\]\((\.\./[^)#]+\.md)\)", r"](path:\1)", source[0])
    if docname == "index":
        pages = dict.fromkeys(re.findall(r"\]\(([\w-]+)\.md\)", source[0]))
        source[0] += "\n```{toctree}\n:hidden:\n\n" + "\n".join(pages) + "\n```\n"


def setup(app: Any) -> None:
    app.connect("source-read", as_site)
