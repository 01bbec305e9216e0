"""One run after another in the same folder, killed wherever: nothing of the first is ever taken for the second's."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from reliability.running import Dlrun, count

from dlrun.cli.app import run
from dlrun.runs.checkpoints import Checkpoints
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
KEPT = dict.fromkeys(FIRST, "checkpoint*.safetensors") | {"tune": "journal.jsonl"}
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


def killed(line: tuple[str, ...], out: Path, *, after: float, when: Callable[[], bool] = lambda: True) -> None:
    """Start it and kill it so many seconds after something holds."""
    process = subprocess.Popen(
        [sys.executable, FREQUENT, *line, "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not when() and process.poll() is None:
        time.sleep(0.001)
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
    """Whatever goes on afterwards ends as one of the two left alone, and after the second has begun as the second.

    Every other first run is killed when it has kept something, and the second just when it has its config.toml.
    """
    command, a, b, seconds = alone
    draw = random.Random(command)
    for number in range(count(2, 40)):
        out = tmp_path / f"run{number}"
        overwrite = ("--overwrite",) if number % 4 != 3 else ()
        config, aimed = out / "config.toml", number % 2 == 0
        if aimed:
            killed(FIRST[command], out, after=0, when=lambda: any(out.glob(KEPT[command])))  # noqa: B023
        else:
            killed(FIRST[command], out, after=draw.uniform(0.3, 1) * seconds)
        before = files_of(out) if out.exists() else {}
        if aimed:
            begun = (b / "config.toml").read_bytes()
            there = lambda: config.exists() and config.read_bytes() == begun  # noqa: B023, E731
            killed((*second(command), *overwrite), out, after=draw.uniform(0, 0.01), when=there)
        else:
            killed((*second(command), *overwrite), out, after=draw.uniform(0.2, 0.8) * seconds)
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
        while process.poll() is None and not (
            (here / name / "config.toml").exists() and any(path.stat().st_size for path in (here / name).glob(kept))
        ):
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


# -- a run that is broken off, and what another one left beside it ---------------------------------


class StopError(BaseException):
    """Ends a command as a kill would, but inside the test's process."""


def broken_off(
    line: tuple[str, ...], out: Path, monkeypatch: pytest.MonkeyPatch, *, where: str, calls: int = 0
) -> None:
    """Run the command until the function at `where` is called once more than so many times."""
    left = [calls]

    def stopping(*arguments: object) -> object:
        if not left[0]:
            raise StopError
        left[0] -= 1
        return original(*arguments)

    owner, name = where.rsplit(".", 1)
    module, _, held = owner.partition(":")
    target = getattr(import_module(module), held) if held else import_module(module)
    original = getattr(target, name)
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "due", property(lambda self: True))
        patched.setattr(target, name, stopping)
        assert run([*line, "--out", str(out)]) == 3


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


TRAIN_STOP = "dlrun.workflows.train._note"


def test_a_summary_of_another_run_does_not_end_this_one(
    here: Path, dlrun: Dlrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would tell the other's figures, and take this run's checkpoints away."""
    broken_off(FIRST["train"], here / "run", monkeypatch, where=TRAIN_STOP, calls=5)
    assert dlrun(*second("train"), "--out", "other").status == 0
    shutil.copy(here / "other" / "summary.json", here / "run" / "summary.json")
    before = everything(here / "run")
    assert "checkpoint.safetensors" in before
    result = dlrun("train", "--resume", "--out", "run", *SETTINGS)
    assert result.status == 2, result
    assert "run/summary.json: is the summary of another run" in result.stderr
    assert everything(here / "run") == before
    (here / "run" / "summary.json").unlink()
    assert dlrun("train", "--resume", "--out", "run", *SETTINGS).status == 0


def test_steps_that_the_checkpoint_does_not_tell_of_are_refused(
    here: Path, dlrun: Dlrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off(FIRST["train"], here / "run", monkeypatch, where=TRAIN_STOP, calls=5)
    assert dlrun(*second("train"), "--steps", "--out", "other").status == 0
    shutil.copy(here / "other" / "steps.csv", here / "run" / "steps.csv")
    before = (here / "run" / "steps.csv").read_bytes()
    result = dlrun("train", "--resume", "--steps", "--out", "run", *SETTINGS)
    assert result.status == 2, result
    assert "run/steps.csv: the run's checkpoint tells of no such file" in result.stderr
    assert (here / "run" / "steps.csv").read_bytes() == before


def test_steps_after_the_checkpoint_go_whatever_epoch_they_tell_of(
    here: Path, dlrun: Dlrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (*FIRST["train"], "--steps")
    assert dlrun(*line, "--out", "whole").status == 0
    broken_off(line, here / "run", monkeypatch, where=TRAIN_STOP, calls=5)
    rows = (here / "run" / "steps.csv").read_bytes().splitlines(keepends=True)
    kept = [row for row in rows if not row.startswith(b"0,6,")]
    assert len(kept) < len(rows)
    (here / "run" / "steps.csv").write_bytes(b"".join([*kept, kept[1]]))  # of epoch 1, as another run's might be
    assert dlrun("train", "--resume", "--steps", "--out", "run", *SETTINGS).status == 0
    assert files_of(here / "run") == files_of(here / "whole")


def test_a_checkpoint_under_the_name_of_another_stack_is_refused(
    here: Path, dlrun: Dlrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off(
        FIRST["crossval"], here / "run", monkeypatch, where="dlrun.resampling.progress:EpochProgress.update", calls=4
    )
    kept = sorted((here / "run").glob("checkpoint-*.safetensors"))
    assert kept
    for path in kept:
        path.rename(path.with_name(path.name.replace("checkpoint-0", "checkpoint-1", 1)))
    result = dlrun("crossval", "--resume", "--out", "run", *options_of("crossval"), *SETTINGS)
    assert result.status == 2, result
    assert "run/checkpoint-1-4.safetensors: is the checkpoint of another run" in result.stderr


def test_a_search_is_resumed_with_its_own_options_or_not_at_all(
    here: Path, dlrun: Dlrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off before its config.toml, or with the journal lost: never as one of 32 trials."""
    line = FIRST["tune"]
    broken_off(line, here / "run", monkeypatch, where="dlrun.runs.folder:RunFolder.write_text")
    assert "no config.toml" in dlrun("tune", "--resume", "--out", "run", *SETTINGS).stderr
    assert dlrun(*line, "--overwrite", "--out", "run").status == 0
    (here / "run" / "summary.json").unlink()
    header = (here / "run" / "journal.jsonl").read_bytes().splitlines(keepends=True)[0]
    for content in (b"", header[:-9]):
        (here / "run" / "journal.jsonl").write_bytes(content)
        before = everything(here / "run")
        result = dlrun("tune", "--resume", "--out", "run", *SETTINGS)
        assert result.status == 2, result
        assert "run/journal.jsonl: tells of no search" in result.stderr
        assert everything(here / "run") == before


def test_a_foreign_journal_is_refused_wherever_it_stands_and_nothing_is_lost(here: Path, dlrun: Dlrun) -> None:
    """Also before this search's own header; the summary is there afterwards."""
    for name, line in (("run", FIRST["tune"]), ("other", second("tune"))):
        assert dlrun(*line, "--out", name).status == 0
    own, foreign = ((here / name / "journal.jsonl").read_bytes() for name in ("run", "other"))
    for content in (foreign, foreign + own):
        (here / "run" / "journal.jsonl").write_bytes(content)
        before = everything(here / "run")
        result = dlrun("tune", "--resume", "--out", "run", *SETTINGS)
        assert result.status == 2, result
        assert "run/journal.jsonl: is the journal of another search" in result.stderr
        assert everything(here / "run") == before


def test_other_functions_under_the_same_names_are_refused(
    here: Path, dlrun: Dlrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names are the same, and the file that they stand in is not."""
    (here / "own.py").write_text("def act(z):\n    return z * z\n")
    own = (*FIRST["train"], "--set", "model.activation=own.py:act", "--set", "optimizer.learning_rate=1e-4")
    broken_off(own, here / "run", monkeypatch, where=TRAIN_STOP, calls=5)
    before = everything(here / "run")
    (here / "own.py").write_text("def act(z):\n    return z * z * z\n")
    result = dlrun(*own, "--resume", "--out", "run")
    assert result.status == 2
    assert "run/checkpoint.safetensors: is the checkpoint of another run" in result.stderr
    assert "of other Python functions" in result.stderr
    assert everything(here / "run") == before
    (here / "own.py").write_text("def act(z):\n    return z * z\n")
    assert dlrun(*own, "--resume", "--out", "run").status == 0
