"""ONNX files answer as the model does: onnxruntime, fed with the raw columns, beside `Model.predict_proba`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dlrun
from dlrun.cli.app import run
from dlrun.errors import ConfigError, MachineError, RunError
from dlrun.workflows.model import Model

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

QUICK = {"training.epochs": 6, "optimizer.learning_rate": 0.01}
DEEP = {**QUICK, "model.hidden": [6, 5]}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Numbers far from 0, categories with blanks and umlauts, true and false, and missing values."""
    draw = np.random.default_rng(4)
    n = 120
    found = pd.DataFrame(
        {
            "year": 2000.0 + draw.integers(0, 25, n),
            "size m²": draw.normal(1e6, 10, n),
            "färbe": draw.choice(["rot", "hell grün", "blau, tief"], n),
            "sold": draw.choice([True, False], n),
        }
    )
    found["price"] = 100 + 3 * (found["year"] - 2010) + 20 * (found["färbe"] == "rot") + draw.normal(0, 1, n)
    found["kind"] = np.where(found["price"] > 110, "dear", np.where(found["price"] < 90, "cheap", "middle"))
    found["two"] = np.where(found["sold"], "yes", "no")
    return found


def asked(path: Path, rows: pd.DataFrame) -> dict[str, Any]:
    """What onnxruntime answers for the raw columns."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {}
    for each in session.get_inputs():
        column = rows[each.name]
        if each.type == "tensor(double)":
            feed[each.name] = column.to_numpy(np.float64)[:, None]
        else:
            texts = ["" if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]
            feed[each.name] = np.array(texts, dtype=object)[:, None]
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def compared(result: Any, rows: pd.DataFrame, here: Path, *, within: float = 1e-5) -> None:
    model = result.model
    found = dlrun.export(result.folder)
    assert found.path == result.folder / "model.onnx"
    answers = asked(found.path, rows)
    if model.classes:
        wanted = model.predict_proba(rows)
        np.testing.assert_allclose(answers["probabilities"], wanted, atol=within)
        clear = np.sort(wanted, axis=1)[:, -1] - np.sort(wanted, axis=1)[:, -2] > 10 * within
        assert clear.any() or wanted.shape[1] == 1 or np.allclose(wanted, wanted[0])
        assert list(answers["label"][clear]) == list(model.predict(rows)[clear])
    else:
        values = model.predict(rows)
        np.testing.assert_allclose(answers["prediction"][:, 0], values, rtol=within, atol=within * np.abs(values).max())


FEATURES = ["year", "size m²", "färbe", "sold"]
MODELS: dict[str, dict[str, Any]] = {
    "linear": {**QUICK, "model.hidden": []},
    "deep": DEEP,
    "leaky_relu": {**DEEP, "model.activation": "leaky_relu"},
    "tanh": {**DEEP, "model.activation": "tanh"},
    "sigmoid": {**DEEP, "model.activation": "sigmoid"},
    "identity": {**DEEP, "model.activation": "identity"},
    "batch_norm": {**DEEP, "model.batch_norm": True},
    "dropout": {**DEEP, "model.keep_prob": 0.8},
    "no bias": {**DEEP, "model.bias": False},
    "polynomial": {**QUICK, "model.hidden": [4], "model.feature_map": {"name": "polynomial", "degree": 3}},
    "rbf": {**QUICK, "model.hidden": [], "model.feature_map": {"name": "rbf", "count": 12, "gamma": 0.3}},
    "minmax": {**DEEP, "data.normalize": "minmax"},
    "not scaled": {**QUICK, "model.hidden": [], "data.normalize": "none", "optimizer.learning_rate": 1e-14},
    "nearest": {"model.kind": "nearest_neighbor"},
}


@pytest.mark.parametrize("target", ["kind", "two", "price"])
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model(name: str, target: str, frame: pd.DataFrame, here: Path) -> None:
    table = frame[[*FEATURES, target]]
    result = dlrun.train(data=table, target=target, set=MODELS[name], device="cpu", out="run")
    compared(result, frame[FEATURES], here)


@pytest.mark.parametrize(("kind", "target"), [("majority", "kind"), ("mean", "price")])
def test_baselines(kind: str, target: str, frame: pd.DataFrame, here: Path) -> None:
    table = frame[[*FEATURES, target]]
    result = dlrun.train(data=table, target=target, set={"model.kind": kind}, device="cpu", out="run")
    compared(result, frame[FEATURES].head(7), here)


@pytest.mark.parametrize("name", ["deep", "leaky_relu", "batch_norm", "polynomial", "rbf"])
def test_float64_keeps_more_digits(name: str, frame: pd.DataFrame, here: Path) -> None:
    table = frame[[*FEATURES, "kind"]]
    setting = {**MODELS[name], "model.dtype": "float64"}
    result = dlrun.train(data=table, target="kind", set=setting, device="cpu", out="run")
    compared(result, frame[FEATURES], here, within=1e-10)


def test_missing_values_are_filled_as_in_the_training(frame: pd.DataFrame, here: Path) -> None:
    table = frame[[*FEATURES, "kind"]].copy()
    table["sold"] = table["sold"].astype(object)
    table.loc[3, "year"] = np.nan
    table.loc[5, "färbe"] = None
    table.loc[6, "sold"] = None
    setting = {**DEEP, "data.missing": "mean"}
    result = dlrun.train(data=table, target="kind", set=setting, device="cpu", out="run")
    compared(result, table[FEATURES], here)


def test_what_the_training_had_not(frame: pd.DataFrame, here: Path) -> None:
    table = frame[[*FEATURES, "kind"]]
    result = dlrun.train(data=table, target="kind", set=DEEP, device="cpu", out="run")
    new = table[FEATURES].head(3).copy()
    new["färbe"] = ["lila", "rot", "lila"]
    compared(result, new, here)
    new.loc[0, "year"] = np.nan
    assert np.isnan(asked(Path("run/model.onnx"), new)["probabilities"][0]).all()


def test_a_packaged_set_and_the_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = dlrun.train("wine", set=QUICK, device="cpu", out="run")
    rows = pd.read_csv(Path(dlrun.__file__).parents[1] / "datasets" / "wine.csv")
    capsys.readouterr()
    assert run(["export", "run", "--format", "onnx", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outputs"] == ["label", "probabilities"]
    np.testing.assert_allclose(
        asked(Path(told["out"]), rows)["probabilities"], result.model.predict_proba(rows), atol=1e-5
    )
    onnx.checker.check_model(told["out"], full_check=True)
    assert run(["evaluate", "run", "--device", "cpu"]) == 0  # the file beside the model is no change of the run
    assert run(["export", "run"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(["export", "run", "--overwrite", "--quiet"]) == 0
    assert run(["export", "run/model.safetensors", "--out", "m.onnx", "--quiet"]) == 0
    assert (here / "m.onnx").read_bytes() == (here / "run/model.onnx").read_bytes()


def test_what_cannot_be_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "own.py").write_text("def act(z):\n    return z * z\n")
    own = {**DEEP, "model.activation": "own.py:act"}
    dlrun.train("iris", set=own, device="cpu", out="own")
    with pytest.raises(ConfigError, match="no operation"):
        dlrun.export("own")
    dlrun.train("iris", set=DEEP, device="cpu", out="run")
    with pytest.raises(ConfigError, match=r"end in \.onnx"):
        dlrun.export("run", out="model.pb")
    (here / "victim").write_text("own")
    (here / "run" / "model.onnx").symlink_to(here / "victim")
    with pytest.raises(RunError, match="is a link"):
        dlrun.export("run", overwrite=True)
    assert (here / "victim").read_text() == "own"
    (here / "run" / "model.onnx").unlink()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MachineError, match=r"dlrun\[onnx\]"):
        dlrun.export("run")
    assert Model.open("run").classes == ("setosa", "versicolor", "virginica")


def test_dates_cannot_be_written(here: Path) -> None:
    days = pd.DataFrame(
        {"when": [f"2024-05-{1 + i % 20:02}" for i in range(40)], "y": [f"{i % 7}.5" for i in range(40)]}
    )
    result = dlrun.train(data=days, target="y", out="run", device="cpu", set=QUICK)
    with pytest.raises(ConfigError, match="the column 'when' holds dates"):
        dlrun.export(result.folder)
