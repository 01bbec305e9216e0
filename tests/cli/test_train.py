"""`dlrun train`: its files, its figures, and what it says when something is wrong."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from dlrun.backend import describe_devices

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the line break


def metrics_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


# -- what a run leaves -----------------------------------------------------------------------------


def test_the_files_of_a_run(iris_run: Path) -> None:
    left = {path.name for path in iris_run.iterdir()} - {".lock"}
    assert left == {"config.toml", "metrics.csv", "model.safetensors", "summary.json"}


def test_the_summary(iris_run: Path) -> None:
    summary = summary_of(iris_run)
    assert (summary["command"], summary["name"], summary["seed"], summary["status"]) == ("train", "iris", 0, "done")
    assert summary["parameters"] == 4 * 16 + 16 + 16 * 3 + 3
    assert (summary["epochs"], summary["best_epoch"]) == (50, 50)
    assert summary["steps"] == 50 * math.ceil(90 / 16)
    assert summary["rows"] == {"train": 90, "dev": 30, "test": 30}
    assert len(summary["data_hash"]) == len(summary["split_hash"]) == 64
    assert summary["seconds"] > 0
    assert summary["versions"]["numpy"] == np.__version__
    # three classes of 50, split with their shares kept: two thirds of every part are not the majority's
    for part, rows in summary["rows"].items():
        assert summary["figures"][part]["rows"] == rows
        assert summary["baseline"]["figures"][part]["error"] == pytest.approx(2 / 3)
        assert summary["baseline"]["figures"][part]["cost"] == pytest.approx(math.log(3))
        assert summary["figures"][part]["error"] < 0.15


def test_the_metrics(iris_run: Path) -> None:
    rows = metrics_of(iris_run)
    assert list(rows[0])[:7] == ["replica", "epoch", "step", "split", "learning_rate", "cost", "error"]
    assert [row["split"] for row in rows] == ["train", "dev"] * 50 + ["test"]
    assert [int(row["epoch"]) for row in rows[:-1]] == [epoch for epoch in range(1, 51) for _ in "12"]
    assert (rows[-1]["epoch"], rows[-1]["step"], rows[-1]["replica"]) == ("50", "300", "0")
    assert {row["learning_rate"] for row in rows} == {"0.01"}
    figures = summary_of(iris_run)["figures"]
    for row in rows[-3:]:  # the last epoch's weights were kept
        assert float(row["cost"]) == figures[row["split"]]["cost"]
        assert float(row["error"]) == figures[row["split"]]["error"]


def test_the_model_file(iris_run: Path) -> None:
    tensors = load_file(iris_run / "model.safetensors")
    shapes = {name: tensor.shape for name, tensor in tensors.items() if "." not in name}
    assert shapes == {"W1": (4, 16), "b1": (16,), "W2": (16, 3), "b2": (3,)}
    assert tensors["W1"].dtype == np.float32
    assert tensors["scaling.shift"].shape == (4,)


def test_the_model_file_holds_batch_normalization(dlrun: Any, here: Path) -> None:
    changes = ("--set", "model.batch_norm=true", "--set", "training.epochs=1", "--set", "model.dtype=float64")
    assert dlrun("train", "iris", "--out", "run", *changes).status == 0
    tensors = load_file("run/model.safetensors")
    shapes = {name: tensor.shape for name, tensor in tensors.items() if "." not in name}
    vectors = dict.fromkeys(("gamma1", "beta1", "mean1", "variance1"), (16,))
    assert shapes == {"W1": (4, 16), **vectors, "W2": (16, 3), "b2": (3,)}
    assert tensors["W1"].dtype == np.float64


def test_the_model_file_alone_predicts(iris_run: Path) -> None:
    """The forward pass written out by hand, from the file's tensors alone, gives the errors of the summary."""
    from sklearn.datasets import load_iris

    t = {name: tensor.astype(np.float64) for name, tensor in load_file(iris_run / "model.safetensors").items()}
    features, species = load_iris(return_X_y=True)
    x = (features - t["scaling.shift"]) * t["scaling.scale"]
    z = np.maximum(x @ t["W1"] + t["b1"], 0) @ t["W2"] + t["b2"]
    wrong = (z.argmax(axis=1) != species).sum()
    assert wrong == sum(round(each["error"] * each["rows"]) for each in summary_of(iris_run)["figures"].values())


def test_zero_epochs_write_the_initial_weights(dlrun: Any, here: Path) -> None:
    zeros = ("--set", "model.initialization=zeros")
    assert dlrun("train", "iris", "--out", "run", "--set", "training.epochs=0", *zeros).status == 0
    rows = metrics_of(here / "run")
    assert [(row["epoch"], row["step"], row["split"]) for row in rows] == [
        ("0", "0", part) for part in ("train", "dev", "test")
    ]
    # all logits are 0: every class has the probability 1/3
    assert all(float(row["cost"]) == pytest.approx(math.log(3), rel=1e-6) for row in rows)
    assert all(not tensor.any() for name, tensor in load_file("run/model.safetensors").items() if name[0] == "W")


# -- the same again --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("experiment", "changes"),
    [("iris", ["training.epochs=5"]), ("digits", ["training.epochs=3"]), ("diabetes", ["training.epochs=4"])],
)
def test_a_run_s_configuration_gives_the_same_metrics(
    experiment: str, changes: list[str], dlrun: Any, here: Path
) -> None:
    overrides = [word for change in changes for word in ("--set", change)]
    assert dlrun("train", experiment, "--out", "first", *overrides, "--seed", "7").status == 0
    (here / "elsewhere").mkdir()
    assert dlrun("train", "first/config.toml", "--out", "elsewhere/second").status == 0
    for name in ("metrics.csv", "config.toml"):
        assert (here / "first" / name).read_bytes() == (here / "elsewhere/second" / name).read_bytes()
    first, second = load_file("first/model.safetensors"), load_file("elsewhere/second/model.safetensors")
    assert all(np.array_equal(first[name], second[name]) for name in first | second)
    if experiment == "digits":
        assert "keep_prob = 0.7" in (here / "first/config.toml").read_text()


def test_the_seed_changes_the_results(dlrun: Any, here: Path) -> None:
    costs = set()
    for seed in ("0", "1", "2"):
        run = dlrun("train", "iris", "--set", "training.epochs=1", "--seed", seed, "--json")
        costs.add(json.loads(run.stdout)["figures"]["train"]["cost"])
    assert len(costs) == 3


def test_starting_from_another_run(dlrun: Any, here: Path, iris_run: Path) -> None:
    (here / "further.toml").write_text(
        f'data.source = "iris"\nmodel.hidden = [16]\ntraining.epochs = 0\ntraining.init_from = "{Path("up/run")}"\n'
    )
    (here / "up").symlink_to(iris_run.parent)
    (here / "elsewhere").mkdir()
    assert dlrun("train", "further.toml", "--out", "elsewhere/run").status == 0
    assert summary_of(here / "elsewhere/run")["figures"] == summary_of(iris_run)["figures"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "training.init_from=nowhere",
            "training.init_from = '{here}/nowhere': {here}/nowhere: there is no such folder",
        ),
        ("training.init_from=.", "no finished run"),
    ],
)
def test_starting_from_nothing(change: str, message: str, dlrun: Any, here: Path) -> None:
    result = dlrun("train", "iris", "--set", change)
    assert result.status == 2
    assert message.format(here=here) in result.stderr
    assert not (here / "runs").exists()


def test_starting_from_a_model_of_another_shape(dlrun: Any, here: Path, iris_run: Path) -> None:
    changes = ("--set", f"training.init_from={iris_run}", "--set", "model.hidden=[8]")
    result = dlrun("train", "iris", *changes)
    assert result.status == 2
    assert "that model is 4x16x3, this one 4x8x3" in result.stderr


# -- baselines and verdicts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kind", "error"),
    [("iris", "majority", 2 / 3), ("iris", "nearest_neighbor", 0.0), ("diabetes", "mean", None)],
)
def test_baselines_run_too(source: str, kind: str, error: float | None, dlrun: Any, here: Path) -> None:
    result = dlrun("train", source, "--set", f"model.kind={kind}", "--out", "run", "--json")
    assert result.status == 0
    summary = json.loads(result.stdout)
    assert (summary["model"], summary["parameters"], summary["epochs"]) == (kind, 0, 0)
    if error is not None:  # a memorizer makes no error on the rows it remembers
        assert summary["figures"]["train"]["error"] == pytest.approx(error)
    if kind != "nearest_neighbor":
        assert summary["figures"] == summary["baseline"]["figures"]
    assert [row["split"] for row in metrics_of(here / "run")] == ["train", "dev", "test"]
    shown = dlrun("train", source, "--set", f"model.kind={kind}").stdout
    assert "is a baseline: nothing was trained" in shown
    assert "does not beat" not in shown


def test_a_model_that_does_not_beat_the_baseline_is_called_so(dlrun: Any, here: Path) -> None:
    """All probabilities of a single sigmoid on XOR tend to one half, which tells the classes no better than "0"."""
    shown = dlrun("train", "xor").stdout
    assert re.search(
        r"The model does not beat the majority baseline on the train part: error 0\.\d+ against 0\.5\.", shown
    )
    assert "does not beat" not in dlrun("train", "xor_hidden").stdout


def test_regression_is_measured_in_the_target_s_units(dlrun: Any, here: Path) -> None:
    """Least squares by scikit-learn on the same rows errs as much as the linear model trained to the end."""
    rows = np.random.default_rng(0).normal(size=(60, 2))
    target = 1000 + 50 * rows[:, 0] - 20 * rows[:, 1] + np.random.default_rng(1).normal(scale=5, size=60)
    lines = [",".join(map(repr, map(float, [*x, y]))) for x, y in zip(rows, target, strict=True)]
    (here / "own.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    shares = ("data.split.train=1.0", "data.split.dev=0.0", "data.split.test=0.0")
    changes = (
        *shares,
        "model.hidden=[]",
        "training.epochs=300",
        "training.early_stopping=",
        "optimizer.learning_rate=0.02",
    )
    options = [word for change in changes for word in ("--set", change)]
    result = dlrun("train", "--data", "own.csv", "--target", "y", "--json", *options)
    assert result.status == 0, result.stderr
    summary = json.loads(result.stdout)

    from sklearn.linear_model import LinearRegression

    residual = target - LinearRegression().fit(rows, target).predict(rows)
    assert summary["figures"]["train"]["error"] == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-3)
    assert summary["baseline"]["figures"]["train"]["error"] == pytest.approx(target.std(), rel=1e-6)
    assert summary["baseline"]["answer"] == [pytest.approx(target.mean())]
    assert "RMSE of the mean" in dlrun("train", "--data", "own.csv", "--target", "y", *options).stdout


# -- divergence ------------------------------------------------------------------------------------


def test_divergence_keeps_what_there_is_and_ends_with_one(dlrun: Any, here: Path) -> None:
    changes = ("--set", "optimizer.name=gradient_descent", "--set", "optimizer.learning_rate=1e6")
    result = dlrun("train", "iris", "--out", "run", *changes)
    assert (result.status, result.stdout) == (1, "")
    assert re.search(r"training diverged: .* at epoch 1, step \d", result.stderr)
    assert "smaller optimizer.learning_rate" in result.stderr
    assert "clip_norm" in result.stderr
    summary = summary_of(here / "run")
    assert summary["status"] == "diverged"
    assert "epoch 1" in summary["reason"]
    assert summary["figures"] == {}
    assert {row["epoch"] for row in metrics_of(here / "run")} == {"1"}
    assert not (here / "run/model.safetensors").exists()
    evaluated = dlrun("evaluate", "run")
    assert evaluated.status == 2
    assert "diverged and left no model" in evaluated.stderr


def test_divergence_as_json(dlrun: Any, here: Path) -> None:
    changes = ("--set", "optimizer.name=gradient_descent", "--set", "optimizer.learning_rate=1e6")
    result = dlrun("train", "iris", "--json", *changes)
    assert result.status == 1
    assert json.loads(result.stdout)["status"] == "diverged"


# -- requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["iris", "--set", "optimizer.learning_rat=1"], "nearest known one is optimizer.learning_rate"),
        (["iris", "--resume"], "--resume needs --out DIR"),
        (["--data", "own.csv"], "data.target is missing"),
        (["--data", "own.csv", "--target", "z"], "own.csv has no column 'z' (data.target). Columns: age, city, =cmd"),
        (["--data", "own.csv", "--target", "y"], "own.csv, line 4, column 'age': the value is missing"),
        (["--data", "none.csv", "--target", "y"], "there is no file"),
        (["iris", "--set", "model.kind=mean"], 'does not fit classification, whose baseline is "majority"'),
        (["iris", "--out", "own.csv"], "own.csv: is a file, where --out needs a folder"),
        (["iris", "--out", "own.csv/run"], "a part of this path is a file"),
    ],
)
def test_wrong_requests(arguments: list[str], message: str, dlrun: Any, own_table: Path) -> None:
    result = dlrun("train", *arguments)
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert {path.name for path in own_table.parent.iterdir()} == {"own.csv"}  # nothing was begun


def test_a_wrong_key_in_the_file_is_named(dlrun: Any, here: Path) -> None:
    (here / "my.toml").write_text('data.source = "iris"\n[optimizer]\nlerning_rate = 0.1\n')
    result = dlrun("train", "my.toml")
    assert result.status == 2
    assert "my.toml" in result.stderr
    assert "nearest known one is optimizer.learning_rate" in result.stderr


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody can write")
def test_an_unwritable_folder(dlrun: Any, here: Path) -> None:
    result = dlrun("train", "iris", "--out", "/proc/dlrun/run", "--set", "training.epochs=1")
    assert result.status in (2, 3)
    assert re.fullmatch(r"dlrun: /proc/dlrun[^\n]*: [^\n]+\n", result.stderr)


def test_overwriting_is_asked_for(dlrun: Any, here: Path) -> None:
    short = ("--out", "run", "--set", "training.epochs=1")
    assert dlrun("train", "iris", *short).status == 0
    before = (here / "run/summary.json").read_bytes()
    refused = dlrun("train", "wine", *short)
    assert refused.status == 2
    assert "--overwrite" in refused.stderr
    assert dlrun("train", "wine", *short, "--overwrite", "--set", "optimizer.nam=adam").status == 2
    assert (here / "run/summary.json").read_bytes() == before  # a slip of the keyboard costs no run
    assert dlrun("train", "wine", *short, "--overwrite").status == 0
    assert summary_of(here / "run")["name"] == "wine"


def test_runs_are_numbered(dlrun: Any, here: Path) -> None:
    for number in ("001", "002"):
        result = dlrun("train", "iris", "--set", "training.epochs=1")
        assert f"Files: runs/iris/train-{number}" in result.stdout


def test_bare_and_from_another_folder(dlrun: Any, here: Path) -> None:
    """dlrun.toml of the current folder is what runs when nothing is named; its data lies beside it."""
    (here / "data").mkdir()
    (here / "data/xy.csv").write_text("x,y\n" + "\n".join(f"{x},{2 * x}.5" for x in range(40)) + "\n")
    (here / "dlrun.toml").write_text(
        'name = "line"\ndata.source = "data/xy.csv"\ndata.target = "y"\ntraining.epochs = 1\n'
    )
    assert "Files: runs/line/train-001" in dlrun("train").stdout
    assert json.loads(dlrun("train", "../" + here.name + "/dlrun.toml", "--json").stdout)["task"] == "regression"


# -- a table of the user's own ---------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["mean", "drop"])
def test_texts_and_missing_values(missing: str, dlrun: Any, own_table: Path) -> None:
    changes = ("--set", f"data.missing={missing}", "--set", "training.epochs=2")
    result = dlrun("train", "--data", "own.csv", "--target", "y", "--out", "run", "--json", *changes)
    assert result.status == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["classes"] == ["=no", "yes"]
    # 12 rows, of which three miss one value each
    assert sum(summary["rows"].values()) == (12 if missing == "mean" else 9)
    tensors = load_file("run/model.safetensors")
    assert tensors["W1"].shape[0] == 5  # age, three cities, and the column with the odd name


@pytest.mark.parametrize("terminal", [False, True])
def test_control_characters_never_reach_the_terminal(
    terminal: bool, dlrun: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "x\x1b[2J\x07"
    rows = "\n".join(f"{n},{n % 7},{'no' if n % 2 else evil}" for n in range(20))
    (here / "own.csv").write_text(f"a,b{evil},t{evil}\n{rows}\n")
    if terminal:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
    changes = ("--set", "training.epochs=2")
    trained = dlrun("train", "--data", "own.csv", "--target", f"t{evil}", "--out", "run", *changes)
    evaluated = dlrun("evaluate", "run", "--data", "own.csv")
    failed = dlrun("train", "--data", "own.csv", "--target", "nothing")
    for result in (trained, evaluated, failed):
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", result.stdout) if terminal else result.stdout
        assert not CONTROLS.search(shown.replace("\r", "")), shown
        assert not CONTROLS.search(result.stderr)
        assert "\x1b[2J" not in result.stdout
    assert (trained.status, evaluated.status, failed.status) == (0, 0, 2)
    assert "\\u001b[2J\\u0007" in evaluated.stdout


# -- what is printed -------------------------------------------------------------------------------


def test_plain_output(dlrun: Any, here: Path) -> None:
    shown = dlrun("train", "iris", "--set", "training.epochs=2").stdout
    assert shown.isascii()
    assert "\x1b" not in shown
    first, header, *rows = shown.splitlines()
    assert (first, header.split()) == (
        "iris",
        ["part", "rows", "cost", "error", "wrong", "error", "of", "the", "majority"],
    )
    assert [row.split()[:2] for row in rows[:3]] == [["train", "90"], ["dev", "30"], ["test", "30"]]


def test_on_a_terminal(dlrun: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    short = ("train", "iris", "--set", "training.epochs=3")
    shown = dlrun(*short).stdout
    assert "╭" in shown
    assert "dev error" in shown  # the bar's note
    assert "3/3" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    assert dlrun(*short).stdout.isascii()


def test_json_is_one_object(dlrun: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    result = dlrun("train", "iris", "--json", "--out", "run", "--set", "training.epochs=1")
    found = json.loads(result.stdout)
    assert found.pop("folder") == "run"
    assert found == summary_of(here / "run")


def test_quiet(dlrun: Any, here: Path) -> None:
    result = dlrun("train", "iris", "--quiet", "--set", "training.epochs=1")
    assert result == type(result)(0, "", "")


# -- devices ---------------------------------------------------------------------------------------


def test_a_gpu_that_there_is_not(dlrun: Any, here: Path) -> None:
    if describe_devices()["gpu"]:
        pytest.skip("there is a usable GPU")
    result = dlrun("train", "iris", "--device", "gpu")
    assert (result.status, result.stdout) == (3, "")
    assert "--device gpu: " in result.stderr
    assert "--device cpu" in result.stderr
    assert not (here / "runs").exists()
    assert json.loads(dlrun("train", "iris", "--json", "--device", "auto").stdout)["device"] == "cpu"


@pytest.mark.gpu
def test_the_gpu_gives_what_the_cpu_gives(dlrun: Any, here: Path) -> None:
    found = {}
    for device in ("cpu", "gpu"):
        result = dlrun("train", "iris", "--json", "--device", device, "--set", "training.epochs=5")
        found[device] = json.loads(result.stdout)
        assert found[device]["device"] == device
    for part, figures in found["cpu"]["figures"].items():
        assert found["gpu"]["figures"][part]["cost"] == pytest.approx(figures["cost"], rel=1e-3)


# -- time ------------------------------------------------------------------------------------------


def test_iris_takes_less_than_a_second_and_a_half(cpu_seconds: Any, here: Path) -> None:
    assert cpu_seconds("train", "iris", "--device", "cpu", "--out", "run", "--overwrite") < 1.5


def test_small_tables_need_no_pandas(here: Path) -> None:
    script = (
        "import sys; from dlrun.cli.app import run; run(['train', 'iris', '--quiet', '--device', 'cpu']);"
        "print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"pandas", "scipy", "rich", "matplotlib", "pyarrow", "cupy"} & set(found.stdout.split())


def test_a_handful_of_parameters_is_shown(dlrun: Any, here: Path) -> None:
    """To six digits of what the model file holds."""
    from safetensors.numpy import load_file

    result = dlrun("train", "xor", "--out", "few")
    stored = load_file(here / "few" / "model.safetensors")
    weights = json.loads((here / "few" / "summary.json").read_text())["weights"]
    assert weights == {"W1": stored["W1"].tolist(), "b1": stored["b1"].tolist()}
    (first,), (second,) = weights["W1"]
    assert f"W = ({first:.6g}, {second:.6g}), b = {weights['b1'][0]:.6g}" in result.stdout
    assert dlrun("train", "xor_hidden", "--set", "model.hidden=[3]", "--out", "many").status == 0
    assert json.loads((here / "many" / "summary.json").read_text())["weights"] is None
