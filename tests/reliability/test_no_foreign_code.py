"""Nothing that is read is ever run: no pickle, no evaluation of text, and a user's own functions only as asked for."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from reliability.cases import tree
from reliability.running import Dlrun

import dlrun as package

ROOT = Path(package.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if "_packaged" not in path.parts)

UNPICKLERS = {
    "pickle",
    "_pickle",
    "cPickle",
    "shelve",
    "marshal",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
    "yaml",
}
RUNNERS = {"eval", "exec", "compile", "__import__"}
# Attributes that read a pickle or run a text, whatever they belong to.
ATTRIBUTES = {"read_pickle", "to_pickle", "eval", "exec", "run_path", "run_module", "spec_from_file_location"}
SHELLS = {"subprocess", "os.system", "os.popen", "os.execv", "os.spawnv", "pty"}

# What the package does of this, where, and why it may.
ALLOWED = {
    ("nn/user_functions.py", "compile"),  # the function that the user's own experiment names
    ("nn/user_functions.py", "exec"),
    ("training/workers.py", "pickle"),  # exceptions from its own forked processes, through a pipe that nobody else has
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def found_in(path: Path) -> Iterator[str]:
    """The names of what a module must not do."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            if not (isinstance(node.value, ast.Name) and node.value.id == "re"):  # re.compile
                yield node.attr if node.attr in ATTRIBUTES else ""
            if isinstance(node.value, ast.Name):
                yield f"{node.value.id}.{node.attr}"


def test_no_module_unpickles_or_runs_text() -> None:
    done = {
        (path.relative_to(ROOT).as_posix(), word)
        for path in MODULES
        for word in set(found_in(path)) & (UNPICKLERS | RUNNERS | ATTRIBUTES | SHELLS)
    }
    assert done == ALLOWED


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the package, and where it stands."""
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                yield f"{path}, line {node.lineno}", node


def test_arrays_are_loaded_without_pickle() -> None:
    for place, node in calls():
        options = {word.arg: word.value for word in node.keywords}
        given = options.get("allow_pickle")
        loads = isinstance(node.func, ast.Attribute) and ast.unparse(node.func) in ("np.load", "numpy.load", "np.save")
        if given is not None or loads:
            assert isinstance(given, ast.Constant), place
            assert given.value is False, place


def test_modules_are_imported_from_the_package_alone() -> None:
    """A name that a user gives may choose among the package's modules, and no others."""
    for place, node in calls():
        if ast.unparse(node.func).rpartition(".")[2] == "import_module":
            assert ast.unparse(node.args[0]).lstrip("f'\"").startswith(("dlrun.", "{__name__}.")), place


# -- the hook --------------------------------------------------------------------------------------

EVIL = "from pathlib import Path\n\nPath({marker!r}).touch()\n\n\ndef cost(z, y):\n    return (z - y) ** 2\n"


@pytest.fixture
def evil_run(here: Path, trained: Path) -> Path:
    """A run's folder from somebody else: its config.toml names a Python file that comes with it."""
    folder = here / "run"
    shutil.copytree(trained, folder)
    (folder / "evil.py").write_text(EVIL.format(marker=str(here / "ran")))
    config = (folder / "config.toml").read_text()
    for key, value in (("cost", f"{folder}/evil.py:cost"), ("activation", f"{folder}/evil.py:cost")):
        lines = [line for line in config.splitlines() if not line.startswith(f"{key} = ")]
        lines.insert(lines.index("[model]") + 1, f'{key} = "{value}"')
        config = "\n".join(lines) + "\n"
    (folder / "config.toml").write_text(config)
    return folder


TABLE = "sepal_length,sepal_width,petal_length,petal_width,species\n5.1,3.5,1.4,0.2,setosa\n"
READERS = [
    ("evaluate", "run"),
    ("evaluate", "run", "--data", "t.csv"),
    ("predict", "run", "--data", "t.csv"),
    ("predict", "run/model.safetensors", "--data", "t.csv"),
    ("diagnose", "run"),
    ("compare", "run", "run"),
    ("plot", "run", "--kind", "cost", "--terminal"),
    ("report", "run", "--out", "r.html"),
    ("train", "iris", "--set", "training.init_from=run", "--set", "training.epochs=1", "--set", "model.hidden=[16]"),
    ("show", "run/config.toml"),
    ("train", "--resume", "--out", "run"),
    ("crossval", "--resume", "--out", "run"),
    ("bootstrap", "--resume", "--out", "run"),
    ("tune", "--resume", "--out", "run"),
    ("list",),
    ("info",),
]


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
def test_a_run_s_folder_runs_nothing(arguments: tuple[str, ...], dlrun: Dlrun, here: Path, evil_run: Path) -> None:
    (here / "t.csv").write_text(TABLE)
    result = dlrun(*arguments)
    assert "Traceback" not in result.stderr
    assert not (here / "ran").exists()


def test_a_run_s_folder_runs_nothing_where_it_was_broken_off(dlrun: Dlrun, here: Path, evil_run: Path) -> None:
    (evil_run / "summary.json").unlink()
    for command in ("train", "tune", "crossval", "bootstrap"):
        result = dlrun(command, "--resume", "--out", "run")
        assert result.status == 2, (command, result)
        assert "an error in dlrun itself" not in result.stderr
        assert not (here / "ran").exists(), command


def test_a_model_file_names_no_code(dlrun: Dlrun, here: Path, trained: Path) -> None:
    """An activation that is no activation's name is refused, also where it would be a function's reference."""
    data = (trained / "model.safetensors").read_bytes()
    (here / "evil.py").write_text(EVIL.format(marker=str(here / "ran")))
    (here / "t.csv").write_text(TABLE)
    changed = data.replace(b'relu\\"', b'a.py:c\\"', 1) if b'relu\\"' in data else data.replace(b"relu", b"evil", 1)
    assert changed != data
    shift = len(changed) - len(data)
    changed = (int.from_bytes(data[:8], "little") + shift).to_bytes(8, "little") + changed[8:]
    (here / "model.safetensors").write_bytes(changed)
    before = tree(here)
    result = dlrun("predict", "model.safetensors", "--data", "t.csv")
    assert result.status == 2
    assert "model.safetensors" in result.stderr
    assert tree(here) == before


def test_the_user_s_own_experiment_runs_what_it_names(dlrun: Dlrun, here: Path) -> None:
    (here / "own.py").write_text(EVIL.format(marker=str(here / "ran")).replace("(z - y) ** 2", "square(z - y)"))
    (here / "own.py").write_text("from dlrun.graph.arithmetic import square\n" + (here / "own.py").read_text())
    (here / "e.toml").write_text('model.cost = "own.py:cost"\nmodel.hidden = []\ndata.source = "blood_fat"\n')
    assert dlrun("show", "e.toml").status == 0
    assert not (here / "ran").exists()  # showing runs nothing
    line = ("train", "e.toml", "--set", "training.epochs=1", "--device", "cpu", "--out", "run")
    assert dlrun(*line).status == 0
    assert (here / "ran").exists()

    (here / "run" / "summary.json").unlink()  # broken off: it goes on where its experiment is named again
    refused = dlrun("train", "--resume", "--out", "run")
    assert refused.status == 2
    assert "model.cost" in refused.stderr
    assert dlrun(*line, "--resume").status == 0
