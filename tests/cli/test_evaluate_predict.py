"""`dlrun evaluate` and `dlrun predict`: figures and answers of a run's model."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHORT = ("--set", "training.epochs=5", "--quiet")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def iris_table() -> str:
    """All rows of iris as scikit-learn has them, under the names that the packaged set has."""
    from sklearn.datasets import load_iris

    features, species = load_iris(return_X_y=True)
    names = ("setosa", "versicolor", "virginica")
    lines = [",".join(map(repr, row)) + f",{names[code]}" for row, code in zip(features.tolist(), species, strict=True)]
    return "\n".join(["sepal_length,sepal_width,petal_length,petal_width,species", *lines]) + "\n"


@pytest.fixture
def iris_csv(here: Path) -> Path:
    (here / "iris.csv").write_text(iris_table())
    return here / "iris.csv"


# -- evaluate --------------------------------------------------------------------------------------


def test_evaluating_again_gives_the_summary_s_figures(dlrun: Any, iris_run: Path) -> None:
    result = dlrun("evaluate", str(iris_run), "--json")
    assert (result.status, result.stderr) == (0, "")
    found, summary = json.loads(result.stdout), json.loads((iris_run / "summary.json").read_text())
    assert found["figures"] == summary["figures"]
    assert found["baseline"]["figures"] == summary["baseline"]["figures"]
    assert (found["data_hash"], found["data_changed"]) == (summary["data_hash"], False)


@pytest.mark.parametrize(
    ("experiment", "changes"),
    [
        ("diabetes", []),
        ("breast_cancer", ["regularization.l1=0.1"]),
        ("iris", ["model.batch_norm=true", "model.keep_prob=0.8", "training.early_stopping.patience=2"]),
        ("wine", ["model.kind=nearest_neighbor"]),
        ("gaussians_2d", ['model.feature_map={name="rbf",count=5,gamma=0.5}']),
    ],
)
def test_other_models_evaluate_as_they_were_trained(
    experiment: str, changes: list[str], dlrun: Any, here: Path
) -> None:
    overrides = [word for change in changes for word in ("--set", change)]
    trained = dlrun("train", experiment, "--out", "run", "--json", *SHORT, *overrides)
    assert trained.status == 0, trained.stderr
    evaluated = dlrun("evaluate", "run", "--json")
    assert evaluated.stderr == ""
    assert json.loads(evaluated.stdout)["figures"] == json.loads(trained.stdout)["figures"]


def test_on_another_table(dlrun: Any, iris_run: Path, iris_csv: Path) -> None:
    from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

    result = dlrun("evaluate", str(iris_run), "--data", "iris.csv", "--json")
    assert result.status == 0, result.stderr
    found = json.loads(result.stdout)
    rows = read(dlrun("predict", str(iris_run), "--data", "iris.csv").stdout)
    target, predicted = [row["target"] for row in rows], [row["prediction"] for row in rows]
    probabilities = np.array([[float(row[f"p_{name}"]) for name in found["classes"]] for row in rows])
    report = found["by_class"]["table"]
    assert report["confusion"] == confusion_matrix(target, predicted).tolist()
    precision, recall, _, support = precision_recall_fscore_support(target, predicted)
    assert [row["precision"] for row in report["per_class"]] == pytest.approx(precision.tolist())
    assert [row["recall"] for row in report["per_class"]] == pytest.approx(recall.tolist())
    assert [row["rows"] for row in report["per_class"]] == support.tolist()
    figures = found["figures"]["table"]
    assert figures["rows"] == 150
    assert figures["error"] == pytest.approx(np.mean(np.array(target) != np.array(predicted)))
    assert figures["cost"] == pytest.approx(log_loss(target, probabilities), rel=1e-6)
    assert found["baseline"]["figures"]["table"]["error"] == pytest.approx(2 / 3)
    summary = json.loads((iris_run / "summary.json").read_text())["figures"].values()
    assert round(figures["error"] * 150) == sum(round(each["error"] * each["rows"]) for each in summary)


def test_the_tables_for_a_person(dlrun: Any, iris_run: Path) -> None:
    shown = dlrun("evaluate", str(iris_run)).stdout
    assert "Classes, test part" in shown
    assert "Confusion matrix, test part" in shown
    assert "class \\ called" in shown
    assert shown.isascii()


def test_regression_on_another_table(dlrun: Any, here: Path) -> None:
    x = np.arange(40.0)
    (here / "a.csv").write_text("x,y\n" + "".join(f"{v},{3 * v + 1}\n" for v in x))
    (here / "b.csv").write_text("y,x\n10.0,1.0\n20.0,30.0\n")  # in another order of columns
    trained = dlrun("train", "--data", "a.csv", "--target", "y", "--out", "run", "--json", *SHORT)
    mean = json.loads(trained.stdout)["baseline"]["answer"][0]
    predicted = [float(row["prediction"]) for row in read(dlrun("predict", "run", "--data", "b.csv").stdout)]
    found = json.loads(dlrun("evaluate", "run", "--data", "b.csv", "--json").stdout)
    error = np.sqrt(np.mean((np.array(predicted) - [10, 20]) ** 2))
    assert found["figures"]["table"] == {"rows": 2, "cost": pytest.approx(error**2), "error": pytest.approx(error)}
    assert found["baseline"]["kind"] == "mean"
    assert found["baseline"]["figures"]["table"]["error"] == pytest.approx(
        np.sqrt(((mean - 10) ** 2 + (mean - 20) ** 2) / 2)
    )
    assert found["by_class"] is None
    assert "RMSE" in dlrun("evaluate", "run", "--data", "b.csv").stdout


def test_changed_data_is_said(dlrun: Any, iris_csv: Path) -> None:
    trained = dlrun("train", "--data", "iris.csv", "--target", "species", "--out", "run", *SHORT)
    assert trained.status == 0, trained.stderr
    iris_csv.write_text(iris_csv.read_text().replace("5.1,3.5,1.4,0.2", "5.1,3.5,1.4,0.3", 1))
    result = dlrun("evaluate", "run")
    assert result.status == 0
    assert "warning: the data" in result.stderr
    assert "hash differs" in result.stdout
    assert json.loads(dlrun("evaluate", "run", "--json").stdout)["data_changed"] is True
    iris_csv.write_text(iris_csv.read_text().replace("setosa", "sitosa"))
    gone = dlrun("evaluate", "run")
    assert gone.status == 2
    assert "in the target 'species' the class 'setosa' is gone and the class 'sitosa' is new;" in gone.stderr
    assert "dlrun evaluate run --data FILE" in gone.stderr
    iris_csv.unlink()
    assert dlrun("evaluate", "run").status == 2


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("a,b,y", "{i},{c},{y}", ""),
        ("a,y", "{i},{y}", "the column 'b' is gone;"),
        ("a,b,c,y", "{i},{c},3,{y}", "the column 'c' is new;"),
        ("a,d,y", "{i},{c},{y}", "the column 'b' is gone and the column 'd' is new;"),
        ("b,a,y", "{c},{i},{y}", "its columns are in another order;"),
        ("a,b,y", "{i},{i},{y}", "the column 'b' was categorical and is numeric;"),
        ("a,b,y", "{i},{c}l,{y}", "in the column 'b' the category 'big' is gone and the category 'bigl' is new;"),
        ("a,b,y", "{i},{c},{i}.5", "the target 'y' made it a classification, and makes it a regression;"),
    ],
)
def test_what_changed_in_the_data_is_named(header: str, row: str, said: str, dlrun: Any, here: Path) -> None:
    def write(header: str, row: str, first: int = 0) -> None:
        rows = [row.format(i=i, c=("big", "small")[i % 3 > 0], y=i % 2) for i in range(first, 40)]
        (here / "t.csv").write_text("\n".join([header, *rows]) + "\n")

    write("a,b,y", "{i},{c},{y}")
    assert dlrun("train", "--data", "t.csv", "--target", "y", "--out", "run", *SHORT).status == 0
    write(header, row, first=1)
    result = dlrun("evaluate", "run")
    assert result.status == (2 if said else 0), result.stderr
    assert said in result.stderr
    assert "is no longer what this model was trained on" in result.stderr


def test_a_changed_model_is_said(dlrun: Any, here: Path, iris_run: Path) -> None:
    shutil.copytree(iris_run, here / "run")
    other = dlrun("train", "iris", "--out", "other", "--seed", "3", "--set", "training.epochs=1", "--quiet")
    assert other.status == 0
    shutil.copy("other/model.safetensors", "run/model.safetensors")
    assert "model.safetensors: has changed" in dlrun("evaluate", "run").stderr
    assert "and the summary says" in dlrun("evaluate", "run", "--no-verify").stderr
    assert dlrun("train", "wine", "--out", "wine", *SHORT).status == 0
    shutil.copy("wine/model.safetensors", "run/model.safetensors")
    result = dlrun("evaluate", "run", "--no-verify")
    assert result.status == 2
    assert "not of the same run" in result.stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a,b\n1,2\n", "lacks the columns 'sepal_length'"),
        ("sepal_length,sepal_width,petal_length,petal_width,species\n", "no rows"),
        ("sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n", "no column 'species'"),
        ("sepal_length,sepal_width,petal_length,petal_width,species\n1,2,3,4,rosa\n", "the class 'rosa' was not there"),
        ("sepal_length,sepal_width,petal_length,petal_width,species\n1,,3,4,setosa\n", "the value is missing"),
        ("sepal_length,sepal_width,petal_length,petal_width,species\n1,x,3,4,setosa\n", "'x' where the model"),
        ("sepal_length,sepal_width,petal_length,petal_width,species\n1,1e90,3,4,setosa\n", "not a finite number"),
    ],
)
def test_tables_that_do_not_fit(table: str, message: str, dlrun: Any, here: Path, iris_run: Path) -> None:
    (here / "new.csv").write_text(table)
    result = dlrun("evaluate", str(iris_run), "--data", "new.csv")
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr
    assert "new.csv" in result.stderr


@pytest.mark.parametrize(
    ("baseline", "message"),
    [(None, "lacks the answer of the baseline"), ({"answer": [0.5, 0.5]}, "baseline is of other classes")],
)
def test_a_damaged_summary(baseline: Any, message: str, dlrun: Any, here: Path, iris_run: Path) -> None:
    shutil.copytree(iris_run, here / "run")
    summary = json.loads((here / "run/summary.json").read_text())
    (here / "run/summary.json").write_text(json.dumps({**summary, "baseline": baseline}))
    result = dlrun("evaluate", "run")
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_no_run(command: str, dlrun: Any, here: Path, iris_run: Path) -> None:
    def failed(folder: str) -> str:
        result = dlrun(command, folder, "--data", "iris")
        assert (result.status, result.stdout) == (2, "")
        return str(result.stderr)

    assert "there is no such folder" in failed("nowhere")
    (here / "empty").mkdir()
    assert "no finished run: there is no summary.json" in failed("empty")
    (here / "empty/summary.json").write_text("{")
    assert "summary.json: damaged" in failed("empty")
    (here / "empty/summary.json").write_text('{"command": "crossval"}')
    assert "a run of `dlrun crossval`, which leaves no model" in failed("empty")
    (here / "empty/summary.json").write_text('{"command": "train"}')
    assert "there is no such model" in failed("empty")
    (here / "empty/model.safetensors").write_bytes(b"not a model")
    assert "not a model file" in failed("empty")


# -- predict ---------------------------------------------------------------------------------------


def test_predictions(dlrun: Any, here: Path, iris_run: Path) -> None:
    (here / "new.csv").write_text(
        "petal_width,sepal_length,sepal_width,petal_length\n0.2,5.1,3.5,1.4\n2.3,6.9,3.1,5.1\n1.4,5.2,2.7,3.9\n"
    )
    result = dlrun("predict", str(iris_run), "--data", "new.csv")
    assert (result.status, result.stderr) == (0, "")
    rows = read(result.stdout)
    columns = ["row", "repeat", "fold", "target", "prediction", "p_setosa", "p_versicolor", "p_virginica"]
    assert list(rows[0]) == columns
    assert [row["row"] for row in rows] == ["0", "1", "2"]
    assert {row["target"] + row["fold"] + row["repeat"] for row in rows} == {""}
    assert [row["prediction"] for row in rows] == ["setosa", "virginica", "versicolor"]
    for row in rows:
        shares = {name: float(row[f"p_{name}"]) for name in ("setosa", "versicolor", "virginica")}
        assert sum(shares.values()) == pytest.approx(1)
        assert max(shares, key=shares.__getitem__) == row["prediction"]


def test_a_file_of_predictions(dlrun: Any, here: Path, iris_run: Path, iris_csv: Path) -> None:
    printed = dlrun("predict", str(iris_run), "--data", "iris.csv").stdout
    result = dlrun("predict", str(iris_run), "--data", "iris.csv", "--out", "p.csv")
    assert (result.status, result.stdout, result.stderr) == (0, "", "150 predictions in p.csv\n")
    assert (here / "p.csv").read_text() == printed
    refused = dlrun("predict", str(iris_run), "--data", "iris.csv", "--out", "iris.csv")
    assert refused.status == 2
    assert "--overwrite" in refused.stderr
    assert iris_csv.read_text() == iris_table()
    again = dlrun("predict", str(iris_run), "--data", "iris.csv", "--out", "p.csv", "--overwrite", "--quiet")
    assert (again.status, again.stdout, again.stderr) == (0, "", "")
    assert dlrun("predict", str(iris_run), "--data", "iris.csv", "--out", ".").status == 2
    found = json.loads(dlrun("predict", str(iris_run), "--data", "iris.csv", "--out", "q.csv", "--json").stdout)
    assert found == {"command": "predict", "rows": 150, "notes": [], "out": "q.csv"}


def test_predictions_as_json(dlrun: Any, iris_run: Path, iris_csv: Path) -> None:
    found = json.loads(dlrun("predict", str(iris_run), "--data", "iris.csv", "--json").stdout)["predictions"]
    rows = read(dlrun("predict", str(iris_run), "--data", "iris.csv").stdout)
    assert [each["prediction"] for each in found] == [row["prediction"] for row in rows]
    assert [each["p_setosa"] for each in found] == [float(row["p_setosa"]) for row in rows]
    assert found[7]["row"] == 7


def test_a_round_trip(dlrun: Any, here: Path) -> None:
    """A regression's predictions, given back as a table whose target they are, are met without error."""
    rng = np.random.default_rng(0)
    (here / "a.csv").write_text("x,z,y\n" + "".join(f"{a},{b},{a * b}\n" for a, b in rng.normal(size=(50, 2))))
    assert dlrun("train", "--data", "a.csv", "--target", "y", "--out", "run", *SHORT).status == 0
    predicted = read(dlrun("predict", "run", "--data", "a.csv").stdout)
    source = read((here / "a.csv").read_text())
    assert [row["target"] for row in predicted] == [row["y"] for row in source]
    lines = [f"{old['x']},{old['z']},{new['prediction']}\n" for old, new in zip(source, predicted, strict=True)]
    (here / "b.csv").write_text("x,z,y\n" + "".join(lines))
    assert json.loads(dlrun("evaluate", "run", "--data", "b.csv", "--json").stdout)["figures"]["table"]["error"] == 0


def test_names_that_a_spreadsheet_would_run_are_defused(dlrun: Any, own_table: Path) -> None:
    changes = ("--set", "data.missing=mean")
    assert dlrun("train", "--data", "own.csv", "--target", "y", "--out", "run", *changes, *SHORT).status == 0
    rows = read(dlrun("predict", "run", "--data", "own.csv").stdout)
    assert list(rows[0])[-2:] == ["p_=no", "p_yes"]
    assert {row["target"] for row in rows} == {"'=no", "yes"}
    assert {row["prediction"] for row in rows} <= {"'=no", "yes"}


def test_missing_values_unseen_categories_and_no_rows(dlrun: Any, own_table: Path, here: Path) -> None:
    changes = ("--set", "data.missing=mean")
    assert dlrun("train", "--data", "own.csv", "--target", "y", "--out", "run", *changes, *SHORT).status == 0
    head = own_table.read_text().splitlines()[0].removesuffix(",y")
    (here / "new.csv").write_text(f"{head}\n,Berlin,\n3,Rome,2\n")
    rows = read(dlrun("predict", "run", "--data", "new.csv").stdout)
    assert [row["prediction"] in ("'=no", "yes") for row in rows] == [True, True]
    lacking = dlrun("predict", "run", "--data", "iris")
    assert lacking.status == 2
    assert "lacks the columns 'age', 'city'" in lacking.stderr


def gappy_run(dlrun: Any, here: Path, missing: str) -> None:
    """A run on 20 rows, of which two have gaps, and `new.csv`, where the second and the third of four have them."""
    rows = [f"{i},{i % 5},{'ab'[i % 2]}" for i in range(20)]
    rows[3], rows[8] = ",3,b", "8,,a"
    (here / "t.csv").write_text("x,z,y\n" + "\n".join(rows) + "\n")
    (here / "new.csv").write_text("x,z,y\n1,1,b\n,2,a\n,,b\n4,4,a\n")
    options = ("--data", "t.csv", "--target", "y", "--out", "run", "--set", f"data.missing={missing}")
    trained = dlrun("train", *options, "--set", "training.epochs=1")
    assert trained.status == 0, trained.stderr
    told = "t.csv: 18 of 20 rows are left; the others miss a value (by column: x 1, z 1)"
    assert (told in trained.stderr) == (missing == "drop")


def test_rows_with_gaps_are_skipped_and_told_where_the_training_dropped_such(dlrun: Any, here: Path) -> None:
    gappy_run(dlrun, here, "drop")
    found = dlrun("predict", "run", "--data", "new.csv")
    assert [row["row"] for row in read(found.stdout)] == ["0", "3"]
    told = "new.csv: 2 rows of 4 miss a value and are skipped, as in training (by column: x 2, z 1)"
    assert f"note: {told}" in found.stderr
    assert json.loads(dlrun("predict", "run", "--data", "new.csv", "--json").stdout)["notes"] == [told]
    measured = dlrun("evaluate", "run", "--data", "new.csv", "--json")
    assert json.loads(measured.stdout)["figures"]["table"]["rows"] == 2
    assert told in measured.stderr
    (here / "none.csv").write_text("x,z\n,2\n")
    refused = dlrun("predict", "run", "--data", "none.csv")
    assert refused.status == 2
    assert "every row misses a value" in refused.stderr


def test_filled_cells_are_told(dlrun: Any, here: Path) -> None:
    gappy_run(dlrun, here, "mean")
    found = dlrun("predict", "run", "--data", "new.csv")
    assert [row["row"] for row in read(found.stdout)] == ["0", "1", "2", "3"]
    assert (
        "note: new.csv: 3 missing values filled with the means of the training rows (by column: x 2, z 1)"
        in found.stderr
    )


def test_a_model_file_by_itself_is_enough_to_predict(dlrun: Any, here: Path, iris_run: Path) -> None:
    shutil.copy(iris_run / "model.safetensors", here / "mine.safetensors")
    alone = dlrun("predict", "mine.safetensors", "--data", "iris")
    assert alone.stdout == dlrun("predict", str(iris_run), "--data", "iris").stdout
    (here / "copied").mkdir()
    shutil.copy(iris_run / "model.safetensors", here / "copied")
    assert dlrun("predict", "copied", "--data", "iris").stdout == alone.stdout


def test_the_table_that_is_answered_is_never_overwritten(dlrun: Any, iris_run: Path, iris_csv: Path) -> None:
    before = iris_csv.read_bytes()
    result = dlrun("predict", str(iris_run), "--data", str(iris_csv), "--out", str(iris_csv), "--overwrite")
    assert result.status == 2
    assert "holds the table that is answered" in result.stderr
    assert iris_csv.read_bytes() == before


def test_a_folder_of_runs_is_no_run_but_names_them(dlrun: Any, here: Path) -> None:
    for _ in range(2):
        assert dlrun("train", "iris", "--set", "training.epochs=1", "--quiet").status == 0
    for command in ("evaluate", "plot", "report", "diagnose"):
        result = dlrun(command, "runs/iris")
        assert result.status == 2
        assert "there is one in runs/iris/train-001, runs/iris/train-002" in result.stderr
