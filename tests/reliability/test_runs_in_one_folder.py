"""One run after another in the same folder, killed wherever: nothing of the first is ever taken for the second's."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reliability.running import Dlrun, count

from dlrun.cli.app import run
from dlrun.runs.folder import claim_run_folder

FREQUENT = str(Path(__file__).with_name("frequent.py"))
SETTINGS = ("--device", "cpu", "--quiet")
# Of each command two runs of the same size, so that what one leaves would fit the other.
FIRST = {
    "train": ("train", "iris", "--set", "training.epochs=30", *SETTINGS),
    "crossval": ("crossval", "iris", "--folds", "4", "--set", "training.epochs=30", "--jobs", "1", *SETTINGS),
    "bootstrap": ("bootstrap", "iris", "--samples", "10", "--set", "training.epochs=20", "--jobs", "1", *SETTINGS),
    "tune": ("tune", "iris", "--trials", "6", "--set", "training.epochs=20", "--jobs", "1", *SETTINGS),
}
CHANGE = ("--set", "optimizer.learning_rate=0.00001")


def second(command: str) -> tuple[str, ...]:
    change = ("--seed", "7") if command == "tune" else CHANGE
    return (*FIRST[command], *change)


def options_of(command: str) -> list[str]:
    """What is given again beside --resume."""
    words = FIRST[command]
    return [word for i, word in enumerate(words) if {"--folds", "--samples", "--trials"} & {word, words[i - 1]}]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".toml")}


def killed(line: tuple[str, ...], out: Path, *, after: float) -> None:
    process = subprocess.Popen(
        [sys.executable, FREQUENT, *line, "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module", params=FIRST)
def alone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path, float]:
    """A command, its two runs each left alone, and how long a process of one takes."""
    command = request.param
    folder = tmp_path_factory.mktemp(command)
    assert run([*FIRST[command], "--out", str(folder / "a")]) == 0
    began = time.monotonic()
    line = [sys.executable, FREQUENT, *second(command), "--out", str(folder / "b")]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    assert files_of(folder / "a") != files_of(folder / "b")
    return command, folder / "a", folder / "b", time.monotonic() - began


def test_two_runs_killed_at_any_instant(alone: tuple[str, Path, Path, float], tmp_path: Path) -> None:
    """Whatever goes on afterwards ends as one of the two left alone, and after the second has begun as the second."""
    command, a, b, seconds = alone
    draw = random.Random(command)
    for number in range(count(2, 40)):
        out = tmp_path / f"run{number}"
        overwrite = ("--overwrite",) if number % 4 != 3 else ()
        killed(FIRST[command], out, after=draw.uniform(0.3, 1) * seconds)
        before = files_of(out) if out.exists() else {}
        killed((*second(command), *overwrite), out, after=draw.uniform(0.2, 0.8) * seconds)
        config = out / "config.toml"
        if not config.exists():
            assert run([command, "--resume", "--out", str(out), *SETTINGS]) == 2
            continue
        whole = b if config.read_bytes() == (b / "config.toml").read_bytes() else a
        if not overwrite and before.get("config.toml"):
            assert whole == a
            assert files_of(out) == before
        assert run([command, "--resume", "--out", str(out), *options_of(command), *SETTINGS]) == 0
        assert files_of(out) == files_of(whole)


@pytest.mark.parametrize("command", FIRST)
def test_what_another_run_left_is_refused_by_name(command: str, here: Path, dlrun: Dlrun) -> None:
    """Its checkpoint, or its journal, beside a config.toml that is not its own."""
    for name, line in (("a", FIRST[command]), ("b", second(command))):
        process = subprocess.Popen([sys.executable, FREQUENT, *line, "--out", name], stdout=subprocess.DEVNULL)
        kept = "journal.jsonl" if command == "tune" else "checkpoint*.safetensors"
        while process.poll() is None and not any(path.stat().st_size for path in (here / name).glob(kept)):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        (here / name / "summary.json").unlink(missing_ok=True)
    left = sorted((here / "a").glob(kept))
    if not left:
        pytest.skip("ended before it was killed")
    for path in left:
        shutil.copy(path, here / "b" / path.name)
    before = files_of(here / "b")
    result = dlrun(command, "--resume", "--out", "b", *options_of(command), *SETTINGS)
    assert result.status == 2, result
    assert f"b/{left[0].name.split('.')[0]}" in result.stderr
    assert "--overwrite" in result.stderr
    assert files_of(here / "b") == before


def test_a_table_of_another_run_is_refused_by_name(here: Path, dlrun: Dlrun) -> None:
    line = (*FIRST["train"], "--steps", "--set", "training.epochs=2000")
    process = subprocess.Popen([sys.executable, FREQUENT, *line, "--out", "run"], stdout=subprocess.DEVNULL)
    while process.poll() is None and not (here / "run" / "checkpoint.previous.safetensors").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for name in ("metrics.csv", "steps.csv"):
        whole = (here / "run" / name).read_bytes()
        changed = whole.replace(b"0.", b"1.", 1)
        assert changed != whole
        (here / "run" / name).write_bytes(changed)
        result = dlrun("train", "--resume", "--steps", "--out", "run", *SETTINGS)
        assert result.status == 2
        assert f"run/{name}: its first" in result.stderr
        assert (here / "run" / name).read_bytes() == changed
        (here / "run" / name).write_bytes(whole)


def test_a_folder_that_is_being_cleared_passes_for_no_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before any one of the files is removed: nothing to resume, and the rest goes next time."""
    names = ("summary.json", "config.toml", "metrics.csv", "model.safetensors", "checkpoint.safetensors")
    names += ("checkpoint-0-4.safetensors", "checkpoint-0-4.previous.safetensors", "journal.jsonl", "folds.csv")
    out, unlink = here / "run", Path.unlink
    for last in range(1, len(names) + 1):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        for name in names:
            (out / name).write_bytes(b"old")
        removed = 0

        def counted(path: Path, missing_ok: bool = False) -> None:
            nonlocal removed
            if path.name in names and path.exists():
                if removed == last:  # noqa: B023
                    raise KeyboardInterrupt
                removed += 1
            unlink(path, missing_ok=missing_ok)

        monkeypatch.setattr(Path, "unlink", counted)
        try:
            claim_run_folder(out=out, name="e", command="train", overwrite=True).close()
        except KeyboardInterrupt:
            assert last < len(names)
        monkeypatch.undo()
        monkeypatch.chdir(here)
        assert not (out / "config.toml").exists()
        assert (out / "summary.json").exists() == (last == 1)
        with claim_run_folder(out=out, name="e", command="train", overwrite=True):
            assert not [path for path in out.iterdir() if path.name != ".lock"]
