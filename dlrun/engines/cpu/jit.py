"""LLVM, through llvmlite: text compiled to machine code in memory. Nothing else imports it."""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

from dlrun.engines.cpu.blas import gemm_addresses
from dlrun.engines.cpu.step import FUNCTION, StepKind, step_text
from dlrun.engines.cpu.text import UncoveredError

LEFT_TO_NUMPY = ("data.augment", "tables that stay in their file", "evaluation", "trainings on a GPU")


@dataclass(frozen=True)
class Host:
    """The processor: bytes of its vector registers, and whether it is an x86."""

    lanes: int
    x86: bool


@dataclass(frozen=True)
class CompiledStep:
    """A function void(ptr, i64, i64), the workspace that it needs, and what keeps its code alive."""

    call: Any
    workspace: int
    owner: Any


def why_not() -> str:
    """Why nothing can be compiled here; empty where it can."""
    if importlib.util.find_spec("llvmlite") is None:
        return "llvmlite is not installed: pip install 'dlrun[fast]'"
    if sys.byteorder != "little" or sys.maxsize < 1 << 32:
        return "the processor is not one of 64 bits, lowest byte first"
    if not gemm_addresses():
        return "NumPy's BLAS is not an OpenBLAS with 64-bit integers"
    try:
        import llvmlite.binding  # noqa: F401
    except Exception as error:  # its library does not load
        return f"llvmlite cannot be imported ({error})"
    return ""


@cache
def version() -> str:
    """Of LLVM."""
    import llvmlite.binding as llvm

    return ".".join(map(str, llvm.llvm_version_info))


@cache
def host() -> Host:
    import llvmlite.binding as llvm

    x86 = platform.machine().lower() in ("x86_64", "amd64")
    features = llvm.get_host_cpu_features() if x86 else {}
    if features.get("avx512f") and features.get("avx512dq") and features.get("avx512vl"):
        return Host(64, x86)
    return Host(32 if features.get("avx2") and features.get("fma") else 16, x86)


@cache
def _prepare() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name, address in gemm_addresses().items():
        llvm.add_symbol(name, address)


def _machine() -> Any:
    """What generates code for this processor; it belongs to the one engine that it is given to."""
    import llvmlite.binding as llvm

    _prepare()
    target = llvm.Target.from_default_triple()
    features = llvm.get_host_cpu_features().flatten() if host().x86 else ""
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=2, jit=True)


def describe_engine() -> dict[str, Any]:
    """What `dlrun info` shows: `compiled` (whether steps can be), `reason`, LLVM's version, the size of vectors."""
    reason = why_not()
    found: dict[str, Any] = {"compiled": not reason, "reason": reason or "usable", "llvm": None, "vector_bits": None}
    if not reason:
        found |= {"llvm": version(), "vector_bits": 8 * host().lanes, "left_to_numpy": LEFT_TO_NUMPY}
    return found


_compiled: dict[str, CompiledStep] = {}


def compiled(kind: StepKind) -> CompiledStep:
    """The function of a kind of step, compiled once in a process. Raises `UncoveredError`."""
    reason = why_not()
    if reason:
        raise UncoveredError(reason)
    found = step_text(kind, lanes=host().lanes, x86=host().x86)
    if found.text not in _compiled:
        _compiled[found.text] = compile_text(found.text, found.workspace)
    return _compiled[found.text]


def compile_text(text: str, workspace: int) -> CompiledStep:
    """The module of this text as machine code, whose function has the name and parameters of a step."""
    import llvmlite.binding as llvm

    machine = _machine()
    try:
        module = llvm.parse_assembly(text)
    except RuntimeError as error:  # of an LLVM that knows another language
        raise UncoveredError(f"LLVM {version()} does not take the step ({error}), which") from None
    module.triple = machine.triple
    # No passes ahead of the code generator: they take as long as it does, and the code is no faster (measured).
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    return CompiledStep(prototype(engine.get_function_address(FUNCTION)), workspace, engine)
