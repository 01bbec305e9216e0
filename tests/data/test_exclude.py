"""Columns that are left out, and those that cannot be used, all named with the setting that leaves them out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dlrun.cli.app import run
from dlrun.config import validate
from dlrun.data import load_dataset
from dlrun.errors import ConfigError, DataError

N = 60
QUICK = ["--set", "training.epochs=1", "--device", "cpu", "--quiet", "--overwrite", "--out", "run"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f"{n},{n % 5},name{n},id-{n * 7},{n % 2}" for n in range(N)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,who,code,y", *rows]) + "\n")
    return tmp_path


def test_all_that_cannot_be_used_is_named_with_the_line_that_leaves_it_out(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["train", "--data", "t.csv", "--target", "y", *QUICK]
    assert run(base) == 2
    said = capsys.readouterr().err
    assert "t.csv: 2 columns cannot be used" in said
    assert "column 'who' is text" in said
    assert "column 'code' is text" in said
    words = shlex.split(re.search(r"--set '.*?'", said)[0])  # type: ignore[index]
    assert run([*base, *words]) == 0  # as it is told
    assert 'exclude = ["who", "code"]' in (here / "run/config.toml").read_text()
    assert run(["evaluate", "run", "--device", "cpu"]) == 0
    assert run(["kmeans", "--data", "t.csv", "--target", "y", "--clusters", "2", *words, "--quiet"]) == 0


def test_exclude_is_features_the_other_way_round(here: Path) -> None:
    def features(**keys: object) -> tuple[str, ...]:
        data = {"source": str(here / "t.csv"), "target": "y", **keys}
        experiment = validate({"name": "x", "data": data}, where="x")
        return load_dataset(experiment.data, task=None, folder=here, seed=0).feature_names

    assert features(exclude=["who", "code"]) == features(features=["a", "b"]) == ("a", "b")
    with pytest.raises(DataError, match=r"no column 'cod' \(data\.exclude\); did you mean 'code'"):
        features(exclude=["cod"])
    for keys, said in (
        ({"exclude": ["a"], "features": ["b"]}, r"data\.exclude .*beside data\.features"),
        ({"exclude": ["y"]}, "which is the target"),
        ({"exclude": ["a"], "group": "a"}, r"which is data\.group"),
    ):
        with pytest.raises(ConfigError, match=said):
            features(**keys)
