"""`dlrun compare`: verdicts on runs of the same splits, and refusals of all others."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

QUICK = ("--set", "training.epochs=4", "--quiet", "--device", "cpu")
LINEAR = ("--set", "model.hidden=[]", "--set", "name=linear")
NEAREST = ("--set", "model.kind=nearest_neighbor", "--set", "name=nearest")


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def errors_of(folder: Path) -> np.ndarray:
    return np.array([float(fold["error"]) for fold in rows_of(folder / "folds.csv")])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one network, a linear model and nearest neighbours, on the same splits; read them."""
    from dlrun.cli.app import run

    root = tmp_path_factory.mktemp("runs")

    def go(name: str, *arguments: str) -> None:
        assert run([*arguments, *QUICK, "--out", str(root / name)]) == 0

    for name, options in (("net", ()), ("linear", LINEAR), ("nearest", NEAREST)):
        go(name, "crossval", "wine", "--folds", "5", "--repeats", "2", *options)
        go(f"{name}-holdout", "holdout", "wine", *options)
    go("other", "crossval", "wine", "--folds", "4", *LINEAR)
    go("seed", "crossval", "wine", "--folds", "5", "--repeats", "2", "--seed", "7", *LINEAR)
    go("iris", "crossval", "iris", "--folds", "5", "--repeats", "2")
    go("sugar", "holdout", "diabetes")
    go("sugar-linear", "holdout", "diabetes", *LINEAR)
    go("drawn", "bootstrap", "wine", "--samples", "12")
    go("drawn-nearest", "bootstrap", "wine", "--samples", "12", *NEAREST)
    return root


def test_the_corrected_t_test_of_folds(runs: Path, dlrun: Any) -> None:
    result = dlrun("compare", str(runs / "net"), str(runs / "nearest"), "--json")
    assert result.status == 0
    (found,) = json.loads(result.stdout)["comparisons"]
    d = errors_of(runs / "net") - errors_of(runs / "nearest")
    ratio = np.mean([int(f["n_test"]) / int(f["n_train"]) for f in rows_of(runs / "net" / "folds.csv")])
    t = d.mean() / np.sqrt((1 / 10 + ratio) * d.var(ddof=1))
    assert found["difference"]["value"] == pytest.approx(d.mean())
    assert found["difference"]["statistic"] == pytest.approx(t)
    assert found["difference"]["p_value"] == pytest.approx(2 * stats.t.sf(abs(t), 9))
    assert found["difference"]["effect_size"] == pytest.approx(d.mean() / d.std(ddof=1))
    assert found["p_adjusted"] is None
    assert found["test_parts"] == 10


def test_the_verdict_is_a_sentence(runs: Path, dlrun: Any) -> None:
    shown = dlrun("compare", str(runs / "linear"), str(runs / "nearest"))
    assert shown.status == 0
    told = json.loads(dlrun("compare", str(runs / "linear"), str(runs / "nearest"), "--json").stdout)
    verdict = told["comparisons"][0]["verdict"]
    assert verdict in shown.stdout
    assert verdict.startswith(("linear errs", "No difference is shown between linear and nearest"))
    assert "corrected resampled t-test, 2 × 5 folds, stratified" in shown.stdout


def test_several_runs_are_corrected_after_holm(runs: Path, dlrun: Any) -> None:
    folders = [str(runs / name) for name in ("net", "linear", "nearest")]
    found = json.loads(dlrun("compare", *folders, "--json").stdout)["comparisons"]
    assert [(c["run_a"], c["run_b"]) for c in found] == [("wine", "linear"), ("wine", "nearest"), ("linear", "nearest")]
    p = np.array([c["difference"]["p_value"] for c in found])
    order, adjusted, greatest = np.argsort(p), np.empty(3), 0.0
    for rank, place in enumerate(order):
        greatest = max(greatest, min(1.0, (3 - rank) * p[place]))
        adjusted[place] = greatest
    np.testing.assert_allclose([c["p_adjusted"] for c in found], adjusted)
    assert "p after Holm" in dlrun("compare", *folders).stdout


def test_mcnemar_for_one_holdout(runs: Path, dlrun: Any) -> None:
    a, b = runs / "net-holdout", runs / "nearest-holdout"
    (found,) = json.loads(dlrun("compare", str(a), str(b), "--json").stdout)["comparisons"]
    wrong = [np.array([r["target"] != r["prediction"] for r in rows_of(each / "predictions.csv")]) for each in (a, b)]
    only_a, only_b = int((wrong[0] & ~wrong[1]).sum()), int((~wrong[0] & wrong[1]).sum())
    assert found["difference"]["test"] == "McNemar's exact test"
    assert found["difference"]["p_value"] == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)
    assert found["error_a"] == pytest.approx(wrong[0].mean())


def test_a_holdout_of_a_regression(runs: Path, dlrun: Any) -> None:
    (found,) = json.loads(dlrun("compare", str(runs / "sugar"), str(runs / "sugar-linear"), "--json").stdout)[
        "comparisons"
    ]
    answers = rows_of(runs / "sugar" / "predictions.csv")
    squares = [(float(a["target"]) - float(a["prediction"])) ** 2 for a in answers]
    assert found["error_a"] == pytest.approx(np.sqrt(np.mean(squares)))
    assert found["difference"]["test"] == "paired t-test over rows"


def test_bootstraps(runs: Path, dlrun: Any) -> None:
    """Out of bag, sample by sample; the fit on all rows is no test part."""
    result = dlrun("compare", str(runs / "drawn"), str(runs / "drawn-nearest"), "--json")
    (found,) = json.loads(result.stdout)["comparisons"]
    errors = [
        np.mean([float(r["oob_error"]) for r in rows_of(runs / name / "replicates.csv")])
        for name in ("drawn", "drawn-nearest")
    ]
    assert [found["error_a"], found["error_b"]] == pytest.approx(errors)
    assert found["test_parts"] == 12


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("linear", "other", "folds 5 and 4, repeats 2 and 1"),
        ("linear", "seed", "seed 0 and 7"),
        ("linear", "drawn", "command crossval and bootstrap"),
        ("linear", "iris", "different data"),
        ("linear", "sugar", "regression"),
        ("linear", "linear", "the same run"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs: Path, dlrun: Any, a: str, b: str, message: str) -> None:
    result = dlrun("compare", str(runs / a), str(runs / b))
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr


def test_the_refusal_says_how_to_get_the_same_splits(runs: Path, here: Path, dlrun: Any) -> None:
    import shlex

    said = dlrun("compare", str(runs / "net"), str(runs / "other")).stderr
    words = shlex.split(said.rpartition(": dlrun ")[2])
    assert dlrun(*words, "--out", "mended", *QUICK).status == 0
    assert dlrun("compare", str(runs / "net"), "mended").status == 0


def test_one_run_is_not_enough(runs: Path, dlrun: Any) -> None:
    result = dlrun("compare", str(runs / "net"))
    assert result.status == 2
    assert "two or more" in result.stderr


# -- damaged and foreign folders -------------------------------------------------------------------


@pytest.fixture
def copy(runs: Path, here: Path) -> Path:
    return Path(shutil.copytree(runs / "linear", here / "copy"))


def refused(dlrun: Any, runs: Path, folder: Path) -> str:
    result = dlrun("compare", str(runs / "net"), str(folder), "--no-verify")
    assert (result.status, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    assert "an error in dlrun itself" not in result.stderr
    return result.stderr


def test_a_folder_that_is_no_run(runs: Path, here: Path, dlrun: Any) -> None:
    assert "no such folder" in refused(dlrun, runs, here / "nowhere")
    (here / "empty").mkdir()
    assert "no finished run" in refused(dlrun, runs, here / "empty")
    (here / "file").write_text("x")
    assert "is a file" in refused(dlrun, runs, here / "file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "damaged"),
        ("[1]", "no JSON object"),
        ("{}", "no known command"),
        ('{"command": "train"}', "a run of `dlrun train`"),
        ('{"command": "crossval"}', "there is no 'task'"),
        ('{"command": "crossval", "task": "classification", "data_hash": 3}', "there is no 'data_hash'"),
        ('{"command": ["crossval"]}', "should be one of"),
        ('{"command": "crossval", "task": "x", "data_hash": "a", "split_hash": "b"}', "task is 'x'"),
    ],
)
def test_a_damaged_summary(runs: Path, copy: Path, dlrun: Any, content: str, message: str) -> None:
    (copy / "summary.json").write_text(content)
    assert message in refused(dlrun, runs, copy)


def test_predictions_that_are_missing_cut_or_changed(runs: Path, copy: Path, dlrun: Any) -> None:
    path = copy / "predictions.csv"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:-5]))
    assert "tells of" in refused(dlrun, runs, copy)
    path.write_text(whole[: len(whole) // 2])
    refused(dlrun, runs, copy)
    path.write_text("".join([lines[0], lines[-1], *lines[1:-1]]))
    assert "order" in refused(dlrun, runs, copy)
    path.write_text("a,b\n1,2\n")
    assert "no column" in refused(dlrun, runs, copy)
    path.unlink()
    assert "no such file" in refused(dlrun, runs, copy)


def test_other_rows_under_the_same_hash(runs: Path, copy: Path, dlrun: Any) -> None:
    lines = (copy / "predictions.csv").read_text().splitlines(keepends=True)
    (copy / "predictions.csv").write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    assert "one of them was changed" in refused(dlrun, runs, copy)


def test_a_run_in_which_all_diverged(runs: Path, here: Path, dlrun: Any) -> None:
    broken = ("--set", "optimizer.name='gradient_descent'", "--set", "optimizer.learning_rate=1e30")
    options = ("--folds", "5", "--repeats", "2", "--out", "broken", *broken, *QUICK)
    assert dlrun("crossval", "wine", *options).status == 1
    assert "diverged" in refused(dlrun, runs, here / "broken")
