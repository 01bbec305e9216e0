"""Which experiment is meant, and from where its paths are read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dlrun.config import load_experiment, to_toml
from dlrun.config.load import safe_name
from dlrun.errors import ConfigError
from dlrun.packaged import packaged_dir, packaged_experiments


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: Path, text: str = '[data]\nsource = "iris"\n') -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_left_out_it_is_the_folders_own_or_digits(folder: Path) -> None:
    assert load_experiment(None).experiment.name == "digits"
    write(folder / "dlrun.toml")
    loaded = load_experiment(None)
    assert (loaded.experiment.name, loaded.origin, loaded.folder) == ("dlrun", "dlrun.toml", folder)


def test_names(folder: Path) -> None:
    assert load_experiment("iris").experiment.data.source == "iris"
    write(folder / "experiments" / "iris.toml", '[data]\nsource = "wine"\n')
    assert load_experiment("iris").experiment.data.source == "wine"
    (folder / "digits").mkdir()  # a folder of that name is in nobody's way
    assert load_experiment("digits").experiment.name == "digits"


def test_unknown_name_lists_near_ones(folder: Path) -> None:
    write(folder / "experiments" / "mine.toml")
    with pytest.raises(ConfigError, match="the nearest are digits"):
        load_experiment("digit")
    with pytest.raises(ConfigError, match="the nearest are mine"):
        load_experiment("minee")
    with pytest.raises(ConfigError, match=r"there are .*breast_cancer.*iris"):
        load_experiment("§§§")


def test_a_table_is_no_experiment(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"should be --data my\.csv --target COLUMN"):
        load_experiment("my.csv")


def test_paths_in_a_file_are_relative_to_it(folder: Path) -> None:
    text = """
    [data]
    source = "../tables/x.csv"
    [training]
    init_from = "run-1"
    [tune.space]
    "data.source" = {choice = ["a.csv", "iris"]}
    """
    experiment = load_experiment(write(folder / "deep" / "my.toml", text)).experiment
    assert experiment.data.source == str(folder / "tables" / "x.csv")
    assert experiment.training.init_from == str(folder / "deep" / "run-1")
    assert experiment.tune.space["data.source"].choices == (str(folder / "deep" / "a.csv"), "iris")


def test_what_a_run_leaves_runs_from_anywhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_experiment(write(folder / "my.toml", '[data]\nsource = "x.csv"\n'), seed=4).experiment
    copy = write(folder / "runs" / "train-001" / "config.toml", to_toml(first))
    monkeypatch.chdir("/")
    assert load_experiment(copy).experiment == first


def test_links_keep_their_own_ending(folder: Path) -> None:
    write(folder / "blob")
    (folder / "x.csv").symlink_to(folder / "blob")
    source = load_experiment(write(folder / "my.toml", '[data]\nsource = "x.csv"\n')).experiment.data.source
    assert source.endswith("x.csv")


def test_own_table(folder: Path) -> None:
    loaded = load_experiment(None, data="my table.csv", target="y", overrides=["training.epochs=3"])
    experiment = loaded.experiment
    assert experiment.name == "my_table"
    assert experiment.data.source == str(folder / "my table.csv")
    assert (experiment.data.target, experiment.training.epochs) == ("y", 3)
    assert experiment.training.early_stopping is not None
    assert loaded.folder == folder


def test_own_table_stands_alone(folder: Path) -> None:
    with pytest.raises(ConfigError, match="in place of an experiment"):
        load_experiment("iris", data="x.csv", target="y")
    with pytest.raises(ConfigError, match="goes with --data FILE"):
        load_experiment("iris", target="y")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x", "x"),
        ("my table", "my_table"),
        ("..up", "up"),
        ("", "experiment"),
        ("é", "_"),
        ("y" * 99, "y" * 64),
    ],
)
def test_safe_name(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_packaged_folders() -> None:
    assert (packaged_dir("experiments") / "digits.toml").is_file()
    assert "digits" in packaged_experiments()


def test_import_stays_light() -> None:
    code = (
        "import sys, dlrun.config, dlrun.packaged\n"
        "from dlrun.config import load_experiment\n"
        "heavy = {'pydantic', 'numpy', 'pandas', 'rich'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_attribute() -> None:
    import dlrun.config

    with pytest.raises(AttributeError, match="nothing"):
        _ = dlrun.config.nothing
    assert all(getattr(dlrun.config, name) for name in dlrun.config.__all__)
