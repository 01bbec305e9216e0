"""The shape of a case of bad input, and the tables that most of them vary."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# A file's content, or a function that makes it at a path.
Content = str | bytes | Callable[[Path], None]

ROWS = [(n, n % 3, "no" if n % 2 else "yes") for n in range(12)]
TABLE = "a,b,y\n" + "".join(f"{a},{b},{y}\n" for a, b, y in ROWS)
IRIS = '[data]\nsource = "iris"\n'


@dataclass(frozen=True, kw_only=True)
class Bad:
    """One command line that must be refused; `says` are parts of the message: place, value, remedy."""

    name: str
    arguments: tuple[str, ...]
    says: tuple[str, ...]
    files: Mapping[str, Content] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Put the files of the case into the folder."""
        for name, content in self.files.items():
            path = folder / name
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                content(path)


def experiment(name: str, text: str, *says: str) -> Bad:
    """An experiment on iris with further lines."""
    return Bad(name=name, arguments=("train", "e.toml"), files={"e.toml": text + "\n" + IRIS}, says=("e.toml", *says))


def below(name: str, text: str, *says: str) -> Bad:
    """The same, the lines below the table [data]."""
    return Bad(name=name, arguments=("train", "e.toml"), files={"e.toml": IRIS + text + "\n"}, says=("e.toml", *says))


def table(name: str, content: Content, *says: str, end: str = "csv", options: tuple[str, ...] = ()) -> Bad:
    """A table of one's own, whose target is y."""
    arguments = ("train", "--data", f"t.{end}", "--target", "y", *options)
    return Bad(name=name, arguments=arguments, files={f"t.{end}": content}, says=(f"t.{end}", *says))


def command(name: str, line: str, *says: str, files: Mapping[str, Content] | None = None) -> Bad:
    """A command line, its words parted by blanks."""
    return Bad(name=name, arguments=tuple(line.split(" ")), files=files or {}, says=says)


def tree(folder: Path) -> dict[str, object]:
    """All that lies in a folder, with its content, so that two moments can be compared."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        facts = os.lstat(path)
        regular = stat.S_ISREG(facts.st_mode)
        found[str(path.relative_to(folder))] = path.read_bytes() if regular else stat.S_IFMT(facts.st_mode)
    return found
