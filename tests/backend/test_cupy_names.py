"""Without a GPU: every array function that dlrun uses exists in CuPy, with the parameters used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from backend import cupy_names

import dlrun

ROOT = Path(dlrun.__file__).parent
KNOWN = cupy_names.UFUNCS | set(cupy_names.FUNCTIONS) | cupy_names.TYPES | cupy_names.OTHERS
KNOWN |= {"lib"}  # lib.stride_tricks.as_strided, which both have
# Modules whose arrays live on the backend; `.tolist()` and the like of host arrays elsewhere are no concern.
DEVICE_LAYERS = ("graph", "nn", "optim")


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if "_packaged" not in path.parts)


def uses_of_xp(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """`xp.name` and `….xp.name`, and kernels named by a string: `elementwise(…, "exp")`, `_bind_reduction("min")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            if (isinstance(owner, ast.Name) and owner.id in ("xp", "_xp")) or (
                isinstance(owner, ast.Attribute) and owner.attr in ("xp", "_xp")
            ):
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            position = {"elementwise": 1, "ufunc": 0, "_bind_reduction": 0, "bind_reduction": 0}.get(called)
            if position is not None and len(node.args) > position:
                name = node.args[position]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield node.lineno, name.value


def test_functions_used_exist_in_cupy() -> None:
    found = {
        (name, f"{path.relative_to(ROOT)}:{line}")
        for path in modules()
        for line, name in uses_of_xp(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert {name for name, _ in found} >= {"matmul", "exp", "true_divide", "copyto", "prod", "min"}, "found too little"
    assert not sorted(use for use in found if use[0] not in KNOWN)


def test_methods_used_exist_in_cupy() -> None:
    """What NumPy's arrays have and CuPy's lack must not be called where arrays may be of either."""
    missing = {name for name in dir(np.ndarray) if not name.startswith("_")} - cupy_names.METHODS
    assert "setflags" in missing
    missing -= {"to_device"}  # NumPy's arrays have one, but dlrun's is the backend's
    found = []
    for path in modules():
        source = path.read_text(encoding="utf-8")
        if path.relative_to(ROOT).parts[0] not in DEVICE_LAYERS or "Backend" not in source:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno} .{node.attr}"
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Attribute) and node.attr in missing
        ]
    assert not [use for use in found if not use.startswith("graph/node.py")]  # its arrays are values on the host


def test_the_lists_against_cupy_itself() -> None:
    """Where CuPy is installed, with or without a device."""
    cupy = pytest.importorskip("cupy")
    import inspect

    assert not [name for name in KNOWN if not hasattr(cupy, name)]
    assert not [name for name in cupy_names.UFUNCS if type(getattr(cupy, name)).__name__ != "ufunc"]
    for name, parameters in cupy_names.FUNCTIONS.items():
        if name != "arange":  # its first parameter is named by how many there are
            assert tuple(inspect.signature(getattr(cupy, name)).parameters) == parameters, name
    methods = {name for name in dir(cupy.ndarray) if not name.startswith("_")}
    assert not cupy_names.METHODS - methods
    assert not cupy_names.METHODS - set(dir(np.ndarray))
