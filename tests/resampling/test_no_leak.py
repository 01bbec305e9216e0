"""No test row has a say in the model that it tests.

Two checks, each of which must catch leaks planted on purpose:
- On random labels every honest estimate lies near chance.
- Whatever the test rows of a fold hold, the fold's θ is the same to the last bit.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.data.scaling import fit_scaling, fit_scalings
from dlrun.resampling.bootstrap_estimates import bootstrap_estimates
from dlrun.resampling.estimates import estimate_error, row_losses
from dlrun.resampling.resamples import Resample, drawn_counts
from dlrun.resampling.run import ResamplingRun, predictions_of
from dlrun.resampling.splitters import bootstrap, k_fold
from dlrun.training import replica_scaling
from dlrun.training.problem import Problem

ROWS = 120
MODELS = {
    "logistic": ("model.hidden=[]", "training.epochs=15"),
    "early stopping": ("model.hidden=[16]", "training.epochs=40", "training.early_stopping.patience=40"),
    "polynomial": (
        'model.feature_map={name="polynomial",degree=2}', "model.hidden=[]", "training.epochs=10",
    ),
    "rbf": ('model.feature_map={name="rbf",count=30,gamma=0.1}', "model.hidden=[]", "training.epochs=10"),
    "nearest neighbour": ("model.kind='nearest_neighbor'",),
}  # fmt: skip
COMMON = ("training.batch_size=16", "optimizer.learning_rate=0.03", "data.missing='mean'")


def random_columns(rng, rows=ROWS):
    """Numbers, some of them missing, and a text column; labels by lot, half of each."""
    columns = {f"x{j}": rng.normal(size=rows).tolist() for j in range(6)}
    for value in rng.choice(rows, rows // 10, replace=False):
        columns["x0"][value] = None
    columns["colour"] = rng.choice(["red", "green", "blue", "grey"], rows).tolist()
    columns["y"] = rng.permutation(np.arange(rows) % 2).tolist()
    return columns


@pytest.fixture
def lottery(table, rng):
    """A problem on random labels, for one of MODELS."""

    def make(model):
        return table(random_columns(rng), *COMMON, *MODELS[model])

    return make


def crossval_error(problem, **options):
    data = problem.dataset
    folds = k_fold(len(data), folds=10, repeats=2, strata=data.target, groups=options.pop("groups", None))
    run = ResamplingRun(problem, Backend(), folds, jobs=1)
    for _ in run:
        pass
    losses = [row_losses(data.target[d.tested], predictions_of(d, data.task), task=data.task) for d in run.divisions]
    n_train = np.array([len(d.resample.train) for d in run.divisions])
    return estimate_error(losses, n_train=n_train, repeats=2, task=data.task).pooled


def near_chance(error):
    """Within three standard errors of 120 tosses of a coin."""
    return abs(error - 0.5) <= 3 * 0.5 / np.sqrt(ROWS)


# -- random labels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_cross_validation_of_random_labels_is_near_chance(lottery, model):
    assert near_chance(crossval_error(lottery(model)))


@pytest.mark.parametrize("model", ["logistic", "early stopping", "nearest neighbour"])
def test_bootstrap_of_random_labels_is_near_chance(lottery, model):
    problem = lottery(model)
    data = problem.dataset
    samples = bootstrap(len(data), samples=40, strata=data.target)
    run = ResamplingRun(problem, Backend(), samples, everything=True, jobs=1)
    for _ in run:
        pass
    predictions = np.array([predictions_of(d, data.task) for d in run.divisions])
    found = bootstrap_estimates(data.target, predictions, drawn_counts(samples), task=data.task)
    assert near_chance(found.estimates["oob"].value)
    assert near_chance(found.estimates["632plus"].value)
    if model == "nearest neighbour":  # F4: .368 · 0 + .632 · 50 %
        assert found.estimates["632"].value == pytest.approx(0.316, abs=0.05)


def test_regression_of_random_targets_is_no_better_than_the_mean(table, rng):
    columns = random_columns(rng) | {"y": rng.normal(size=ROWS).tolist()}
    p = table(columns, *COMMON, *MODELS["early stopping"], "task='regression'", "optimizer.learning_rate=0.01")
    assert crossval_error(p) > 0.97 * np.std(columns["y"])


# Each of these plants a leak; the check above must see it.


def test_planted_early_stopping_on_the_test_rows_is_caught(lottery, monkeypatch):
    def watch_the_test_rows(self, number, resample):
        return self.problem.replica(resample.train, resample.test, resample.test, number=number)

    monkeypatch.setattr(ResamplingRun, "_replica", watch_the_test_rows)
    assert not near_chance(crossval_error(lottery("early stopping")))


def test_planted_feature_selection_on_all_rows_is_caught(table, rng):
    """The 10 of 1000 random columns that go best with the labels: the classic of its kind."""
    y = rng.permutation(np.arange(ROWS) % 2)
    x = rng.normal(size=(ROWS, 1000))
    best = np.argsort(-np.abs((y - 0.5) @ x))[:10]
    chosen = table({f"x{j}": x[:, j] for j in best} | {"y": y}, *COMMON, *MODELS["logistic"])
    assert crossval_error(chosen) < 0.36
    assert not near_chance(crossval_error(chosen))
    honest = table({f"x{j}": x[:, j] for j in range(10)} | {"y": y}, *COMMON, *MODELS["logistic"])
    assert near_chance(crossval_error(honest))


def test_planted_target_encoding_on_all_rows_is_caught(table, rng):
    """A column of 60 towns, each replaced by the mean label of its two rows, its own among them."""
    columns = random_columns(rng)
    town, y = rng.permutation(np.arange(ROWS) % 60), np.array(columns["y"])
    columns["town"] = [y[town == each].mean() for each in town]
    assert not near_chance(crossval_error(table(columns, *COMMON, *MODELS["logistic"])))


def test_planted_duplicates_are_caught_and_groups_mend_them(table, rng):
    columns = {name: values * 2 for name, values in random_columns(rng, ROWS // 2).items()}
    columns["person"] = list(range(ROWS // 2)) * 2
    leaking = table(columns, *COMMON, *MODELS["nearest neighbour"], "data.features=['x1','x2','x3']")
    assert crossval_error(leaking) < 0.05
    mended = table(columns, *COMMON, *MODELS["nearest neighbour"], "data.group='person'")
    assert near_chance(crossval_error(mended, groups=mended.dataset.groups))


def test_planted_test_rows_in_training_are_caught(lottery, monkeypatch):
    original = ResamplingRun._replica

    def with_test_rows(self, number, resample):
        both = np.sort(np.concatenate([resample.train, resample.test]))
        return original(self, number, dataclasses.replace(resample, train=both))

    monkeypatch.setattr(ResamplingRun, "_replica", with_test_rows)
    p = lottery("early stopping")
    training = p.experiment.training.model_copy(update={"early_stopping": None, "epochs": 150})
    model = p.experiment.model.model_copy(update={"hidden": (64,)})
    p = Problem(p.experiment.model_copy(update={"training": training, "model": model}), p.dataset)
    assert not near_chance(crossval_error(p))


# -- θ to the last bit -----------------------------------------------------------------------------


NETWORKS = {name: overrides for name, overrides in MODELS.items() if name != "nearest neighbour"} | {
    "batch normalization": ("model.hidden=[8]", "model.batch_norm=true", "model.keep_prob=0.8", "training.epochs=5"),
    "minmax": ("model.hidden=[8]", "data.normalize='minmax'", "training.epochs=5"),
}


def fold_thetas(table, columns, overrides):
    """θ of each of four folds, which are the rows i mod 4."""
    p = table(columns, *COMMON, *overrides)
    places = np.arange(len(p.dataset))
    folds = k_fold(len(places), folds=4)

    def by_remainder(index):
        return Resample(repeat=0, fold=index, train=places[places % 4 != index], test=places[places % 4 == index])

    run = ResamplingRun(p, Backend(), dataclasses.replace(folds, make=by_remainder), jobs=1)
    for _ in run:
        pass
    return [d.result.theta for d in run.divisions]


def changed(columns, fold):
    """Wild values in the rows of one fold: far out, missing; other labels."""
    other = {name: list(values) for name, values in columns.items()}
    for row in range(fold, ROWS, 4):
        other["x0"][row] = 3.0 + row
        other["x1"][row] = 1e12 * (row + 1)
        other["x2"][row] = None
        other["x3"][row] = -1e-9
        other["colour"][row] = "red"
        other["y"][row] = 1 - other["y"][row]
    return other


def untouched_by_test_rows(table, columns, overrides):
    before = fold_thetas(table, columns, overrides)
    after = [fold_thetas(table, changed(columns, fold), overrides)[fold] for fold in (0, 3)]
    return all(np.array_equal(a, b) for a, b in zip((before[0], before[3]), after, strict=True))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_values_of_test_rows_change_no_bit_of_a_model(table, rng, network):
    assert untouched_by_test_rows(table, random_columns(rng), NETWORKS[network])


def test_the_values_of_test_rows_change_no_bit_of_a_regression(table, rng):
    columns = random_columns(rng) | {"y": rng.normal(size=ROWS).tolist()}
    overrides = ("task='regression'", "model.hidden=[8]", "training.epochs=30", "training.early_stopping.patience=3")
    assert untouched_by_test_rows(table, columns, overrides)


def everyone(features, rows_list, **options):
    """Scalings of all rows, in place of each replica's own."""
    everything = np.arange(len(features))
    return fit_scalings(features, [everything] * len(rows_list), **options)


def filled_from_everyone(features, rows_list, **options):
    """Own shift and scale, but missing values filled with the mean of all rows."""
    own = fit_scalings(features, rows_list, **options)
    fill = fit_scaling(features, np.arange(len(features)), **options).fill
    return dataclasses.replace(own, fill=np.tile(fill, (len(rows_list), 1)))


@pytest.mark.parametrize("planted", [everyone, filled_from_everyone])
def test_planted_scaling_and_imputation_by_all_rows_are_caught(table, rng, monkeypatch, planted):
    monkeypatch.setattr(replica_scaling, "fit_scalings", planted)
    assert not untouched_by_test_rows(table, random_columns(rng), NETWORKS["minmax"])


def test_planted_early_stopping_on_the_test_rows_changes_bits(table, rng, monkeypatch):
    def watch_the_test_rows(self, number, resample):
        return self.problem.replica(resample.train, resample.test, resample.test, number=number)

    monkeypatch.setattr(ResamplingRun, "_replica", watch_the_test_rows)
    assert not untouched_by_test_rows(table, random_columns(rng), NETWORKS["early stopping"])


def test_a_category_of_test_rows_alone_is_as_if_it_was_not_there(table, rng):
    """It gives the network another input; its weights are 0, and all others are drawn as before."""
    columns = random_columns(rng)
    overrides = ("model.hidden=[8]", "training.epochs=3", "model.dtype='float64'")
    before = fold_thetas(table, columns, overrides)[1]
    columns["colour"] = ["mauve" if row % 4 == 1 else each for row, each in enumerate(columns["colour"])]
    after = fold_thetas(table, columns, overrides)[1]
    inputs = 6 + 4
    W1, more = before[: inputs * 8].reshape(inputs, 8), after[: (inputs + 1) * 8].reshape(inputs + 1, 8)
    names = [*(f"x{j}" for j in range(6)), "blue", "green", "grey", "mauve", "red"]
    new = names.index("mauve")
    assert (more[new] == 0).all()
    np.testing.assert_allclose(np.delete(more, new, axis=0), W1, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(after[(inputs + 1) * 8 :], before[inputs * 8 :], rtol=1e-9, atol=1e-12)
