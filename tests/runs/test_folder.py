"""Run folders: claimed once, refused when taken, whole files only."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from dlrun.errors import RunError
from dlrun.runs.files import replacing, write_whole
from dlrun.runs.folder import RunFolder, claim_run_folder, folder_name
from dlrun.runs.names import LOCK


def claim(out: Path | None = None, **options: object) -> RunFolder:
    return claim_run_folder(out=out, name="iris", command="train", **options)  # type: ignore[arg-type]


def contents(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} - {LOCK}


def test_folders_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "iris" / "train-041").mkdir(parents=True)
    (tmp_path / "iris" / "tune-100").mkdir()
    with claim(root=tmp_path) as first, claim(root=tmp_path) as second:
        assert [first.path.name, second.path.name] == ["train-042", "train-043"]
        assert first.path.parent == tmp_path / "iris"


def test_runs_that_start_together_get_a_folder_each(tmp_path: Path) -> None:
    claimed: list[RunFolder] = []
    threads = [threading.Thread(target=lambda: claimed.append(claim(root=tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({folder.path for folder in claimed}) == 8
    for folder in claimed:
        folder.close()


def test_a_folder_left_empty_is_removed_and_one_with_files_stays(tmp_path: Path) -> None:
    with pytest.raises(KeyError), claim(root=tmp_path):
        raise KeyError
    assert contents(tmp_path / "iris") == set()
    with claim(tmp_path / "out") as folder:
        folder.write_text("config.toml", "seed = 0\n")
    assert (tmp_path / "out" / "config.toml").read_text() == "seed = 0\n"
    with claim(tmp_path / "mine", overwrite=True):
        pass
    assert not (tmp_path / "mine").exists()


def test_an_empty_folder_of_the_user_is_used_and_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with claim(tmp_path / "out"):
        pass
    assert (tmp_path / "out").is_dir()


def test_a_folder_with_files_needs_overwrite(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "thesis.txt").write_text("dear to me")
    with pytest.raises(RunError, match=r"not empty \(it holds summary.json, thesis.txt\); give --overwrite"):
        claim(tmp_path)
    with claim(tmp_path, overwrite=True):
        assert contents(tmp_path) == {"thesis.txt"}


def test_overwriting_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    (tmp_path / ".summary.json.0123abcd.dlrun-tmp").write_text("{")
    with claim(tmp_path, overwrite=True):
        assert contents(tmp_path) == set()


def test_a_checkpoint_half_written_is_removed_when_a_run_goes_on_and_when_it_lets_go(tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out).mkdir()
    (out / "config.toml").write_text("")
    half, other = out / ".checkpoint-0-9.safetensors.0123.dlrun-tmp", out / ".answers.csv.0123.dlrun-tmp"
    half.touch()
    other.touch()
    with claim_run_folder(out=out, name="x", command="crossval", resume=True):
        assert not half.exists()
        half.touch()
    assert not half.exists()
    assert other.exists()  # another process may be writing it


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_use_is_refused(tmp_path: Path, overwrite: bool) -> None:
    with claim(tmp_path / "out") as folder:
        folder.write_text("metrics.csv", "epoch\n")
        with pytest.raises(RunError, match="another dlrun process is writing"):
            claim(tmp_path / "out", overwrite=overwrite)
        assert folder.file("metrics.csv").exists()
    with claim(tmp_path / "out", overwrite=True):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        claim(tmp_path / "file")
    with pytest.raises(RunError, match="a part of this path is a file"):
        claim(tmp_path / "file" / "deeper")


def test_resuming_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="needs --out"):
        claim(resume=True)
    with pytest.raises(RunError, match="no run to resume"):
        claim(tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()
    (tmp_path / "config.toml").write_text("")
    with claim(tmp_path, resume=True):
        assert contents(tmp_path) == {"config.toml"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("iris", "iris"), ("../../etc", "etc"), ("a b/c", "a-b-c"), ("...", "experiment"), ("größe", "größe")],
)
def test_names_make_safe_folders(name: str, expected: str) -> None:
    assert folder_name(name) == expected


def test_json_is_written_whole(tmp_path: Path) -> None:
    with claim(tmp_path) as folder:
        folder.write_json("summary.json", {"error": float("nan"), "seed": 3})
        assert json.loads(folder.file("summary.json").read_text()) == {"error": None, "seed": 3}
        with folder.csv("metrics.csv", ["epoch"]) as file:
            file.write(1)
        assert folder.file("metrics.csv").read_text() == "epoch\n1\n"
        assert contents(tmp_path) == {"summary.json", "metrics.csv"}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert contents(tmp_path) == {"a.txt"}


def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write_whole(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_links_and_devices(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "link", "through")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "through"
    write_whole(Path(os.devnull), "gone")
    assert Path(os.devnull).is_char_device()
