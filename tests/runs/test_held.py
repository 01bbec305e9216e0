"""A run that is being written is told by its lock alone, and is never removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from dlrun.errors import RunError
from dlrun.runs.held import is_held
from dlrun.runs.listing import list_runs
from dlrun.runs.removing import refuse_no_run, remove_run

SUMMARY = '{"name": "x", "command": "train"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    (made / "summary.json").write_text(SUMMARY)
    (made / "config.toml").write_text('name = "x"\n')
    return made


@pytest.fixture
def written(folder: Path) -> Iterator[Path]:
    """A folder whose lock is held as a run holds it, with the summary of a search that is being extended."""
    with FileLock(folder / ".lock"):
        yield folder


def test_a_run_with_a_summary_is_running_while_its_lock_is_held(written: Path) -> None:
    assert [each.status for each in list_runs(written)] == ["running"]


def test_a_run_with_a_summary_is_not_removed_while_its_lock_is_held(written: Path) -> None:
    before = sorted(written.iterdir())
    for remove in (refuse_no_run, remove_run):
        with pytest.raises(RunError, match="is writing to this folder"):
            remove(written)
    assert sorted(written.iterdir()) == before


def test_looking_takes_no_lock_from_others_and_makes_none(folder: Path) -> None:
    assert not is_held(folder / ".lock")
    assert not (folder / ".lock").exists()
    (folder / ".lock").touch()
    import fcntl

    with (folder / ".lock").open() as other:  # someone else who looks
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not is_held(folder / ".lock")


def test_a_lock_that_may_only_be_read_is_looked_at(written: Path) -> None:
    (written / ".lock").chmod(0o400)
    assert is_held(written / ".lock")


def test_a_lock_that_is_no_plain_file_is_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / ".lock")
    opened: list[str] = []
    really = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: opened.append(str(path)) or really(path, *rest, **more))
    assert [each.status for each in list_runs(folder)] == ["finished"]
    assert not any(path.endswith(".lock") for path in opened)


def test_a_claimed_folder_without_any_file_is_running(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        assert [each.status for each in list_runs(tmp_path)] == ["running"]
    assert list_runs(tmp_path) == []


@pytest.mark.parametrize("checkpoint", ["checkpoint.safetensors", "checkpoint.previous.safetensors",
                                        "checkpoint-0-5.safetensors"])  # fmt: skip
def test_a_checkpoint_tells_of_an_interrupted_run_also_without_a_lock(checkpoint: str, folder: Path) -> None:
    (folder / "summary.json").unlink()
    assert list_runs(folder) == []  # anybody's config.toml
    (folder / checkpoint).touch()
    assert [each.status for each in list_runs(folder)] == ["interrupted"]
