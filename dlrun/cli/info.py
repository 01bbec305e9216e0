"""`dlrun info`: what the numbers of this installation depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlrun.cli.options import DebugOption, JsonOption, QuietOption

if TYPE_CHECKING:
    from dlrun.reporting.tables import Table


def command(quiet: QuietOption = False, json: JsonOption = False, debug: DebugOption = False) -> None:
    """Show versions, the device and why the GPU is or is not used, the BLAS library, and whether steps are compiled."""
    from dlrun.backend import describe_devices
    from dlrun.engines.cpu.jit import describe_engine
    from dlrun.reporting.output import Output
    from dlrun.runs.versions import versions

    found = {"versions": versions(), "device": describe_devices(), "cpu": describe_cpu(), "engine": describe_engine()}
    Output(quiet=quiet, json=json).result(found, *tables(found))


def describe_cpu() -> dict[str, Any]:
    """Processors that this process may use, and each BLAS library that NumPy has loaded."""
    import numpy as np
    from threadpoolctl import threadpool_info

    from dlrun.training.threads import usable_cores

    np.dot(np.ones((2, 2)), np.ones((2, 2)))  # makes sure that the library is loaded
    libraries = [
        {
            "name": pool["internal_api"],
            "version": pool["version"],
            "architecture": pool.get("architecture"),
            "threads": pool["num_threads"],
        }
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]
    return {"processors": usable_cores(), "blas": libraries}


def tables(found: dict[str, Any]) -> list[Table]:
    """What `command` shows a person."""
    from dlrun.records import counted
    from dlrun.reporting.tables import Table

    installed = Table(title="Versions", columns=["what", "version"])
    for name, version in found["versions"].items():
        installed.add(name, version or "not installed")
    device, cpu = found["device"], found["cpu"]
    where = Table(title="Device", columns=["what", "value"])
    where.add("GPU", "used by --device auto" if device["gpu"] else "not used")
    where.add("why", device["reason"])
    if device["device"]:
        where.add("name", device["device"])
    if device["cuda"]:
        where.add("CUDA", device["cuda"])
    where.add("processors", str(cpu["processors"]))
    for library in cpu["blas"]:
        details = [library["name"], library["version"], library["architecture"]]
        where.add("BLAS", " ".join(filter(None, details)) + f", {counted(library['threads'], 'thread')}")
    engine = found["engine"]
    where.add("compiled steps", "used by --engine auto for longer trainings" if engine["compiled"] else "not used")
    where.add("why", engine["reason"])
    if engine["compiled"]:
        where.add("LLVM", f"{engine['llvm']}, vectors of {engine['vector_bits']} bits")
        where.add("left to NumPy", "; ".join(engine["left_to_numpy"]))
    return [installed, where]
