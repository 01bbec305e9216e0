"""Graphs run by the compiled engine, for comparison with what NumPy says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlrun.graph.node import Node, placeholder

Evaluate = Callable[..., Any]


@pytest.fixture
def evaluate() -> Evaluate:
    """evaluate(function of nodes, *arrays) → the value of the node that it returns, computed by compiled code."""
    pytest.importorskip("llvmlite")
    from dlrun.engines.cpu.jit import compile_text, host
    from dlrun.engines.cpu.places import Place, Root
    from dlrun.engines.cpu.program import Program, arrange
    from dlrun.engines.cpu.text import Code

    def run(function: Callable[..., Node], *arrays: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        leaves = [placeholder(array.shape, array.dtype) for array in arrays]
        node = function(*leaves)
        out = np.full(node.shape, 7, node.dtype)
        code = Code(host().lanes)
        places = []
        for k, array in enumerate([*arrays, out]):
            code.do(f"%a{k} = load ptr, ptr {code.address('%arguments', str(k), 'i64')}, align 8")
            places.append(Place.whole(Root.of(array.shape, array.dtype, f"%a{k}")))
        program = Program([node], dict(zip(leaves, places, strict=False)), {node: places[-1]})
        offsets, size = arrange(program.kernels, 0)
        code.do(f"%workspace = load ptr, ptr {code.address('%arguments', str(len(places)), 'i64')}, align 8")
        for k, (root, offset) in enumerate(offsets.items()):
            root.address = f"%part{k}"
            code.do(f"%part{k} = getelementptr i8, ptr %workspace, i64 {offset}")
        for kernel in program.kernels:
            kernel.write(code)
        body, declared = "\n".join(code.lines), "\n".join(code.declared.values())
        head = "define void @steps(ptr %arguments, i64 %first, i64 %last) {"
        text = f"{head}\nentry:\n{body}\n  ret void\n}}\n{declared}\n"
        workspace = np.zeros(size + 64, np.uint8)
        given = [np.ascontiguousarray(array) for array in arrays]
        words = np.array([x.ctypes.data for x in (*given, out, workspace)], np.uint64)
        step = compile_text(text, size)
        step.call(words.ctypes.data, 0, 0)
        return out

    return run
