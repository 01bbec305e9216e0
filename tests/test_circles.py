"""No module imports another that, by whatever way, imports it: also where imports stand inside functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import dlrun

ROOT = Path(dlrun.__file__).parent
PATHS = sorted(path for path in ROOT.rglob("*.py") if "_packaged" not in path.parts)


def name_of(path: Path) -> str:
    parts = ("dlrun", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PATHS}


def imported(node: ast.AST, *, for_types: bool) -> Iterator[str]:
    """The package's modules that are imported, in functions too; those for type checkers alone if asked for."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING" and not for_types:
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names if alias.name in MODULES)
        elif isinstance(child, ast.ImportFrom) and child.module in MODULES:
            below = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from (name for name in below if name in MODULES)
            if not all(name in MODULES for name in below):
                yield str(child.module)
        yield from imported(child, for_types=for_types)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module, by Tarjan's algorithm."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in graph[module]:
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            component = []
            while (last := stack.pop()) != module:
                component.append(last)
            if component:
                found.append(sorted([*component, module]))

    for module in graph:
        if module not in order:
            visit(module)
    return found


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def graph_of_imports(*, for_types: bool) -> dict[str, set[str]]:
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    return {name: set(imported(tree, for_types=for_types)) - {name} for name, tree in trees.items()}


def test_there_are_no_circles() -> None:
    assert circles(graph_of_imports(for_types=False)) == []


def test_there_are_no_circles_for_type_checkers() -> None:
    graph = graph_of_imports(for_types=True)
    graph["dlrun"] = set()  # it names the workflows, and they ask it for its version
    assert circles(graph) == []
