"""The layers: imports point upwards in one list, and only some layers print, exit or know of CuPy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dlrun

ROOT = Path(dlrun.__file__).parent
# A module may import from its own layer and from those before it.
LAYERS = [
    "__init__",
    "errors",
    "text",
    "code_names",
    "packaged",
    "records",
    "config",
    "backend",
    "rng",
    "data",
    "clustering",
    "graph",
    "nn",
    "optim",
    "engines",
    "training",
    "resampling",
    "tuning",
    "diagnosis",
    "runs",
    "formats",
    "reporting",
    "workflows",
    "sklearn",
    "cli",
    "__main__",
]
MODULES = sorted(path for path in ROOT.rglob("*.py") if "_packaged" not in path.parts)


def layer(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(tree: ast.Module, path: Path) -> Iterator[str]:
    """Full names of what a module imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(tree: ast.Module) -> Iterator[str]:
    """Names of what a module calls, and attributes of `sys` and `os` that it touches."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Name):
            yield node.id


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_every_module_has_a_layer() -> None:
    assert {layer(path) for path in MODULES} <= set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_upwards(path: Path) -> None:
    for name in imported(parsed(path), path):
        parts = name.split(".")
        if parts[0] != "dlrun":
            continue
        if path == ROOT / "__init__.py" and parts[1] == "workflows":
            continue  # named for type checkers; they are loaded where they are used
        other = parts[1] if len(parts) > 1 and parts[1] in LAYERS else "__init__"  # dlrun.__version__
        assert LAYERS.index(other) <= LAYERS.index(layer(path)), f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_printing_exiting_and_cupy(path: Path) -> None:
    tree = parsed(path)
    names = set(called(tree))
    if layer(path) not in ("reporting", "cli"):
        assert not names & {"print", "sys.stdout", "sys.stderr"}, f"{path} prints"
    if layer(path) != "cli":
        assert not names & {"sys.exit", "os._exit", "os.abort", "exit", "quit", "SystemExit"}, f"{path} exits"
    if path != ROOT / "backend.py":
        roots = {name.split(".")[0] for name in imported(tree, path)}
        assert not roots & {"cupy", "cupyx", "cupy_backends"}, f"{path} imports CuPy"
    if path.parent != ROOT / "engines" / "cpu":
        assert "llvmlite" not in {name.split(".")[0] for name in imported(tree, path)}, f"{path} imports llvmlite"
