"""`dlrun tune` through whole command lines."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dlrun.tuning.journal import read_journal

SMALL = """
name = "small"
[data]
source = "iris"
[model]
hidden = [5]
[training]
epochs = 4
batch_size = 16
"""
SPACE = """
[tune.space]
"optimizer.learning_rate" = {log_uniform = [1e-3, 1e-1]}
"model.hidden" = {choice = [[4], [6, 3]]}
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(SMALL + SPACE)
    Path("bare.toml").write_text(SMALL)


def rows(file: str) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def summary(folder: str = "out") -> dict[str, Any]:
    found = json.loads(Path(folder, "summary.json").read_text())
    assert isinstance(found, dict)
    return found


def test_what_a_search_leaves(dlrun: Any) -> None:
    result = dlrun("tune", "small.toml", "--trials", "6", "--out", "out")
    assert result.status == 0, result.stderr
    header = Path("out/trials.csv").read_text().splitlines()[0]
    assert header == "trial,status,score,epochs,optimizer.learning_rate,model.hidden,cost,round,reason"
    table = rows("out/trials.csv")
    assert [row["trial"] for row in table] == [str(t) for t in range(6)]
    assert {row["model.hidden"] for row in table} == {"[4]", "[6, 3]"}
    found = summary()
    assert found["command"] == "tune"
    assert found["counts"] == {"done": 6}
    best = min(table, key=lambda row: (float(row["score"]), float(row["cost"])))
    assert (found["best"]["trial"], found["best"]["score"]) == (int(best["trial"]), float(best["score"]))
    assert "the best of 6 trials (random)" in result.stdout
    assert f"trial {best['trial']}" in result.stdout
    assert "chosen among 6 trials" in result.stdout


def test_train_runs_the_best_as_it_is(dlrun: Any) -> None:
    dlrun("tune", "small.toml", "--trials", "6", "--out", "out")
    result = dlrun("train", "out/best.toml", "--out", "best", "--json")
    assert result.status == 0, result.stderr
    trained, found = json.loads(result.stdout), summary()
    assert trained["figures"]["dev"]["error"] == found["best"]["score"]
    assert trained["figures"]["dev"]["cost"] == pytest.approx(found["best"]["cost"], rel=1e-6)
    assert trained["figures"]["test"]["error"] == found["test"]["error"]
    assert trained["parameters"] == found["parameters"]


def test_json_is_one_object_and_the_summary(dlrun: Any) -> None:
    result = dlrun("tune", "small.toml", "--trials", "4", "--folds", "3", "--out", "out", "--json")
    shown = json.loads(result.stdout)
    assert shown.pop("folder") == "out"
    assert shown == summary()
    assert shown["scored_by"] == {"scheme": "k_fold", "folds": 3, "rows": 120}
    assert shown["optimism"]["corrected"] >= shown["best"]["score"]
    assert shown["stacks"]["replicas"] == 12


def test_quiet_prints_nothing(dlrun: Any) -> None:
    assert dlrun("tune", "bare.toml", "--trials", "2", "--out", "out", "--quiet") == type(dlrun("info", "--quiet"))(
        0, "", ""
    )


def test_the_default_space_is_printed_and_recorded(dlrun: Any) -> None:
    result = dlrun("tune", "bare.toml", "--trials", "2", "--out", "out")
    assert "no tune.space; this one is searched:\n" in result.stderr
    assert '"optimizer.learning_rate" = {log_uniform = [0.0001, 0.1]}' in result.stderr
    assert "[tune.space]" in Path("out/config.toml").read_text()
    assert summary()["space_is_default"] is True


def test_a_bad_space_names_its_key(dlrun: Any) -> None:
    key = 'tune.space."optimizer.learning_rate"'
    result = dlrun("tune", "small.toml", "--set", f"{key}={{log_uniform = [0, 1]}}")
    assert result.status == 2
    assert "optimizer.learning_rate" in result.stderr
    assert "> 0" in result.stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sampler", "sobel"], "--sampler sobel: there is no such sampler; should be one of random, grid"),
        (["--rounds", "2"], "--rounds 2: goes with --sampler coarse-to-fine, not random"),
        (["--folds", "200"], "200 parts cannot be made of 120 rows"),
        (["--trials", "0"], "--trials"),
        (["--set", "training.init_from=elsewhere"], "trials start from initial weights of their own"),
    ],
)
def test_wrong_requests(dlrun: Any, arguments: list[str], message: str) -> None:
    result = dlrun("tune", "small.toml", *arguments, "--out", "out")
    assert result.status == 2
    assert message in result.stderr
    assert not Path("out").exists()


def test_when_all_trials_diverge_the_answer_is_no(dlrun: Any) -> None:
    rates = 'tune.space."optimizer.learning_rate"={choice=[1e30, 1e35]}'
    diverging = ["--set", "optimizer.name=gradient_descent", "--set", rates]
    result = dlrun("tune", "small.toml", "--trials", "3", "--out", "out", *diverging)
    assert result.status == 1
    assert "none of 3 trials gave a result; the first: " in result.stderr
    assert {row["status"] for row in rows("out/trials.csv")} == {"diverged"}
    assert all("epoch 1" in row["reason"] and not row["score"] for row in rows("out/trials.csv"))
    assert summary()["best"] is None
    assert not Path("out/best.toml").exists()


def test_coarse_to_fine_records_its_boxes(dlrun: Any) -> None:
    options = ["--sampler", "coarse-to-fine", "--rounds", "2", "--trials", "8"]
    result = dlrun("tune", "small.toml", *options, "--out", "out")
    assert "around the best 3 of 4 trials" in result.stdout
    boxes = rows("out/rounds.csv")
    assert [(row["round"], row["key"]) for row in boxes] == [
        (number, key) for number in "01" for key in ("optimizer.learning_rate", "model.hidden")
    ]
    low, high = json.loads(boxes[2]["box"])
    inner = [row for row in rows("out/trials.csv") if row["round"] == "1"]
    assert len(inner) == 4
    assert all(low <= float(row["optimizer.learning_rate"]) <= high for row in inner)


def test_halving_tells_what_it_saved(dlrun: Any) -> None:
    result = dlrun("tune", "small.toml", "--trials", "9", "--halving", "--set", "training.epochs=9", "--out", "out")
    halving = summary()["halving"]
    assert (halving["trained"], halving["planned"], halving["pruned"]) == (21, 81, 8)
    assert "74 % were saved by pruning 8 trials" in result.stdout


def test_nesting_estimates_the_tuned_model(dlrun: Any) -> None:
    result = dlrun("tune", "small.toml", "--trials", "4", "--outer-folds", "3", "--out", "out")
    nested, folds = summary()["nested"], rows("out/outer.csv")
    errors = [float(row["error"]) for row in folds]
    assert nested["error"]["mean"] == pytest.approx(sum(errors) / 3)
    assert nested["optimism"] == pytest.approx(sum(errors) / 3 - sum(float(row["inner_score"]) for row in folds) / 3)
    assert "Nested: a model tuned like this errs" in result.stdout


# -- resuming ----------------------------------------------------------------------------------

SIZES = 'tune.space."training.batch_size"={int_uniform=[8, 40]}'  # a stack for each
MANY = ["--device", "cpu", "--trials", "40", "--folds", "4", "--set", "training.epochs=40", "--set", SIZES]


def resumed_once_free(dlrun: Any) -> Any:
    """Processes that a killed one had started notice it after their epoch, and hold the folder until then."""
    for _ in range(100):
        result = dlrun("tune", "--resume", "--out", "out", "--device", "cpu")
        if "another dlrun process" not in result.stderr:
            return result
        time.sleep(0.05)
    return result


def test_a_killed_search_goes_on_as_if_it_had_not_been(dlrun: Any) -> None:
    assert dlrun("tune", "small.toml", *MANY, "--out", "whole").status == 0
    process = subprocess.Popen([sys.executable, "-m", "dlrun", "tune", "small.toml", *MANY, "--out", "out", "--quiet"])
    journal = Path("out/journal.jsonl")
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 5):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len([each for each in read_journal(journal)[0] if each["kind"] == "trial"])
    assert not Path("out/summary.json").exists()
    result = resumed_once_free(dlrun)
    assert result.status == 0, result.stderr
    assert Path("out/trials.csv").read_bytes() == Path("whole/trials.csv").read_bytes()
    assert Path("out/best.toml").read_bytes() == Path("whole/best.toml").read_bytes()
    numbers = [each["number"] for each in read_journal(journal)[0] if each["kind"] == "trial"]
    assert sorted(numbers) == list(range(40))
    assert summary()["resumed"] == before
    assert 0 < before < 40


def test_a_random_search_can_be_extended(dlrun: Any) -> None:
    dlrun("tune", "small.toml", "--trials", "3", "--out", "out", "--device", "cpu")
    assert dlrun("tune", "--resume", "--out", "out", "--trials", "5", "--device", "cpu").status == 0
    dlrun("tune", "small.toml", "--trials", "5", "--out", "whole", "--device", "cpu")
    assert Path("out/trials.csv").read_bytes() == Path("whole/trials.csv").read_bytes()
    result = dlrun("tune", "--resume", "--out", "out", "--trials", "4")
    assert result.status == 2
    assert "the search to resume has 5" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "nowhere"], "nowhere: no run to resume"),
        ([], "--resume needs --out DIR"),
        (["--out", "out", "--overwrite"], "contradict each other"),
        (["--out", "out", "--sampler", "grid"], "--sampler grid: the search to resume has random"),
        (["--out", "out", "--seed", "5"], "the one given differs"),
        (["bare.toml", "--out", "out"], "the one given differs"),
        (["--out", "model"], "holds a run of `dlrun train`"),
    ],
)
def test_what_cannot_be_resumed(dlrun: Any, arguments: list[str], message: str) -> None:
    dlrun("tune", "small.toml", "--trials", "2", "--out", "out")
    if "model" in arguments:
        dlrun("train", "small.toml", "--out", "model")
    result = dlrun("tune", "--resume", *arguments)
    assert result.status == 2
    assert message in result.stderr


def test_changed_data_is_noticed(dlrun: Any) -> None:
    lines = ["a,b,y", *(f"{i},{i * i % 7},{'yes' if i % 3 else 'no'}" for i in range(40))]
    Path("table.csv").write_text("\n".join(lines) + "\n")
    options = ["--data", "table.csv", "--target", "y", "--set", "training.epochs=2", "--trials", "2", "--out", "out"]
    result = dlrun("tune", *options)
    assert result.status == 0, result.stderr
    Path("table.csv").write_text("\n".join(lines[:-1]) + "\n")
    result = dlrun("tune", "--resume", "--out", "out")
    assert result.status == 2
    assert "the data has changed since the search began" in result.stderr


def test_a_search_that_goes_on_elsewhere_says_so(dlrun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dlrun("tune", "small.toml", "--trials", "2", "--out", "out").status == 0
    monkeypatch.setattr("dlrun.__version__", "99.0")
    again = dlrun("tune", "--trials", "4", "--resume", "--out", "out")
    assert again.status == 0, again.stderr
    assert "goes on with dlrun 99.0" in again.stderr
    assert "goes on with" not in dlrun("tune", "--trials", "5", "--resume", "--out", "out").stderr


def test_an_interrupted_search_says_how_to_go_on(dlrun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlrun.tuning.study import Study

    original = Study._tell

    def interrupted(self: Study, trials: Any) -> Any:
        yield from original(self, trials)
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "_tell", interrupted)
    result = dlrun("tune", "small.toml", "--trials", "4", "--jobs", "1", "--out", "out", "--quiet")  # also then
    assert result.status == 130
    assert "go on with: dlrun tune --resume --out out" in result.stderr


def test_warnings_name_classes_and_keys_as_they_are(dlrun: Any, here: Path) -> None:
    lines = ["a,b,y", *(f"{i},{i * i % 7},{'rotor' if i > 56 else 'yes' if i % 3 else 'no'}" for i in range(60))]
    Path("table.csv").write_text("\n".join(lines) + "\n")
    result = dlrun(
        "tune", "--data", "table.csv", "--target", "y", "--folds", "5", "--trials", "2", "--set", "training.epochs=1"
    )
    assert result.status == 0, result.stderr
    assert "Warning: class or bin 'rotor' has" in result.stdout


def test_one_trial_is_no_plural(dlrun: Any, here: Path) -> None:
    result = dlrun("tune", "small.toml", "--trials", "1", "--out", "out")
    assert result.status == 0, result.stderr
    assert "the best of 1 trial (random)" in result.stdout
    assert "chosen among 1 trial on" in result.stdout
    assert "1 model in 1 stack," in result.stdout
    assert (here / "out" / "best.toml").read_text().startswith("# The best of 1 trial of")
