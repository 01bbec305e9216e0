"""Names of functions planted in every key and record of a run's folder: no command that reads one runs any."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from reliability.running import Dlrun, count

from dlrun.cli.app import run
from dlrun.config import load_experiment
from dlrun.config.document import NotATableError, set_value
from dlrun.config.keys import all_keys
from dlrun.errors import DlrunError
from dlrun.tuning.journal import _line
from dlrun.workflows.resuming import code_hash, fingerprint

# A function in the graph's API, so that a command that ran it would go on. Each execution of the file leaves a line.
EVIL = """with open({marker!r}, "a") as file:
    file.write("ran\\n")


def f(z, y=None):
    return z
"""

SETTINGS = ("--set", "training.epochs=1", "--set", "model.hidden=[4]", "--device", "cpu", "--quiet")
MADE = {
    "train": ("train", "iris", *SETTINGS),
    "crossval": ("crossval", "iris", "--folds", "2", *SETTINGS),
    "bootstrap": ("bootstrap", "iris", "--samples", "2", *SETTINGS),
    "tune": ("tune", "iris", "--trials", "2", *SETTINGS),
}
# What reads the folder of each: RUN stands for it, and - before a line for a run that was broken off.
READERS = {
    "train": (
        "evaluate RUN",
        "evaluate RUN --data t.csv",
        "predict RUN --data t.csv",
        "predict RUN/model.safetensors --data t.csv",
        "diagnose RUN --repeats 2 --out d",
        "plot RUN --kind cost --terminal",
        "report RUN --out r.html",
        "train iris --set training.init_from=RUN --set training.epochs=1 --set model.hidden=[4] --out d",
        "train --resume --out RUN",
        "- train --resume --out RUN",
        "show RUN/config.toml",
    ),
    "crossval": ("compare RUN RUN2", "report RUN --out r.html", "- crossval --resume --out RUN", "plot RUN --terminal"),
    "bootstrap": ("compare RUN RUN2", "report RUN --out r.html", "- bootstrap --resume --out RUN"),
    "tune": (
        "tune --resume --out RUN",
        "- tune --resume --out RUN",
        "- tune --resume --out RUN --trials 3",
        "- tune iris --set training.epochs=1 --set model.hidden=[4] --resume --out RUN",
        "plot RUN --terminal",
        "report RUN --out r.html",
    ),
}
TABLE = "sepal_length,sepal_width,petal_length,petal_width,species\n5.1,3.5,1.4,0.2,setosa\n"
# Where a name once was run, and where one would be run first.
SUREST = (
    ("tune", "config.toml", "tune.space.model.activation"),
    ("tune", "config.toml", "tune.space.model.cost"),
    ("tune", "journal.jsonl", "values.model.activation"),
    ("tune", "journal.jsonl", "values.model.cost"),
    ("train", "config.toml", "model.activation"),
    ("train", "config.toml", "model.cost"),
    ("crossval", "config.toml", "model.activation"),
    ("bootstrap", "config.toml", "model.activation"),
)

Planted = Iterator[tuple[str, bytes]]


def leaves(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in nested tables and lists."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*above, key))
    elif isinstance(value, list) and value:
        yield above
        yield from leaves(value[0], (*above, 0))
    else:
        yield above


def planted_at(value: Any, path: tuple[Any, ...], name: str) -> Any:
    changed = deepcopy(value)
    place = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = name
    return changed


def in_toml(data: bytes, name: str) -> Planted:
    document = tomllib.loads(data.decode())
    for path in (key for key, doc in all_keys().items() if not doc.table):
        changed = deepcopy(document)
        try:
            set_value(changed, path, name)
        except NotATableError:
            continue
        if path == ("model", "cost"):
            changed["model"].pop("loss", None)
        yield ".".join(path), tomli_w.dumps(changed).encode()
        changed = deepcopy(document)
        changed["model"].pop("loss", None)
        changed.setdefault("tune", {})["space"] = {".".join(path): {"choice": [name]}}
        yield f"tune.space.{'.'.join(path)}", tomli_w.dumps(changed).encode()


def in_json(data: bytes, name: str) -> Planted:
    document = json.loads(data)
    for path in leaves(document):
        yield ".".join(map(str, path)), json.dumps(planted_at(document, path, name)).encode()


def in_journal(data: bytes, name: str) -> Planted:
    """Every key of a header and of the trials, each line with a checksum that holds."""
    records = [json.loads(line)["record"] for line in data.splitlines()]
    trials = [r for r, record in enumerate(records) if record["kind"] == "trial"]
    for first in (0, *trials[:1]):
        for path in leaves(records[first]):
            changed = [
                planted_at(record, path, name) if record["kind"] == records[first]["kind"] else record
                for record in records
            ]
            yield f"{records[first]['kind']}.{'.'.join(map(str, path))}", b"".join(map(_line, changed))
    for key in ("model.activation", "model.cost", "data.source", "training.init_from"):
        changed = deepcopy(records)
        for t in trials:
            changed[t]["values"][key] = name
        yield f"values.{key}", b"".join(map(_line, changed))
    yield "nothing", b""


def in_model(data: bytes, name: str) -> Planted:
    """Every key of the metadata, whose values are JSON."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    for key, text in header["__metadata__"].items():
        for path in leaves(json.loads(text)) if text[:1] in "{[" else [()]:
            held = planted_at(json.loads(text), path, name) if path else name
            changed = deepcopy(header)
            changed["__metadata__"][key] = json.dumps(held)
            head = json.dumps(changed).encode()
            yield ".".join(map(str, (key, *path))), len(head).to_bytes(8, "little") + head + data[end:]


def in_table(data: bytes, name: str) -> Planted:
    rows = list(csv.reader(io.StringIO(data.decode())))
    for column, heading in enumerate(rows[0]):
        changed = [rows[0], *([*row[:column], name, *row[column + 1 :]] for row in rows[1:])]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(changed)
        yield heading, text.getvalue().encode()


PLANTERS: dict[str, Callable[[bytes, str], Planted]] = {
    ".toml": in_toml,
    ".json": in_json,
    ".jsonl": in_journal,
    ".safetensors": in_model,
    ".csv": in_table,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of each command."""
    folder = tmp_path_factory.mktemp("runs")
    for command, line in MADE.items():
        assert run([*line, "--out", str(folder / command)]) == 0
    return folder


def test_every_file_of_a_run_is_one_that_names_are_planted_in(runs: Path) -> None:
    kinds = {path.suffix for path in runs.glob("*/*") if not path.name.startswith(".")}
    assert kinds <= set(PLANTERS)


class Folder:
    """A copy of a run in which names are planted, and what reading it has run."""

    def __init__(self, runs: Path, here: Path, command: str) -> None:
        self.command, self.here, self.source = command, here, runs / command
        self.name = f"{here}/evil.py:f"
        (here / "evil.py").write_text(EVIL.format(marker=str(here / "ran")))
        (here / "t.csv").write_text(TABLE)

    def plants(self) -> Iterator[tuple[str, str, bytes]]:
        for path in sorted(self.source.iterdir()):
            if path.suffix in PLANTERS:
                for key, content in PLANTERS[path.suffix](path.read_bytes(), self.name):
                    yield path.name, key, content

    def executions(self, dlrun: Dlrun, file: str, content: bytes, line: str) -> int:
        """How often the planted file was run by this command line."""
        marker = self.here / "ran"
        marker.unlink(missing_ok=True)
        (self.here / "r.html").unlink(missing_ok=True)
        for name in ("run", "run2", "d"):
            shutil.rmtree(self.here / name, ignore_errors=True)
        shutil.copytree(self.source, self.here / "run")
        shutil.copytree(self.source, self.here / "run2")
        (self.here / "run" / file).write_bytes(content)
        if file == "config.toml" and self.command == "tune":  # nor is what tells one run from another a secret
            self._refit(content.decode())
        summary = self.here / "run" / "summary.json"
        if line.startswith("- "):
            summary.unlink()
        elif file != "summary.json":  # whoever plants a name leaves out, or mends, what would tell of it
            held = json.loads(summary.read_text())
            summary.write_text(json.dumps({key: value for key, value in held.items() if key != "files"}))
        words = line.removeprefix("- ").replace("RUN2", "run2").replace("RUN", "run").split(" ")
        result = dlrun(*words)
        assert "Traceback" not in result.stderr, (line, file)
        return len(marker.read_text().splitlines()) if marker.exists() else 0

    def _refit(self, config: str) -> None:
        """Let the journal be the one of this config.toml."""
        journal = self.here / "run" / "journal.jsonl"
        code = ""
        with suppress(DlrunError):  # other keys of it may be nonsense
            code = code_hash(load_experiment(self.here / "run" / "config.toml").experiment)
        records = [json.loads(line)["record"] for line in journal.read_bytes().splitlines()]
        for record in records:
            if record["kind"] == "search":
                record["run"] = fingerprint("tune", config, code)
        journal.write_bytes(b"".join(map(_line, records)))


@pytest.mark.parametrize("command", MADE)
def test_no_name_in_a_run_s_folder_is_run(runs: Path, here: Path, dlrun: Dlrun, command: str) -> None:
    folder = Folder(runs, here, command)
    plants = list(folder.plants())
    cases = [(*plant, line) for plant in plants for line in READERS[command]]
    surest = [case for case in cases if (command, *case[:2]) in SUREST]
    assert surest
    others = [case for case in cases if case not in surest]
    drawn = random.Random(command).sample(others, min(len(others), count(12, len(others))))
    for file, key, content, line in [*surest, *drawn]:
        assert folder.executions(dlrun, file, content, line) == 0, (file, key, line)


@pytest.mark.parametrize(
    ("command", "file", "key", "line"),
    [
        ("tune", "config.toml", "tune.space.model.activation", "- tune --resume --out RUN"),
        ("train", "config.toml", "model.activation", "- train --resume --out RUN"),
        ("train", "config.toml", "model.cost", "evaluate RUN --run-code"),
    ],
)
def test_the_right_is_what_keeps_a_name_from_being_run(
    runs: Path, here: Path, dlrun: Dlrun, monkeypatch: pytest.MonkeyPatch, command: str, file: str, key: str, line: str
) -> None:
    """The count of executions is able to tell: where every text has the right, these are run."""
    monkeypatch.setattr("dlrun.nn.user_functions.FunctionName", str)
    monkeypatch.setattr("dlrun.workflows.resuming.refuse_code_of", lambda *_: None)
    folder = Folder(runs, here, command)
    content = next(content for name, at, content in folder.plants() if (name, at) == (file, key))
    if "--run-code" in line:
        monkeypatch.undo()
        monkeypatch.chdir(here)
    if command == "tune":  # a search that had not come to its first trial
        shutil.copytree(folder.source, here / "begun")
        folder.source = here / "begun"
        header = (here / "begun" / "journal.jsonl").read_bytes().splitlines(keepends=True)[0]
        (here / "begun" / "journal.jsonl").write_bytes(header)
    assert folder.executions(dlrun, file, content, line) > 0
