"""The estimators of scikit-learn: its own checks, its own uses, and the answers that `dlrun.train` gives."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn")

from sklearn.compose import ColumnTransformer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import dlrun
from dlrun.sklearn import NetworkClassifier, NetworkRegressor

SHORT = {"hidden": (8,), "epochs": 40, "random_state": 0, "device": "cpu"}


@parametrize_with_checks([NetworkClassifier(epochs=100, device="cpu"), NetworkRegressor(epochs=100, device="cpu")])
@pytest.mark.filterwarnings("ignore")  # the checks warn of what they do
def test_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def iris() -> tuple[pd.DataFrame, pd.Series]:
    from dlrun.packaged import packaged_dir

    frame = pd.read_csv(packaged_dir("datasets") / "iris.csv")
    return frame.drop(columns="species"), frame["species"]


def test_cross_val_score_and_grid_search(iris: tuple[pd.DataFrame, pd.Series]) -> None:
    X, y = iris
    scores = cross_val_score(NetworkClassifier(**SHORT, learning_rate=0.02), X, y, cv=3)
    assert scores.mean() > 0.9
    search = GridSearchCV(NetworkClassifier(**SHORT), {"learning_rate": [1e-6, 0.02], "hidden": [(), (4,)]}, cv=3)
    search.fit(X, y)
    assert search.best_params_["learning_rate"] == 0.02
    assert search.best_estimator_.predict(X[:3]).tolist() == ["setosa"] * 3


def test_a_pipeline_and_permutation_importance() -> None:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(200, 3))
    y = 100 + 20 * X[:, 1]
    model = make_pipeline(StandardScaler(), NetworkRegressor(hidden=(), epochs=200, random_state=1, device="cpu"))
    model.fit(X, y)
    assert model.score(X, y) > 0.99
    found = permutation_importance(model, X, y, n_repeats=3, random_state=0)
    assert found.importances_mean.argmax() == 1
    columns = ColumnTransformer([("all", "passthrough", [0, 1, 2])])
    assert make_pipeline(columns, NetworkRegressor(**SHORT)).fit(X, y).predict(X).shape == (200,)


@pytest.mark.parametrize("labels", [[3, 7], ["no", "yes"], [False, True], [1.0, 2.0]])
def test_labels_come_back_as_they_were(labels: list[Any]) -> None:
    draw = np.random.default_rng(1)
    X = draw.normal(size=(80, 2))
    y = np.array(labels)[(X[:, 0] > 0).astype(int)]
    model = NetworkClassifier(**SHORT, learning_rate=0.05).fit(X, y)
    assert model.classes_.tolist() == labels
    assert model.predict(X).dtype == y.dtype
    assert model.score(X, y) > 0.9
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_the_answers_are_those_of_dlrun_train(iris: tuple[pd.DataFrame, pd.Series]) -> None:
    X, y = iris
    model = NetworkClassifier(hidden=(8,), epochs=3, batch_size=16, random_state=5, device="cpu").fit(X, y)
    seed = int(np.random.RandomState(5).randint(2**31 - 1))
    setting = {
        "model.hidden": [8],
        "model.dtype": "float64",
        "training.epochs": 3,
        "training.batch_size": 16,
        "training.early_stopping": None,
        "optimizer.learning_rate": 0.003,
        "data.split": {"train": 1.0, "dev": 0.0, "test": 0.0},
    }
    frame = X.assign(species=y)
    trained = dlrun.train(data=frame, target="species", set=setting, seed=seed, device="cpu").model
    np.testing.assert_array_equal(model.predict_proba(X), trained.predict_proba(frame))
    assert model.n_iter_ == 3
    assert len(model.loss_curve_) == 3


def test_a_frame_with_texts_and_missing_values() -> None:
    draw = np.random.default_rng(2)
    frame = pd.DataFrame({"size": draw.uniform(0, 1, 100), "kind": draw.choice(["a", "b", "c"], 100)})
    price = 10 * frame["size"] + 5 * (frame["kind"] == "b")
    model = NetworkRegressor(hidden=(), epochs=300, learning_rate=0.05, random_state=0, device="cpu").fit(frame, price)
    assert model.score(frame, price) > 0.98
    assert list(model.feature_names_in_) == ["size", "kind"]
    with pytest.raises(ValueError, match="feature"):
        model.predict(frame[["size"]])
    frame.loc[3, "kind"] = None
    with pytest.raises(ValueError, match="missing"):
        NetworkRegressor(**SHORT).fit(frame, price)


def test_pickling_keeps_the_answers(iris: tuple[pd.DataFrame, pd.Series]) -> None:
    X, y = iris
    model = NetworkClassifier(**SHORT).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_what_is_wrong_is_a_value_error_in_the_words_of_dlrun() -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    with pytest.raises(ValueError, match="relu"):
        NetworkClassifier(activation="rellu").fit(X, y)
    with pytest.raises(ValueError, match=r"model\.hidden"):
        NetworkClassifier(settings={"model.hiden": [3]}).fit(X, y)
    with pytest.raises(ValueError, match="diverged"):
        NetworkRegressor(optimizer="gradient_descent", learning_rate=1e20, epochs=50).fit(X, y)


def test_early_stopping_and_settings(iris: tuple[pd.DataFrame, pd.Series]) -> None:
    X, y = iris
    model = NetworkClassifier(
        hidden=(8,), epochs=300, early_stopping=True, patience=5, random_state=0, device="cpu",
        settings={"optimizer.clip_norm": 1.0},
    ).fit(X, y)  # fmt: skip
    assert model.n_iter_ < 300


def test_scikit_learn_is_loaded_where_it_is_asked_for_alone() -> None:
    code = "import sys, dlrun, dlrun.workflows.train; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
