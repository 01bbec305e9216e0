"""The device that tests compute on: NumPy, or with DLRUN_TEST_DEVICE=gpu the GPU."""

from __future__ import annotations

import os
from functools import cache
from typing import Any, cast

import pytest

from dlrun.backend import Backend, Device, describe_devices, select_backend

VARIABLE = "DLRUN_TEST_DEVICE"


def test_device() -> Device:
    """What DLRUN_TEST_DEVICE asks for; `cpu` where it is not set."""
    return cast(Device, os.environ.get(VARIABLE, "cpu"))


test_device.__test__ = False  # type: ignore[attr-defined]


@cache
def devices() -> dict[str, Any]:
    """What there is to compute on, looked for once."""
    return describe_devices()


def pytest_configure(config: pytest.Config) -> None:
    if test_device() not in ("cpu", "gpu"):
        raise pytest.UsageError(f"{VARIABLE}={test_device()}: should be cpu or gpu")
    if test_device() == "gpu" and not devices()["gpu"]:  # a GPU check that skips everything would look like a pass
        raise pytest.UsageError(f"{VARIABLE}=gpu: {devices()['reason']}")


def pytest_report_header() -> str:
    name = devices()["device"] if test_device() == "gpu" else "NumPy"
    return f"dlrun computes on: {test_device()} ({name})"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` need a device that works; the reason for skipping says what is missing."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not devices()["gpu"]:
        skip = pytest.mark.skip(reason=f"needs a GPU: {devices()['reason']}")
        for item in marked:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def backend() -> Backend:
    """The backend under test, chosen by DLRUN_TEST_DEVICE."""
    return select_backend(test_device())
