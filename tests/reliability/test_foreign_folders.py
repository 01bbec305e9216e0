"""Folders of runs from somebody else: links, pipes and devices where files should be, and files that were changed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reliability.running import Dlrun

from dlrun.cli.app import run
from dlrun.errors import RunError
from dlrun.runs.names import RUN_FILES

SETTINGS = ("--set", "training.epochs=1", "--set", "model.hidden=[4]", "--device", "cpu", "--quiet")
MADE = {
    "train": ("train", "iris", "--steps", *SETTINGS),
    "crossval": ("crossval", "iris", "--folds", "2", *SETTINGS),
    "bootstrap": ("bootstrap", "iris", "--samples", "2", *SETTINGS),
    "tune": ("tune", "iris", "--trials", "2", *SETTINGS),
}
READERS = {
    "train": (
        "evaluate RUN",
        "predict RUN --data t.csv",
        "diagnose RUN --out d",
        "plot RUN --kind cost",
        "report RUN",
        "export RUN --overwrite",
        "train iris --set training.init_from=RUN --set training.epochs=1 --set model.hidden=[4] --out d",
    ),
    "crossval": ("compare RUN RUN2", "plot RUN", "report RUN"),
    "bootstrap": ("compare RUN RUN2", "plot RUN", "report RUN"),
    "tune": ("plot RUN", "report RUN"),
}
WRITERS = {
    "train": ("train --resume --out RUN", "train iris --overwrite --out RUN"),
    "crossval": ("crossval --resume --out RUN", "crossval iris --folds 2 --overwrite --out RUN"),
    "bootstrap": ("bootstrap --resume --out RUN", "bootstrap iris --samples 2 --overwrite --out RUN"),
    "tune": ("tune --resume --out RUN", "tune iris --trials 2 --overwrite --out RUN"),
}
TABLE = "sepal_length,sepal_width,petal_length,petal_width,species\n5.1,3.5,1.4,0.2,setosa\n"
NAMES = (*RUN_FILES, ".lock", "checkpoint-0-4.safetensors", "checkpoint-0-4.previous.safetensors")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of each command."""
    folder = tmp_path_factory.mktemp("runs")
    for command, line in MADE.items():
        assert run([*line, "--out", str(folder / command)]) == 0
    return folder


def copied(runs: Path, command: str, here: Path) -> Path:
    for name in ("run", "run2", "d"):
        shutil.rmtree(here / name, ignore_errors=True)
    shutil.copytree(runs / command, here / "run2")
    (here / "t.csv").write_text(TABLE)
    return Path(shutil.copytree(runs / command, here / "run"))


def words(line: str) -> list[str]:
    return line.replace("RUN2", "run2").replace("RUN", "run").split(" ")


# -- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written_or_read_through_a_link(name: str, runs: Path, here: Path, dlrun: Dlrun) -> None:
    """Each file that a run may have, in turn, leads to one of the user's: that stays, and the link is named."""
    victim = here / "victim"
    for command, lines in WRITERS.items():
        for line in (*lines, *READERS[command][-2:]):
            folder = copied(runs, command, here)
            victim.write_text("the user's own\n")
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(victim)
            if "--resume" in line and name != "summary.json":
                (folder / "summary.json").unlink()
            result = dlrun(*words(line))
            assert victim.read_text() == "the user's own\n", (command, line)
            assert result.status == 2, (command, line, result)
            assert f"run/{name}: is a link" in result.stderr, (command, line)


@pytest.mark.parametrize("hidden", ["tensorboard", "tensorboard/events.out.tfevents.1"])
def test_nothing_is_written_through_a_link_further_down(hidden: str, runs: Path, here: Path, dlrun: Dlrun) -> None:
    folder = copied(runs, "train", here)
    (here / "victims").mkdir()
    (here / "victims" / "events.out.tfevents.1").write_text("the user's own\n")
    (folder / hidden).parent.mkdir(exist_ok=True)
    (folder / hidden).symlink_to(here / "victims" / ("" if hidden == "tensorboard" else "events.out.tfevents.1"))
    result = dlrun("train", "iris", "--overwrite", "--out", "run", *SETTINGS)
    assert result.status == 2
    assert f"run/{hidden}: is a link" in result.stderr
    assert [path.read_text() for path in (here / "victims").iterdir()] == ["the user's own\n"]


def test_a_link_that_is_made_while_a_run_is_under_way_is_not_followed(here: Path) -> None:
    from dlrun.runs.folder import claim_run_folder

    (here / "victim").write_text("own")
    with claim_run_folder(out=here / "run", name="e", command="train") as folder:
        (here / "run" / "metrics.csv").symlink_to(here / "victim")
        with pytest.raises(RunError, match="is a link"):
            folder.csv("metrics.csv", ["a"])
        with pytest.raises(RunError, match="is a link"):
            folder.write_text("metrics.csv", "text")
    assert (here / "victim").read_text() == "own"


def test_a_folder_that_is_a_link_is_used_where_the_user_names_it(runs: Path, here: Path, dlrun: Dlrun) -> None:
    copied(runs, "train", here)
    (here / "link").symlink_to(here / "run")
    assert dlrun("evaluate", "link").status == 0
    assert dlrun("train", "iris", "--overwrite", "--out", "link", *SETTINGS).status == 0
    assert (here / "link").is_symlink()
    assert (here / "run" / "summary.json").exists()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("plot run/metrics.csv --kind cost", "run/metrics-cost.png"),
        ("plot run run2 --kind cost", "plot-cost.png"),
        ("report run run2", "report.html"),
    ],
)
def test_no_file_that_nobody_named_is_written_through_a_link(
    line: str, name: str, runs: Path, here: Path, dlrun: Dlrun
) -> None:
    """Beside a CSV file, and in the current folder; under --out the link is the user's own choice."""
    copied(runs, "train", here)
    victim = here / "victim"
    victim.write_text("")
    (here / name).symlink_to(victim)
    result = dlrun(*line.split())
    assert result.status == 2
    assert f"{name}: is a link" in result.stderr
    assert victim.read_text() == ""
    assert dlrun(*line.split(), "--out", name).status == 0
    assert (here / name).is_symlink()
    assert victim.stat().st_size > 1000


def test_files_of_the_users_own_may_be_there_and_change(runs: Path, here: Path, dlrun: Dlrun) -> None:
    """They are no run's: neither what they are nor what they hold matters, and --overwrite leaves them."""
    folder = copied(runs, "train", here)
    (here / "far.csv").write_text("far")
    (folder / "data.csv").symlink_to(here / "far.csv")
    (folder / "pictures.png").mkdir()
    (folder / "notes.csv").write_text("one")
    assert dlrun("train", "iris", "--overwrite", "--out", "run", *SETTINGS).status == 0
    (folder / "notes.csv").write_text("two")
    (here / "far.csv").write_text("farther")
    for line in ("evaluate run", "plot run --kind cost", "report run"):
        assert dlrun(*line.split()).status == 0, line
    assert (folder / "data.csv").is_symlink()


def test_a_name_in_upper_case_is_a_runs_too(runs: Path, here: Path, dlrun: Dlrun) -> None:
    """On some file systems it is the same file."""
    folder = copied(runs, "train", here)
    (folder / "REPORT.html").symlink_to(here / "victim")
    result = dlrun("report", "run")
    assert result.status == 2
    assert "run/REPORT.html: is a link" in result.stderr


def test_a_folder_called_tensorboard_is_a_folder_like_any_other(here: Path, dlrun: Dlrun) -> None:
    assert dlrun("train", "iris", "--out", "tensorboard", *SETTINGS).status == 0
    (here / "tensorboard" / "more").mkdir()
    assert dlrun("evaluate", "tensorboard").status == 0


# -- pipes, devices and folders ------------------------------------------------------------------


def device(path: Path) -> None:
    """A file without an end, where one may be made."""
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no device can be made here")


def endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 37)


ODD: dict[str, Callable[[Path], None]] = {"pipe": os.mkfifo, "folder": os.mkdir, "device": device, "size": endless}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("command", MADE)
def test_what_is_no_plain_file_is_refused_at_once(
    command: str, kind: str, runs: Path, here: Path, dlrun: Dlrun
) -> None:
    present = [path.name for path in (runs / command).iterdir() if not path.name.startswith(".")]
    for number, name in enumerate([*present, "checkpoint.safetensors", ".lock"]):
        lines = [*READERS[command], *WRITERS[command]]
        line = lines[number % len(lines)]
        folder = copied(runs, command, here)
        (folder / name).unlink(missing_ok=True)
        ODD[kind](folder / name)
        if kind == "folder" and name == "config.toml" and "--resume" in line:
            continue
        result = dlrun(*words(line))
        assert result.status == 2, (name, line, result)
        assert f"run/{name}: is " in result.stderr, (name, line)


def test_a_pipe_is_not_waited_for(runs: Path, here: Path) -> None:
    folder = copied(runs, "train", here)
    for name in ("summary.json", "config.toml", "model.safetensors"):
        (folder / name).rename(folder / "kept")
        os.mkfifo(folder / name)
        line = [sys.executable, "-m", "dlrun", "evaluate", "run"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=20, cwd=here)
        assert done.returncode == 2
        assert f"run/{name}: is a pipe" in done.stderr
        (folder / name).unlink()
        (folder / "kept").rename(folder / name)


def test_a_table_that_the_memory_cannot_hold_is_refused(
    runs: Path, here: Path, dlrun: Dlrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(runs, "train", here)
    size = (here / "run" / "metrics.csv").stat().st_size
    for memory, status in ((8 * size, 0), (8 * size - 1, 2)):
        monkeypatch.setattr("dlrun.reporting.plots.source.memory_bytes", lambda memory=memory: memory)
        result = dlrun("plot", "run", "--kind", "cost")
        assert result.status == status
    assert f"run/metrics.csv: is {size} bytes long, which is too much" in result.stderr


def test_a_journal_is_refused_above_a_gigabyte(runs: Path, here: Path, dlrun: Dlrun) -> None:
    """It is read in one piece."""
    folder = copied(runs, "tune", here)
    (folder / "summary.json").unlink()
    with (folder / "journal.jsonl").open("r+b") as file:
        file.truncate((1 << 30) + 1)
    result = dlrun("tune", "--resume", "--out", "run")
    assert result.status == 2
    assert f"run/journal.jsonl: is {(1 << 30) + 1} bytes long" in result.stderr


def test_a_file_that_another_process_removes_meanwhile_is_no_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder tells of a lock that is gone when it is looked at."""
    from dlrun.runs.integrity import refuse_odd_files

    monkeypatch.setattr("os.listdir", lambda path: [".lock", "metrics.csv"])
    os.mkfifo(here / "metrics.csv")
    with pytest.raises(RunError, match="is a pipe"):
        refuse_odd_files(here)


def test_a_folder_that_may_not_be_listed_is_not_taken_for_a_sound_one(
    runs: Path, here: Path, dlrun: Dlrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files could be opened all the same, and be pipes."""
    copied(runs, "train", here)

    def denied(path: Path) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("os.listdir", denied)
    result = dlrun("evaluate", "run")
    assert result.status != 0
    assert "dlrun: run: permission denied" in result.stderr


def test_a_config_of_half_a_heading_is_no_crash(runs: Path, here: Path, dlrun: Dlrun) -> None:
    """A run of a division says in its first line which command began it."""
    folder = copied(runs, "train", here)
    (folder / "summary.json").unlink()
    config = folder / "config.toml"
    config.write_text("# dlrun\n" + config.read_text())
    result = dlrun("crossval", "--resume", "--out", "run", "--device", "cpu")
    assert result.status == 2
    assert "holds a run of `dlrun train`" in result.stderr


@pytest.mark.parametrize("kind", ["link", *ODD])
def test_runs_are_listed_and_removed_beside_odd_files(kind: str, runs: Path, here: Path, dlrun: Dlrun) -> None:
    """What cannot be read is a row that says so, what it leads to stays, and the other runs are told."""
    for name in ("summary.json", "config.toml", ".lock"):
        folder = copied(runs, "train", here)
        (here / "victim").write_text("the user's own")
        (folder / name).unlink(missing_ok=True)
        if kind == "link":
            (folder / name).symlink_to(here / "victim")
        else:
            ODD[kind](folder / name)
        result = dlrun("runs", ".", "--json")
        assert result.status == 0, (name, result)
        told = {run["folder"]: run["status"] for run in json.loads(result.stdout)["runs"]}
        assert told["run2"] == "finished"
        if name != ".lock" and kind != "folder":
            assert told["run"] == "damaged", name
        dlrun("runs", "rm", "run", "--yes")
        assert (here / "victim").read_text() == "the user's own"


def test_a_folder_of_other_files_is_not_moved_into(here: Path, dlrun: Dlrun) -> None:
    (here / "mine").mkdir()
    for name in ("thesis.tex", "config.toml"):
        (here / "mine" / name).write_text("own")
        result = dlrun("train", "iris", "--overwrite", "--out", "mine", *SETTINGS)
        assert result.status == 2
        assert "mine: the folder holds other files" in result.stderr
        assert "another --out" in result.stderr
    assert sorted(path.name for path in (here / "mine").iterdir()) == ["config.toml", "thesis.tex"]
    assert {path.read_text() for path in (here / "mine").iterdir()} == {"own"}


# -- changed files -------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "line"), [(c, line) for c, lines in READERS.items() for line in lines])
def test_a_flipped_bit_is_noticed(command: str, line: str, runs: Path, here: Path, dlrun: Dlrun) -> None:
    """In any file that the run left; it is named, and --no-verify reads it all the same."""
    names = sorted(path.name for path in (runs / command).iterdir() if path.name not in ("summary.json", ".lock"))
    assert "config.toml" in names
    for name in names:
        folder = copied(runs, command, here)
        whole = bytearray((folder / name).read_bytes())
        whole[len(whole) // 2] ^= 1
        (folder / name).write_bytes(bytes(whole))
        result = dlrun(*words(line))
        assert result.status == 2, (name, result)
        assert f"run/{name}: has changed since the run wrote it" in result.stderr, name
    if line.startswith("train"):
        return
    folder = copied(runs, command, here)
    config = folder / "config.toml"
    config.write_text(config.read_text() + "\n")
    assert dlrun(*words(line)).status == 2
    assert dlrun(*words(line), "--no-verify").status == 0


def test_a_run_of_before_is_read_as_it_is(runs: Path, here: Path, dlrun: Dlrun) -> None:
    folder = copied(runs, "train", here)
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary.pop("files")) == {"config.toml", "metrics.csv", "model.safetensors", "steps.csv"}
    (folder / "summary.json").write_text(json.dumps(summary))
    assert dlrun("evaluate", "run").status == 0


@pytest.mark.parametrize("files", [["x"], "x", 3, None])
def test_digests_that_are_none_are_refused_and_not_passed_over(
    files: object, runs: Path, here: Path, dlrun: Dlrun
) -> None:
    import json

    folder = copied(runs, "train", here)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "files": files}))
    result = dlrun("evaluate", "run")
    assert result.status == 2
    assert "run/summary.json: damaged: its 'files'" in result.stderr
    assert dlrun("evaluate", "run", "--no-verify").status == 0


def test_a_changed_model_to_start_from_is_named_with_a_way_that_there_is(runs: Path, here: Path, dlrun: Dlrun) -> None:
    folder = copied(runs, "train", here)
    with (folder / "metrics.csv").open("a") as file:
        file.write("\n")
    line = ["train", "iris", *SETTINGS, "--out", "d", "--set"]
    refused = dlrun(*line, "training.init_from=run")
    assert refused.status == 2
    assert "--no-verify" not in refused.stderr
    assert "run/metrics.csv: has changed" in refused.stderr
    named = refused.stderr.split("training.init_from = ")[-1].split("'")[1]
    assert dlrun(*line, f"training.init_from={named}").status == 0  # as it is told


def test_what_is_added_later_is_no_change(runs: Path, here: Path, dlrun: Dlrun) -> None:
    copied(runs, "train", here)
    for line in ("plot run --kind cost", "report run", "evaluate run", "plot run --kind cost", "report run"):
        assert dlrun(*line.split()).status == 0, line
