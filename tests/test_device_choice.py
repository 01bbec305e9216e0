"""DLRUN_TEST_DEVICE chooses where the tests compute, and never passes by skipping what it was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlrun.backend import Backend, describe_devices

ROOT = Path(__file__).parent.parent


def collect(device: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_imports.py",
    ]
    environment = {**os.environ, "DLRUN_TEST_DEVICE": device}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_device_that_there_is_not() -> None:
    done = collect("tpu")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "DLRUN_TEST_DEVICE=tpu: should be cpu or gpu" in done.stderr


def test_a_gpu_that_is_not_usable_is_no_reason_to_pass() -> None:
    found = describe_devices()
    if found["gpu"]:
        pytest.skip("there is a usable GPU")
    done = collect("gpu")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert found["reason"] in done.stderr


def test_the_backend_is_the_chosen_one(backend: Backend) -> None:
    assert backend.name == os.environ.get("DLRUN_TEST_DEVICE", "cpu")


@pytest.mark.gpu
def test_marked_tests_run_with_a_gpu_alone() -> None:
    assert describe_devices()["gpu"]
