"""`--engine`: what it says, what stands in the summary, and that it changes no more than rounding."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dlrun.cli.app import run

INSTALLED = importlib.util.find_spec("llvmlite") is not None
needs_llvm = pytest.mark.skipif(not INSTALLED, reason="llvmlite is not installed")
SHORT = ["--set", "training.epochs=5", "--device", "cpu", "--quiet"]


def summary(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(folder, "summary.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_short_trainings_are_not_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "iris", *SHORT, "--out", "a"]) == 0
    assert summary("a")["engine"] == "numpy"
    assert summary("a")["engine_reason"] == "the training is too short to be worth compiling"
    assert run(["train", "iris", *SHORT, "--engine", "numpy", "--out", "b"]) == 0
    assert summary("b")["engine_reason"] == "--engine numpy"
    assert Path("a", "metrics.csv").read_bytes() == Path("b", "metrics.csv").read_bytes()


def test_without_llvmlite_numpy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlrun.engines.cpu.jit.why_not", lambda: "llvmlite is not installed")
    assert run(["train", "iris", *SHORT, "--engine", "compiled", "--out", "a"]) == 0
    assert summary("a")["engine"] == "numpy"
    assert summary("a")["engine_reason"] == "llvmlite is not installed"


def test_it_compiles_for_the_cpu_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "iris", "--engine", "compiled", "--device", "gpu"]) == 2
    assert "use it with --device cpu or auto" in capsys.readouterr().err


def test_info_tells(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["engine"]
    assert found["compiled"] == (found["reason"] == "usable")
    assert run(["info"]) == 0
    shown = capsys.readouterr().out
    assert "compiled steps" in shown
    assert ("data.augment" in shown) == found["compiled"]


@needs_llvm
def test_a_training_agrees_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    for engine in ("numpy", "compiled"):
        words = ["train", "iris", *SHORT[:-1], "--engine", engine, "--out", engine]
        assert run(words) == 0
        assert ("compiled steps" in capsys.readouterr().out) == (engine == "compiled")
        assert summary(engine)["engine"] == engine
    a, b = (pd.read_csv(Path(name, "metrics.csv")) for name in ("numpy", "compiled"))
    np.testing.assert_allclose(b["cost"], a["cost"], rtol=1e-4)
    assert (a["step"] == b["step"]).all()


@needs_llvm
def test_processes_and_threads_change_no_bit() -> None:
    more = ["--set", "training.early_stopping.patience=3"]
    for options in ([], more):
        for jobs in ("1", "2"):
            words = ["crossval", "iris", *SHORT, *options, "--folds", "7", "--engine", "compiled", "--jobs", jobs]
            assert run([*words, "--out", f"jobs{jobs}", "--overwrite"]) == 0
            assert summary(f"jobs{jobs}")["engine"] == "compiled"
        one, two = (Path(name, "predictions.csv").read_bytes() for name in ("jobs1", "jobs2"))
        assert one == two


@needs_llvm
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_threads(number: int, status: int) -> None:
    long = ("--set", "training.epochs=1000000", "--set", "training.early_stopping=", "--set", "training.batch_size=8")
    command = [sys.executable, "-m", "dlrun", "crossval", "wine", "--out", "a", "--jobs", "2", "--engine", "compiled"]
    with subprocess.Popen([*command, *long], stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        for _ in range(600):
            time.sleep(0.05)
            if list(Path("a").glob("checkpoint*")) or process.poll() is not None:
                break
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == status, said
    assert "Traceback" not in said
    assert not Path("a", "summary.json").exists()


@needs_llvm
def test_what_is_not_covered_is_left_to_numpy() -> None:
    words = ["train", "iris", *SHORT, "--engine", "compiled", "--set", "data.augment.noise=0.1"]
    assert run([*words, "--out", "a"]) == 0
    assert summary("a")["engine"] == "numpy"
    assert summary("a")["engine_reason"] == "data.augment is not compiled"
    assert run(["train", "iris", "--set", "model.kind=majority", "--engine", "compiled", "--quiet", "--out", "b"]) == 0
    assert summary("b")["engine_reason"] == "a baseline has no steps"


@needs_llvm
def test_going_on_with_the_other_engine_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tune", "iris", *SHORT[:-1], "--out", "a"]
    assert run([*words, "--trials", "2", "--engine", "numpy"]) == 0
    assert summary("a")["engine"] == "numpy"
    capsys.readouterr()
    assert run(["tune", "--out", "a", "--trials", "3", "--resume", "--engine", "compiled", "--device", "cpu"]) == 0
    assert "began with engine numpy and goes on with engine compiled" in capsys.readouterr().err
    assert summary("a")["engine"] == "compiled"
