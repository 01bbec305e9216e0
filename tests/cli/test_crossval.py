"""`dlrun crossval` and `dlrun holdout`: files, figures, and what they say when something is wrong."""

from __future__ import annotations

import csv
import json
import math
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

QUICK = ("--set", "training.epochs=3", "--set", "model.hidden=[8]")
DIVERGING = ("--set", "optimizer.name='gradient_descent'", "--set", "optimizer.learning_rate=1e30")


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folds_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wine, 2 × 5 folds, early stopping: read it, and leave it as it is."""
    from dlrun.cli.app import run

    folder = tmp_path_factory.mktemp("runs") / "wine"
    options = ("--set", "training.epochs=30", "--set", "training.early_stopping.patience=3", "--quiet")
    status = run(
        ["crossval", "wine", "--folds", "5", "--repeats", "2", "--out", str(folder), "--device", "cpu", *options]
    )
    assert status == 0
    return folder


# -- what a run leaves -----------------------------------------------------------------------------


def test_files_and_headers(folds_run: Path) -> None:
    left = {path.name for path in folds_run.iterdir()} - {".lock"}
    assert left == {"config.toml", "folds.csv", "predictions.csv", "summary.json"}
    header = (folds_run / "folds.csv").read_text().splitlines()[0]
    assert header.startswith("repeat,fold,n_train,n_test,cost,error,")
    header = (folds_run / "predictions.csv").read_text().splitlines()[0]
    assert header == "row,repeat,fold,target,prediction,p_1,p_2,p_3"


def test_every_row_is_tested_once_in_each_repeat(folds_run: Path) -> None:
    answers, folds = rows_of(folds_run / "predictions.csv"), rows_of(folds_run / "folds.csv")
    assert len(folds) == 10
    for repeat in ("0", "1"):
        assert sorted(int(a["row"]) for a in answers if a["repeat"] == repeat) == list(range(178))
    for fold in folds:
        mine = [a for a in answers if (a["repeat"], a["fold"]) == (fold["repeat"], fold["fold"])]
        assert len(mine) == int(fold["n_test"]) == 178 - int(fold["n_train"])
        assert float(fold["error"]) == np.mean([a["target"] != a["prediction"] for a in mine])
        assert 0 < int(fold["n_dev"]) < int(fold["n_train"])
        for a in mine:
            p = [float(a[f"p_{name}"]) for name in ("1", "2", "3")]
            assert sum(p) == pytest.approx(1)
            assert a["prediction"] == str(1 + int(np.argmax(p)))


def test_the_summary_agrees_with_the_files(folds_run: Path) -> None:
    s, folds = summary_of(folds_run), rows_of(folds_run / "folds.csv")
    errors = np.array([float(fold["error"]) for fold in folds])
    assert (s["command"], s["status"], s["folds"], s["confidence"]) == ("crossval", "done", 10, 0.95)
    assert s["error"]["mean"] == pytest.approx(errors.mean())
    assert s["error"]["std"] == pytest.approx(errors.std(ddof=1))
    answers = rows_of(folds_run / "predictions.csv")
    assert s["error"]["pooled"] == pytest.approx(np.mean([a["target"] != a["prediction"] for a in answers]))
    # the larger of Nadeau and Bengio's variance over the folds and that of the rows, in Wilson's interval
    ratio = np.mean([int(f["n_test"]) / int(f["n_train"]) for f in folds])
    p = s["error"]["pooled"]
    wrong: dict[str, int] = {}
    for a in answers:
        wrong[a["row"]] = wrong.get(a["row"], 0) + (a["target"] != a["prediction"])
    by_rows = max(p * (1 - p) / 178, sum((count - 2 * p) ** 2 for count in wrong.values()) / 356**2)
    by_folds = (1 / 10 + ratio) * errors.var(ddof=1)
    told = s["interval"].partition(" × ")[2].split()
    widened = float(told[0]) if told else 1.0
    assert 1 <= widened <= 2
    assert ("folds" in s["interval"]) == (by_folds > by_rows * widened)
    z, n = 1.959964, p * (1 - p) / max(by_rows * widened, by_folds)
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    assert s["error"]["ci_high"] == pytest.approx((centre + half) / (1 + z * z / n), rel=5e-3)
    assert s["error"]["ci_low"] == pytest.approx((centre - half) / (1 + z * z / n), rel=2e-2)
    assert s["baseline"]["kind"] == "majority"
    assert s["baseline"]["error"]["pooled"] == pytest.approx(1 - 71 / 178)  # the largest of the classes 59, 71, 48
    assert s["statuses"] == {"stopped": sum(f["status"] == "stopped" for f in folds)} | (
        {"done": done} if (done := sum(f["status"] == "done" for f in folds)) else {}
    )
    assert s["seconds"] >= s["training_seconds"] > 0
    assert s["parameters"] == 13 * 16 + 16 + 16 * 3 + 3


def test_the_config_runs_again_to_the_same_numbers(folds_run: Path, here: Path, dlrun: Any) -> None:
    comment = (folds_run / "config.toml").read_text().splitlines()[0]
    assert comment == "# dlrun crossval config.toml --folds 5 --repeats 2 --confidence 0.95"
    words = comment.removeprefix("# dlrun ").replace("config.toml", str(folds_run / "config.toml")).split()
    assert dlrun(*words, "--out", "again", "--quiet", "--jobs", "1").status == 0
    for name in ("folds.csv", "predictions.csv"):
        assert (here / "again" / name).read_bytes() == (folds_run / name).read_bytes()
    assert summary_of(here / "again")["split_hash"] == summary_of(folds_run)["split_hash"]


def test_the_same_table_on_a_terminal_a_pipe_and_json(here: Path, dlrun: Any) -> None:
    shown = dlrun("crossval", "iris", *QUICK, "--folds", "3", "--out", "a")
    assert shown.status == 0
    assert shown.stderr == ""
    for word in (
        "iris: 3 folds, stratified",
        "mean of the folds",
        "standard deviation",
        "pooled",
        "95 % interval",
        "majority",
    ):
        assert word in shown.stdout
    told = json.loads(dlrun("crossval", "iris", *QUICK, "--folds", "3", "--out", "b", "--json").stdout)
    s = summary_of(here / "a")
    assert told["error"] == s["error"]
    assert told["folder"] == "b"
    assert dlrun("crossval", "iris", *QUICK, "--folds", "3", "--out", "c", "--quiet").stdout == ""


def test_a_live_bar_on_a_terminal(here: Path) -> None:
    """Replica-epochs done over their total."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "dlrun", "crossval", "iris", "--folds", "3", "--set", "training.epochs=400"]
    process = subprocess.Popen(
        command, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}, cwd=here
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            seen += (part := os.read(master, 65536))
        except OSError:
            break
        if not part:
            break
    os.close(master)
    assert process.wait() == 0
    assert b"/1200" in seen
    assert "╭".encode() in seen


# -- kinds of data and models ----------------------------------------------------------------------


def test_regression(here: Path, dlrun: Any) -> None:
    result = dlrun("crossval", "diabetes", *QUICK, "--folds", "4", "--out", "s")
    assert result.status == 0
    assert "RMSE" in result.stdout
    answers = rows_of(here / "s" / "predictions.csv")
    assert set(answers[0]) == {"row", "repeat", "fold", "target", "prediction"}
    squares = [(float(a["target"]) - float(a["prediction"])) ** 2 for a in answers]
    s = summary_of(here / "s")
    assert s["error"]["pooled"] == pytest.approx(math.sqrt(np.mean(squares)))
    assert s["baseline"]["kind"] == "mean"
    assert s["baseline"]["error"]["pooled"] == pytest.approx(77, abs=1.5)  # the target's standard deviation


def test_leaving_one_out_of_a_balanced_set_the_majority_errs_always(here: Path, dlrun: Any) -> None:
    """F3."""
    (here / "e.toml").write_text(
        'name = "lot"\n[data]\nsource = "random_labels"\nrows = 60\n[model]\nkind = "majority"\n'
    )
    assert dlrun("crossval", "e.toml", "--leave-one-out", "--out", "a").status == 0
    s = summary_of(here / "a")
    assert (s["error"]["mean"], s["error"]["pooled"], s["folds"], s["stacks"]) == (1.0, 1.0, 60, 0)
    assert s["scheme"]["kind"] == "leave_one_out"


def test_groups_stay_together(here: Path, dlrun: Any) -> None:
    lines = [f"{(7 * i) % 13},{i // 4},{'ab'[i % 2]}" for i in range(80)]
    (here / "t.csv").write_text("x,who,y\n" + "\n".join(lines) + "\n")
    options = ("--data", "t.csv", "--target", "y", "--set", "data.group=who", *QUICK)
    assert dlrun("crossval", *options, "--folds", "5", "--out", "a").status == 0
    fold_of: dict[int, set[str]] = {}
    for a in rows_of(here / "a" / "predictions.csv"):
        fold_of.setdefault(int(a["row"]) // 4, set()).add(a["fold"])
    assert all(len(folds) == 1 for folds in fold_of.values())
    assert summary_of(here / "a")["scheme"]["groups"] == "who"


def test_rows_are_numbered_as_in_the_file_where_some_are_dropped(here: Path, dlrun: Any) -> None:
    lines = [f"{'' if i in (3, 10) else i % 7},{'ab'[i % 2]}" for i in range(40)]
    (here / "t.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    options = ("--data", "t.csv", "--target", "y", "--set", "data.missing=drop", *QUICK)
    assert dlrun("crossval", *options, "--folds", "4", "--out", "a").status == 0
    tested = sorted(int(a["row"]) for a in rows_of(here / "a" / "predictions.csv"))
    assert tested == [i for i in range(40) if i not in (3, 10)]


def test_a_class_with_fewer_rows_than_folds_is_warned_of(here: Path, dlrun: Any) -> None:
    lines = [f"{i},{'c' if i < 2 else 'ab'[i % 2]}" for i in range(40)]
    (here / "t.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    result = dlrun("crossval", "--data", "t.csv", "--target", "y", *QUICK, "--folds", "4", "--out", "a")
    assert result.status == 0
    assert "'c' has 2 rows, fewer than the 4 folds" in result.stdout
    assert len(summary_of(here / "a")["warnings"]) == 1


def test_holdout(here: Path, dlrun: Any) -> None:
    assert dlrun("holdout", "iris", *QUICK, "--out", "a").status == 0
    s, folds = summary_of(here / "a"), rows_of(here / "a" / "folds.csv")
    assert [(f["repeat"], f["fold"], f["n_train"], f["n_test"]) for f in folds] == [("0", "0", "100", "50")]
    assert s["error"]["std"] is None
    assert s["error"]["mean"] == s["error"]["pooled"] == float(folds[0]["error"])
    assert dlrun("holdout", "iris", *QUICK, "--repeats", "3", "--test-size", "0.2", "--out", "b").status == 0
    assert [f["n_test"] for f in rows_of(here / "b" / "folds.csv")] == ["30"] * 3
    assert summary_of(here / "b")["error"]["std"] is not None


def test_stratification_can_be_turned_off(here: Path, dlrun: Any) -> None:
    """Ten rows of each class of iris in a fifth of it; by lot almost never."""
    for option, equal in (("--stratify", True), ("--no-stratify", False)):
        assert dlrun("crossval", "iris", *QUICK, "--folds", "5", option, "--out", option[2:]).status == 0
        targets = [a["target"] for a in rows_of(here / option[2:] / "predictions.csv") if a["fold"] == "0"]
        assert (sorted(map(targets.count, set(targets))) == [10, 10, 10]) == equal
        assert f"stratify = {str(equal).lower()}" in (here / option[2:] / "config.toml").read_text()


# -- divergence ------------------------------------------------------------------------------------


def test_a_diverged_fold_is_a_row_with_its_reason(here: Path, dlrun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from dlrun.resampling.run import ResamplingRun

    original = ResamplingRun._replica

    def one_broken(self: Any, number: int, resample: Any) -> Any:
        replica = original(self, number, resample)
        return dataclasses.replace(replica, learning_rate=1e30) if number == 1 else replica

    monkeypatch.setattr(ResamplingRun, "_replica", one_broken)
    result = dlrun("crossval", "wine", *QUICK, "--folds", "4", "--out", "a")
    assert result.status == 0
    assert "1 of 4 folds diverged and is left out" in result.stdout
    folds = rows_of(here / "a" / "folds.csv")
    assert [f["status"] for f in folds] == ["done", "diverged", "done", "done"]
    assert (folds[1]["error"], folds[1]["cost"]) == ("", "")
    assert "cost" in folds[1]["reason"]
    assert "epoch 1" in folds[1]["reason"]
    answers = rows_of(here / "a" / "predictions.csv")
    assert {a["prediction"] for a in answers if a["fold"] == "1"} == {""}
    assert all(a["p_1"] for a in answers if a["fold"] != "1")


def test_when_every_fold_diverges_the_answer_is_no(here: Path, dlrun: Any) -> None:
    result = dlrun("crossval", "wine", *QUICK, *DIVERGING, "--folds", "3", "--out", "a")
    assert result.status == 1
    assert "every model diverged" in result.stderr
    assert "epoch 1" in result.stderr
    s = summary_of(here / "a")
    assert (s["status"], s["error"], s["statuses"]) == ("diverged", None, {"diverged": 3})
    told = dlrun("crossval", "wine", *QUICK, *DIVERGING, "--folds", "3", "--out", "b", "--json")
    assert json.loads(told.stdout)["status"] == "diverged"


# -- requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", "151"], "151"),
        (["--folds", "1"], "folds: 1"),
        (["--folds", "0"], "folds: 0"),
        (["--repeats", "0"], "repeats: 0"),
        (["--leave-one-out", "--folds", "3"], "--leave-one-out"),
        (["--leave-one-out", "--stratify"], "--leave-one-out"),
        (["--confidence", "1"], "confidence: 1"),
        (["--set", "training.init_from=elsewhere"], "training.init_from"),
        (["--set", "model.hiden=[3]"], "hidden"),
    ],
)
def test_wrong_requests_leave_nothing(here: Path, dlrun: Any, arguments: list[str], message: str) -> None:
    result = dlrun("crossval", "iris", *arguments)
    assert result.status == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(here.iterdir())


@pytest.mark.parametrize("size", ["0", "1", "1.5", "0.001", "nan"])
def test_wrong_test_sizes(here: Path, dlrun: Any, size: str) -> None:
    result = dlrun("holdout", "iris", "--test-size", size)
    assert result.status == 2
    assert "test size" in result.stderr
    assert not list(here.iterdir())


def test_a_wrong_request_costs_no_earlier_run(here: Path, dlrun: Any) -> None:
    assert dlrun("crossval", "iris", *QUICK, "--folds", "3", "--out", "a").status == 0
    before = (here / "a" / "summary.json").read_bytes()
    assert dlrun("crossval", "iris", "--folds", "1000", "--out", "a", "--overwrite").status == 2
    assert dlrun("crossval", "iris", "--folds", "3", "--out", "a").status == 2
    assert (here / "a" / "summary.json").read_bytes() == before


# -- plan ------------------------------------------------------------------------------------------


def test_the_plan_runs_nothing(here: Path, dlrun: Any) -> None:
    shown = dlrun("crossval", "breast_cancer", "--folds", "10", "--plan")
    assert shown.status == 0
    assert not list(here.iterdir())
    for word in ("models to train", "parameters", "stacks", "time, about", "Nothing was run"):
        assert word in shown.stdout
    plan = json.loads(dlrun("crossval", "breast_cancer", "--repeats", "10", "--plan", "--json").stdout)["plan"]
    assert plan["replicas"] == 100
    assert plan["parameters"] == 30 * 32 + 32 + 32 + 1
    # Adam keeps two numbers for each of θ and its gradient; a batch of 32 rows of 30 inputs
    assert plan["replica_bytes"] > 4 * (4 * plan["parameters"] + 32 * 30)
    assert plan["stacks"] * plan["replicas_per_stack"] >= 100
    assert plan["data_bytes"] == 4 * 570 * 33
    assert plan["seconds"] > 0
    assert not list(here.iterdir())


def test_a_plan_of_a_baseline(here: Path, dlrun: Any) -> None:
    plan = json.loads(dlrun("crossval", "iris", "--set", "model.kind=majority", "--plan", "--json").stdout)["plan"]
    assert (plan["parameters"], plan["seconds"]) == (0, None)


# -- processes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_the_processes_too(here: Path, number: int, status: int, word: str) -> None:
    long = ("--set", "training.epochs=1000000", "--set", "training.early_stopping=")
    command = [sys.executable, "-m", "dlrun", "crossval", "wine", "--out", "a", "--jobs", "2", *long]
    command += ["--engine", "numpy"]  # compiled steps need no processes
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=here, start_new_session=True) as process:
        workers: set[str] = set()
        for _ in range(600):
            time.sleep(0.05)
            workers = children_of(process.pid)
            if len(workers) == 2 or process.poll() is not None:
                break
        os.killpg(process.pid, number)  # as Ctrl-C in a terminal reaches them all
        _, said = process.communicate(timeout=30)
    assert len(workers) == 2, said
    assert process.returncode == status
    assert said.splitlines()[-1] == f"dlrun: {word}"
    assert "Traceback" not in said
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert not (here / "a" / "summary.json").exists()


def children_of(process: int) -> set[str]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return set(path.read_text().split()) if path.exists() else set()


def test_each_column_has_its_own_interval(here: Path, dlrun: Any) -> None:
    """All folds of iris have a third of each class, so that the majority errs alike in all; so do the holdouts."""
    result = dlrun("crossval", "iris", "--folds", "5", "--set", "training.epochs=2", "--out", "run")
    told = json.loads((here / "run" / "summary.json").read_text())
    assert told["baseline"]["error"]["std"] == 0
    assert told["baseline"]["interval"] == "Wilson, variance of the tested rows"
    both = f"Wilson, variance of the folds, s²/k; of the majority: {told['baseline']['interval']}."
    assert f"Interval: {both}" in result.stdout
    again = dlrun("holdout", "iris", "--repeats", "3", "--set", "training.epochs=2")
    assert "mean of the repeats" in again.stdout
    assert "Interval: Wilson, variance of the " in again.stdout
    assert dlrun("report", "run", "--out", "page.html").status == 0
    assert f"; of the majority: {told['baseline']['interval']}." in (here / "page.html").read_text()


def test_one_of_a_kind_is_no_plural(dlrun: Any) -> None:
    quick = ("--set", "training.epochs=1")
    assert "2 models of 1 parameter in 1 stack" in dlrun("crossval", "quadratic", "--leave-one-out", *quick).stdout
    assert "iris: 1 bootstrap sample," in dlrun("bootstrap", "iris", "--samples", "1", *quick).stdout
    trained = dlrun("train", "quadratic", *quick).stdout
    assert "1 epoch (1 update)." in trained
    assert "1 parameter," in trained
    assert "after 1 epoch, on 2 rows" in dlrun("gradcheck", "quadratic", "--after-epochs", "1").stdout
