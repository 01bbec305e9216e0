"""Searches as a whole: trials beside models trained alone, folds, failures, pruning, nesting, resumption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend.strict import StrictBackend
from tuning.tuning_cases import RATES, experiment, problem_of

from dlrun.backend import Backend
from dlrun.config import with_values
from dlrun.errors import ConfigError
from dlrun.nn.network import Architecture
from dlrun.resampling.run import ResamplingRun
from dlrun.resampling.splitters import k_fold
from dlrun.training.evaluation import Evaluator
from dlrun.training.loop import Training
from dlrun.training.problem import Problem
from dlrun.training.run import TrainRun
from dlrun.tuning.journal import Journal
from dlrun.tuning.scoring import WINNER, outer_resamples
from dlrun.tuning.study import Study
from dlrun.tuning.trials import Trial

Run = Callable[..., Study]
UNSTRATIFIED = {"split": {"stratify": False}}  # strata follow the targets of all rows, which these tests change
EARLY = {"epochs": 12, "early_stopping": {"patience": 2, "monitor": "cost"}}


def trained(problem: Problem, backend: Backend) -> TrainRun:
    run = TrainRun(problem, backend)
    for _ in run:
        pass
    return run


def assert_alike(study: Study, other: Study) -> None:
    """The same trials: to the bit on the CPU, else as nearly as a device adds up."""
    if study.backend.name == "cpu":
        assert study.trials == other.trials
        return
    for trial, twin in zip(study.trials.values(), other.trials.values(), strict=True):
        assert (trial.values, trial.status, trial.epochs) == (twin.values, twin.status, twin.epochs)
        assert trial.cost == pytest.approx(twin.cost, rel=1e-4)


MIXED = {
    **RATES,
    "optimizer.beta1": {"one_minus_log": [0.5, 0.99]},
    "optimizer.decay.name": {"choice": ["constant", "exponential", "cosine"]},
    "regularization.l2": {"uniform": [0.0, 0.5]},
    "model.keep_prob": {"uniform": [0.5, 1.0]},
    "model.initialization": {"choice": ["he", "normal"]},
    "model.scale": {"log_uniform": [0.01, 1.0]},
    "training.epochs": {"int_uniform": [1, 5]},
    "model.hidden": {"choice": [[4], [6, 3], []]},
    "model.activation": {"choice": ["relu", "tanh"]},
    "training.batch_size": {"choice": [16, 32]},
}


@pytest.mark.parametrize("training", [{}, EARLY], ids=["plain", "early stopping"])
def test_a_trial_is_what_train_gives(study_of: Run, backend: Backend, training: dict[str, Any]) -> None:
    """Each trial in its stack has the dev error and cost of `dlrun train` with its values."""
    space = MIXED if not training else {k: v for k, v in MIXED.items() if k != "training.epochs"}
    chosen = experiment(space, training=training)
    study = study_of(chosen, trials=12)
    problem = problem_of(chosen)
    for trial in study.trials.values():
        alone = trained(Problem(with_values(chosen, trial.values), problem.dataset), backend)
        assert alone.outcome is not None
        assert trial.score == pytest.approx(alone.outcome.figures["dev"].error, abs=1e-7)
        assert trial.cost == pytest.approx(alone.outcome.figures["dev"].cost, rel=1e-5)
        assert trial.epochs == alone.outcome.result.epochs


@pytest.mark.parametrize("training", [{}, EARLY], ids=["plain", "early stopping"])
def test_folds_are_those_of_crossval(study_of: Run, backend: Backend, training: dict[str, Any]) -> None:
    """Without a test part the folds are dealt among all rows, as `dlrun crossval` does with the best."""
    chosen = experiment(RATES, data={"split": {"train": 0.8, "dev": 0.2, "test": 0.0}}, training=training)
    study = study_of(chosen, trials=3, folds=4)
    data = problem_of(chosen).dataset
    for trial in study.trials.values():
        folds = k_fold(len(data), folds=4, seed=0, strata=data.target)
        run = ResamplingRun(Problem(with_values(chosen, trial.values), data), backend, folds)
        list(run)
        assert trial.folds == pytest.approx([division.figures.error for division in run.divisions])
        assert trial.score == pytest.approx(np.mean([division.figures.error for division in run.divisions]))


@pytest.mark.parametrize("folds", [None, 3])
def test_the_search_never_sees_the_test_rows(study_of: Run, backend: Backend, folds: int | None) -> None:
    chosen = experiment(data=UNSTRATIFIED)
    before = study_of(chosen, trials=4, folds=folds)
    test = trained(before.problem, backend).split.test
    tampered = problem_of(chosen)
    tampered.dataset.features[test] = 1e3
    tampered.dataset.target[test] = 0
    after = Study(tampered, backend, before.options, folder=Path.cwd())
    for _ in after:
        pass
    for trial, other in zip(before.trials.values(), after.trials.values(), strict=True):
        assert trial.folds == other.folds
        assert trial.cost == pytest.approx(other.cost, rel=1e-4)


def test_replicas_of_one_shape_share_stacks(study_of: Run) -> None:
    per_replica = ("learning_rate", "beta1", "decay", "l2", "keep_prob", "initialization", "scale", "epochs")
    space = {key: given for key, given in MIXED.items() if any(name in key for name in per_replica)}
    assert study_of(experiment(space), trials=10, folds=3, jobs=1).runner.stacks == [30]
    space["model.hidden"] = {"choice": [[4], [6]]}
    assert len(study_of(experiment(space), trials=10, folds=3, jobs=1).runner.stacks) == 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_threads_do_not_change_a_trial(study_of: Run, jobs: int) -> None:
    chosen = experiment(MIXED)
    assert_alike(study_of(chosen, trials=8, folds=2, jobs=jobs), study_of(chosen, trials=8, folds=2))


def test_a_regression_is_scored_by_its_root_mean_squared_error(study_of: Run, backend: Backend) -> None:
    chosen = experiment(data={"source": "diabetes"})
    study = study_of(chosen, trials=2)
    outcome = trained(Problem(with_values(chosen, study.trials[0].values), study.problem.dataset), backend).outcome
    assert outcome is not None
    assert study.trials[0].score == pytest.approx(outcome.figures["dev"].error, rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"folds": 2, "halving": True}, {"outer_folds": 2}], ids=str)
def test_nothing_crosses_between_host_and_device_unasked(
    study_of: Run, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = experiment(training={"epochs": 4})
    expected = study_of(chosen, trials=4, **options)
    device = StrictBackend()
    monkeypatch.setattr(device, "free_memory", lambda: 1 << 30)
    study = Study(problem_of(chosen), device, expected.options, folder=Path.cwd())
    for _ in study:
        pass
    for trial, other in zip(study.trials.values(), expected.trials.values(), strict=True):
        assert (trial.status, trial.epochs) == (other.status, other.epochs)
        assert trial.cost == pytest.approx(other.cost, rel=1e-4)


# -- trials that go wrong ----------------------------------------------------------------------


def test_a_trial_that_diverges_is_told_with_its_reason(study_of: Run) -> None:
    huge = {"optimizer.learning_rate": {"choice": [0.01, 1e30]}}
    study = study_of(experiment(huge, optimizer={"name": "gradient_descent"}), trials=8, folds=2)
    lost = [t for t in study.trials.values() if t.values["optimizer.learning_rate"] > 1]
    assert 0 < len(lost) < 8
    for trial in lost:
        assert (trial.status, trial.score) == ("diverged", None)
        assert trial.reason.startswith("fold 1 of 2: ")
        assert "epoch 1" in trial.reason
    assert study.best is not None
    assert study.best.values["optimizer.learning_rate"] == 0.01


def test_a_combination_that_is_no_experiment_fails_alone(study_of: Run) -> None:
    """Each value fits by itself; dropout for two layers and one layer do not go together."""
    space = {"model": {"choice": [{"hidden": [4]}, {"hidden": [4, 4]}]}, "model.keep_prob": {"choice": [[0.5], [0.9]]}}
    study = study_of(experiment(space), trials=8)
    failed = [t for t in study.trials.values() if t.status == "failed"]
    assert 0 < len(failed) < 8
    assert all("model.keep_prob" in trial.reason for trial in failed)
    assert all(len(trial.values["model"]["hidden"]) == 2 for trial in failed)


def test_a_model_too_large_for_the_memory_fails_alone(study_of: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def row(self: Architecture, *given: Any) -> Any:
        if 9 in self.hidden:
            raise MemoryError
        return original(self, *given)

    original = Architecture.initial_row
    monkeypatch.setattr(Architecture, "initial_row", row)
    study = study_of(experiment({**RATES, "model.hidden": {"choice": [[9], [4]]}}), trials=8)
    for trial in study.trials.values():
        assert (trial.status == "failed") == (trial.values["model.hidden"] == (9,))
        assert trial.status == "done" or trial.reason.startswith("out of memory")


def test_baselines_can_be_trials(study_of: Run) -> None:
    space = {"model.kind": {"choice": ["network", "majority", "nearest_neighbor"]}}
    study = study_of(experiment(space), trials=9, folds=3)
    scores = {t.values["model.kind"]: t.score for t in study.trials.values()}
    assert scores["majority"] == pytest.approx(27 / 40)  # of 40 rows 13 are of the class that training has most of
    assert scores["nearest_neighbor"] is not None
    assert scores["nearest_neighbor"] < 0.15


def test_data_keys_can_be_varied(study_of: Run, backend: Backend) -> None:
    columns = problem_of(experiment()).dataset.feature_names
    space = {
        "data.normalize": {"choice": ["standard", "none"]},
        "data.features": {"choice": [[columns[2]], [columns[1], columns[3]]]},
    }
    chosen = experiment(space)
    study = study_of(chosen, trials=6)
    for trial in study.trials.values():
        outcome = trained(problem_of(with_values(chosen, trial.values)), backend).outcome
        assert outcome is not None
        assert trial.cost == pytest.approx(outcome.figures["dev"].cost, rel=1e-5)


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        ({"training": {"init_from": "run"}}, {}, "training.init_from"),
        ({"data": {"split": {"train": 0.8, "dev": 0.0, "test": 0.2}}}, {}, "data.split.dev = 0"),
    ],
)
def test_what_cannot_be_searched(study_of: Run, tables: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study_of(experiment(**tables), trials=2, **options)


# -- halving -----------------------------------------------------------------------------------


def test_halving_prunes_the_worse_two_thirds_at_each_rung(study_of: Run) -> None:
    """9 trials of 9 epochs: rungs at 1 and 3; 3 go on, then 1. By hand 9·1 + 3·2 + 1·6 = 21 of 81 epochs."""
    chosen = experiment(training={"epochs": 9})
    study = study_of(chosen, trials=9, halving=True)
    trials = list(study.trials.values())
    assert sorted(t.epochs for t in trials) == [1] * 6 + [3] * 2 + [9]
    assert [t.status for t in trials].count("pruned") == 8
    assert sum(t.trained for t in trials) == 21
    first = sorted((t.rungs[0][1], t.rungs[0][2], t.number) for t in trials)
    assert {number for _, _, number in first[:3]} == {t.number for t in trials if t.epochs > 1}
    whole = study_of(chosen, trials=9)
    assert study.best is not None
    # it had the training that it would have had
    assert study.best.cost == pytest.approx(whole.trials[study.best.number].cost, rel=1e-6)


def test_halving_compares_across_stacks_and_folds(study_of: Run) -> None:
    space = {**RATES, "model.hidden": {"choice": [[4], [6], [8]]}}
    for jobs in (1, 2):
        study = study_of(experiment(space, training={"epochs": 9}), trials=9, folds=2, halving=True, jobs=jobs)
        trials = list(study.trials.values())
        assert sorted(t.epochs for t in trials) == [1] * 6 + [3] * 2 + [9]
        assert all(t.score == pytest.approx(np.mean(t.folds)) for t in trials)


def test_halving_lets_trials_end_by_themselves(study_of: Run) -> None:
    space = {**RATES, "training.epochs": {"int_uniform": [1, 9]}}
    trials = study_of(experiment(space), trials=12, halving=True).trials.values()
    short = [t for t in trials if t.values["training.epochs"] == 1]
    assert short
    assert all(t.status == "done" for t in short)
    assert any(t.status == "pruned" for t in trials)


def test_halving_with_divergence(study_of: Run) -> None:
    huge = {"optimizer.learning_rate": {"choice": [0.01, 0.02, 1e30]}}
    chosen = experiment(huge, optimizer={"name": "gradient_descent"}, training={"epochs": 9})
    trials = study_of(chosen, trials=9, folds=2, halving=True).trials.values()
    assert {t.status for t in trials if t.values["optimizer.learning_rate"] > 1} == {"diverged"}


# -- nesting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["random", "coarse-to-fine"])
@pytest.mark.parametrize("folds", [None, 3])
def test_nested_searches_never_see_their_outer_fold(
    study_of: Run, backend: Backend, sampler: str, folds: int | None
) -> None:
    chosen = experiment(data=UNSTRATIFIED)
    before = study_of(chosen, trials=6, folds=folds, outer_folds=3, sampler=sampler)
    assert sorted(before.winners) == [0, 1, 2]
    outer = outer_resamples(before.problem, 3)
    assert sorted(np.concatenate([each.test for each in outer])) == list(range(150))
    tampered = problem_of(chosen)
    tampered.dataset.target[outer[1].test] = 0
    after = Study(tampered, backend, before.options, folder=Path.cwd())
    for _ in after:
        pass
    assert [t.folds for t in before.searches[2].told.values()] == [t.folds for t in after.searches[2].told.values()]
    assert before.searches[2].best.values == after.searches[2].best.values  # type: ignore[union-attr]


def test_a_winner_is_trained_on_all_rows_outside_its_fold(study_of: Run, backend: Backend) -> None:
    chosen = experiment()
    study = study_of(chosen, trials=4, outer_folds=3)
    for number, winner in study.winners.items():
        best = study.searches[number + 1].best
        assert best is not None
        assert winner.values == best.values
        outer = outer_resamples(study.problem, 3)[number]
        replica = study.problem.replica(outer.train, test=outer.test, experiment=with_values(chosen, best.values))
        stack = study.problem.stack(backend, [replica])
        list(Training(stack, parts=()))
        assert winner.score == pytest.approx(Evaluator(stack).figures([outer.test])[0].error)


# -- resuming ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["random", "grid", "sobol", "coarse-to-fine"])
@pytest.mark.parametrize("halving", [False, True])
def test_a_search_that_goes_on_ends_as_if_it_had_not_stopped(study_of: Run, sampler: str, halving: bool) -> None:
    space = {**RATES, "model.hidden": {"choice": [[4], [6]]}}
    chosen = experiment(space, training={"epochs": 4})
    options = {"trials": 9, "folds": 2, "sampler": sampler, "halving": halving}
    whole = study_of(chosen, **options)
    known = [trial for number, trial in whole.trials.items() if number in (0, 3, 4)]
    if sampler == "coarse-to-fine":
        known = [whole.trials[number] for number in (0, 1, 2, 4)]
    resumed = study_of(chosen, told=known, **options)
    assert_alike(resumed, whole)
    assert sum(resumed.runner.stacks) == 2 * (len(whole.trials) - len(known))


def test_every_trial_is_in_the_journal_once(study_of: Run, tmp_path: Path) -> None:
    chosen = experiment()
    with Journal(tmp_path / "journal.jsonl") as journal:
        study = study_of(chosen, trials=5, outer_folds=2, journal=journal)
    with Journal(tmp_path / "journal.jsonl", resume=True) as journal:
        read = [Trial.from_json({k: v for k, v in each.items() if k != "kind"}) for each in journal.records]
        assert len(read) == study.total == 17
        again = study_of(chosen, trials=5, outer_folds=2, journal=journal, told=read)
        assert again.runner.stacks == []
        assert again.trials == study.trials
        assert again.winners == study.winners
        assert [t for t in read if t.search == WINNER] == [study.winners[n] for n in sorted(study.winners)]
