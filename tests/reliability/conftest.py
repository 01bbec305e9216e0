"""Command lines run inside the test's own process or outside it, and what they leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from reliability.running import Dlrun, Result

from dlrun.cli.app import run


@pytest.fixture
def dlrun(capsys: pytest.CaptureFixture[str]) -> Dlrun:
    """`dlrun("list", "--json")` gives the status and what was printed."""

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        status = run(arguments)
        return Result(status, *capsys.readouterr())

    return call


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused, and what survives, is the same on every device."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of iris; copy it before changing it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    arguments = ["train", "iris", "--out", str(folder), "--quiet", "--set", "training.epochs=2"]
    assert run([*arguments, "--device", "cpu"]) == 0
    return folder
