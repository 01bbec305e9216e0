"""Divisions trained together: each comes out as it would alone, and what happens to one is no matter of the others."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.resampling.resamples import Resample, split_hash
from dlrun.resampling.run import ResamplingRun, diverged, epochs_of, predictions_of
from dlrun.resampling.splitters import bootstrap, holdout, k_fold, leave_one_out
from dlrun.training.stacking import StackedTraining
from dlrun.training.step_cost import TrainingCost

NET = ("model.hidden=[7, 5]", "training.batch_size=32", "training.epochs=4")
KINDS = {
    "dropout": ("model.keep_prob=0.7",),
    "batch normalization": ("model.batch_norm=true", "model.keep_prob=0.9"),
    "early stopping": ("training.epochs=30", "training.early_stopping.patience=2"),
    "full batches": ("training.batch_size='full'", "model.feature_map={name='polynomial',degree=2}"),
}


def finished(problem, resamples, **options):
    run = ResamplingRun(problem, Backend(), resamples, **options)
    list(run)
    return run


def same(a, b):
    assert a.number == b.number
    np.testing.assert_array_equal(a.result.theta, b.result.theta)
    np.testing.assert_array_equal(a.result.statistics, b.result.statistics)
    np.testing.assert_array_equal(a.answers, b.answers)
    assert repr((a.result.status, a.result.epoch, a.result.epochs, a.result.reason, a.figures)) == repr(
        (b.result.status, b.result.epoch, b.result.epochs, b.result.reason, b.figures)
    )


def alone(run, number):
    """What division `number` comes to when nobody else is there."""
    replica = run.replicas[number]
    training = StackedTraining(run.problem, Backend(), [replica], [run.training.rows[number]], jobs=1)
    list(training)
    return training.answered[number]


# -- together and alone ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_folds_of_one_size_are_bit_for_bit_what_they_are_alone(problem, kind):
    p = problem("iris", *NET, *KINDS[kind])
    run = finished(p, k_fold(150, folds=5, strata=p.dataset.target), jobs=1)
    assert len(run.plan.groups) == 1
    for division in run.divisions:
        single = alone(run, division.number)
        np.testing.assert_array_equal(division.result.theta, single.result.theta)
        np.testing.assert_array_equal(division.answers, single.answers)
        assert division.figures == single.figures


@pytest.mark.parametrize("kind", KINDS)
def test_folds_of_unequal_sizes_are_to_rounding_what_they_are_alone(problem, kind):
    p = problem("wine", *NET, *KINDS[kind], "model.dtype='float64'")
    run = finished(p, k_fold(178, folds=7), jobs=1)
    assert len({len(r.train) for r in run.replicas}) > 1
    for division in run.divisions:
        single = alone(run, division.number)
        np.testing.assert_allclose(division.result.theta, single.result.theta, rtol=1e-8, atol=1e-11)
        assert (division.result.status, division.result.epochs) == (single.result.status, single.result.epochs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("everything", [False, True])
def test_the_number_of_processes_and_stacks_changes_no_bit(problem, monkeypatch, kind, everything):
    """Sizes differ, so that batches are padded; the padding must not depend on who shares a stack."""
    p = problem("wine", *NET, *KINDS[kind])
    splits = bootstrap(178, samples=8) if everything else k_fold(178, folds=7)
    one = finished(p, splits, everything=everything, jobs=1)
    monkeypatch.setattr(TrainingCost, "seconds", lambda self, replicas: 100.0 * replicas)  # processes seem to pay
    two = finished(p, splits, everything=everything, jobs=2)
    assert (one.plan.jobs, two.plan.jobs) == (1, 2)
    assert len(two.plan.groups) == 2
    for a, b in zip(one.divisions, two.divisions, strict=True):
        same(a, b)
    monkeypatch.setattr("dlrun.training.stacking.CPU_STACK_BYTES", 1)
    for a, b in zip(one.divisions, finished(p, splits, everything=everything, jobs=1).divisions, strict=True):
        same(a, b)


def test_a_divergence_is_told_with_its_reason_and_changes_nothing_in_the_others(problem):
    p = problem("breast_cancer", *NET, "training.early_stopping.patience=3")
    splits = k_fold(569, folds=6)
    sound = finished(p, splits, jobs=1)
    broken = ResamplingRun(p, Backend(), splits, jobs=1)
    broken.replicas[2] = dataclasses.replace(broken.replicas[2], learning_rate=1e30)
    list(broken)
    assert list(diverged(broken.divisions)) == [2]
    assert "epoch 1" in broken.divisions[2].result.reason
    assert np.isnan(broken.divisions[2].answers).all()
    assert (predictions_of(broken.divisions[2], "classification") == -1).all()
    for a, b in zip(sound.divisions, broken.divisions, strict=True):
        if a.number != 2:
            same(a, b)


def test_early_leavers_leave_and_the_others_go_on(problem):
    """Of the records of an epoch only those who still train have one."""
    p = problem("wine", *NET, "training.epochs=40", "training.early_stopping.patience=2")
    run = ResamplingRun(p, Backend(), k_fold(178, folds=6), jobs=1)
    seen = [{record.replica for record in records} for records in run]
    assert all(later <= earlier for earlier, later in itertools.pairwise(seen))
    for number, epochs in epochs_of(run.divisions).items():
        assert sum(number in present for present in seen) == epochs
    assert len(set(epochs_of(run.divisions).values())) > 1


# -- rows ------------------------------------------------------------------------------------------


def test_early_stopping_watches_rows_of_the_training_part_alone(problem):
    p = problem("breast_cancer", *NET, "training.early_stopping.patience=1")
    for run in (
        ResamplingRun(p, Backend(), k_fold(569, folds=4, strata=p.dataset.target)),
        ResamplingRun(p, Backend(), bootstrap(569, samples=4), everything=True),
    ):
        for replica, resample in zip(run.replicas, run.listed, strict=True):
            assert len(replica.dev) == pytest.approx(0.25 * len(np.unique(resample.train)), abs=1)
            assert not np.isin(replica.dev, replica.train).any()
            assert len(np.unique(replica.dev)) == len(replica.dev)
            np.testing.assert_array_equal(
                np.sort(np.concatenate([replica.train, resample.train[np.isin(resample.train, replica.dev)]])),
                resample.train,
            )


def test_a_bootstrap_begins_with_the_fit_on_all_rows(problem):
    p = problem("iris", *NET)
    run = finished(p, bootstrap(150, samples=3), everything=True, jobs=1)
    np.testing.assert_array_equal(run.divisions[0].resample.train, np.arange(150))
    assert [d.answers.shape for d in run.divisions] == [(150, 3)] * 4
    assert run.split_hash == split_hash(bootstrap(150, samples=3))


def test_groups_are_never_cut(table, rng):
    columns = {"x": rng.normal(size=60), "who": np.repeat(np.arange(12), 5), "y": np.arange(60) % 2}
    p = table(columns, *NET, "data.group='who'", "training.early_stopping.patience=1")
    who = p.dataset.groups
    run = ResamplingRun(p, Backend(), k_fold(60, folds=4, groups=who))
    for replica in run.replicas:
        parts = [set(who[part]) for part in (replica.train, replica.dev, replica.test)]
        assert parts[0] | parts[1] | parts[2] == set(range(12))
        assert sum(map(len, parts)) == 12


# -- figures of the texts --------------------------------------------------------------------------


def test_leaving_one_out_of_a_balanced_set_the_majority_is_always_wrong(problem):
    p = problem("gaussians_1d", "data.source='random_labels'", "data.rows=40", "model={kind='majority'}")
    run = finished(p, leave_one_out(40))
    assert [d.figures.error for d in run.divisions] == [1.0] * 40
    assert [f.error for f in run.baseline()] == [1.0] * 40


def test_baselines_against_their_definition(problem):
    p = problem("diabetes", "model={kind='mean'}")
    run = finished(p, holdout(442, repeats=3))
    for division, figures in zip(run.divisions, run.baseline(), strict=True):
        train, test = division.resample.train, division.resample.test
        expected = np.sqrt(np.mean((p.dataset.target[test] - p.dataset.target[train].mean()) ** 2))
        assert division.figures.error == pytest.approx(expected, rel=1e-12)
        assert figures.error == pytest.approx(expected, rel=1e-12)


def test_nearest_neighbours_are_those_of_scikit_learn(problem):
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    p = problem("wine", "model={kind='nearest_neighbor'}")
    run = finished(p, k_fold(178, folds=5, strata=p.dataset.target))
    fold_of, ours = np.empty(178, int), np.empty(178, int)
    for division in run.divisions:
        fold_of[division.tested] = division.number
        ours[division.tested] = predictions_of(division, "classification")
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(1))
    theirs = cross_val_predict(model, p.dataset.features, p.dataset.target, cv=PredefinedSplit(fold_of))
    np.testing.assert_array_equal(ours, theirs)


# -- memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails_at", ["stack", "epoch 3"])
def test_a_stack_that_does_not_fit_is_halved_and_comes_to_the_same(problem, monkeypatch, fails_at):
    from dlrun.training.problem import Problem
    from dlrun.training.stack import Stack

    p = problem("wine", *NET)
    splits = k_fold(178, folds=7)
    expected = finished(p, splits, jobs=1).divisions
    original = (Problem.stack, Stack.run_epoch)[fails_at != "stack"]
    tried = []

    def stack(self, backend, replicas, **options):
        tried.append(len(replicas))
        if len(replicas) > 2:
            raise MemoryError
        return original(self, backend, replicas, **options)

    def run_epoch(self, epoch):
        if epoch == 3 and self.R > 2:
            tried.append(self.R)
            raise MemoryError
        return original(self, epoch)

    if fails_at == "stack":
        monkeypatch.setattr(Problem, "stack", stack)
    else:
        monkeypatch.setattr(Stack, "run_epoch", run_epoch)
    run = finished(p, splits, jobs=1)
    assert tried[0] == 7
    assert 3 in tried or 4 in tried
    for a, b in zip(expected, run.divisions, strict=True):
        same(a, b)


def test_one_model_that_does_not_fit_is_an_error(problem, monkeypatch):
    from dlrun.training.stack import Stack

    def run_epoch(self, epoch):
        raise MemoryError("no room")

    monkeypatch.setattr(Stack, "run_epoch", run_epoch)
    with pytest.raises(MemoryError, match="no room"):
        finished(problem("wine", *NET), k_fold(178, folds=3), jobs=1)


def test_an_error_in_a_process_of_its_own_reaches_the_caller(problem, monkeypatch):
    from dlrun.training.stack import Stack

    def run_epoch(self, epoch):
        raise MemoryError("no room")

    monkeypatch.setattr(TrainingCost, "seconds", lambda self, replicas: 100.0 * replicas)
    monkeypatch.setattr(Stack, "run_epoch", run_epoch)
    with pytest.raises(MemoryError, match="no room"):
        finished(problem("wine", *NET), k_fold(178, folds=3), jobs=2)


def test_divisions_without_test_rows_are_answered_with_nothing(problem):
    """A bootstrap sample that drew every row has nothing out of bag."""
    p = problem("iris", *NET)
    everything = np.arange(150)

    def make(index):
        return Resample(repeat=index + 1, fold=0, train=everything, test=everything[:0])

    splits = dataclasses.replace(bootstrap(150, samples=2), make=make)
    run = finished(p, splits, jobs=1)
    assert [d.answers.shape for d in run.divisions] == [(0, 3)] * 2
