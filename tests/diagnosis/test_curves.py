"""Cost curves: drawn ones, and those of real trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data.dataset import load_dataset
from dlrun.diagnosis.curves import Curve, findings, read_curve
from dlrun.errors import RunError
from dlrun.packaged import packaged_experiments
from dlrun.training.problem import Problem
from dlrun.training.run import TrainRun

EPOCHS = np.arange(1, 101)
NONE = np.zeros(0)


def seen(train: object, dev: object = NONE, **options: str) -> list[str]:
    curve = Curve(np.asarray(train, float), np.asarray(dev, float), np.full(len(np.asarray(train)), 0.1))
    return [each.what for each in findings(curve, **options)]


def trained(name: str, *overrides: str) -> list[str]:
    loaded = load_experiment(name, overrides=overrides)
    chosen = loaded.experiment
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    run = TrainRun(Problem(chosen, dataset), Backend())
    records = list(run)
    assert run.outcome is not None
    result = run.outcome.result
    curve = Curve(
        np.array([r.figures["train"].cost for r in records]),
        np.array([r.figures["dev"].cost for r in records if "dev" in r.figures]),
        np.array([r.learning_rate for r in records]),
    )
    return [each.what for each in findings(curve, status=result.status, reason=result.reason)]


def test_a_curve_that_settles_is_nothing_to_talk_about() -> None:
    assert seen(np.exp(-EPOCHS / 5) + 0.1) == []
    noise = 0.002 * np.random.default_rng(0).standard_normal(100)
    assert seen(np.exp(-EPOCHS / 5) + 0.1 + noise) == []


def test_oscillation_is_overshooting() -> None:
    """Gradient descent on a parabola with |1 − α·J″| near 1 and another direction at rest."""
    assert seen(1 + 0.5 * np.cos(3 * EPOCHS)) == ["overshoots"]
    assert seen(0.98 ** (2 * EPOCHS) + 0.4 * (EPOCHS % 2)) == ["overshoots"]


def test_growth_is_overshooting() -> None:
    assert seen(1.02 ** (2 * EPOCHS)) == ["overshoots"]


def test_spikes_are_overshooting() -> None:
    cost = np.exp(-EPOCHS / 10.0) + 0.01
    cost[[30, 45, 60, 75, 90]] = 2.0
    assert seen(cost) == ["overshoots"]


def test_a_falling_curve_has_not_converged() -> None:
    assert seen(1 - 0.2 * np.log(EPOCHS)) == ["unfinished"]
    assert seen(2 - 0.01 * EPOCHS) == ["unfinished"]
    assert seen(2 - 0.01 * EPOCHS, status="stopped") == []  # early stopping knew better


def test_a_plateau_with_a_fall_behind_it() -> None:
    """Symmetric units: flat at log 2 until the symmetry breaks."""
    assert seen(0.69 / (1 + np.exp((EPOCHS - 60) / 3)) + 0.01) == ["plateau"]
    assert seen(np.where(EPOCHS < 20, 1 - EPOCHS / 40, np.where(EPOCHS < 70, 0.5, 0.1))) == ["plateau"]


def test_nothing_learned() -> None:
    assert seen(np.full(50, 2.302) - 1e-5 * np.arange(50)) == ["flat"]


def test_a_dev_cost_that_rises_again() -> None:
    train = np.exp(-EPOCHS / 10.0)
    dev = 0.3 + np.exp(-EPOCHS / 10.0) + 0.01 * np.maximum(EPOCHS - 40, 0)
    assert seen(train, dev) == ["overfits"]
    assert seen(train, dev, status="stopped") == []


def test_divergence_and_few_epochs() -> None:
    assert seen([1.0, np.nan], status="diverged", reason="the cost of a batch was nan") == ["diverged"]
    assert seen([1.0, np.inf]) == ["diverged"]
    assert seen([1.0, 2.0, 3.0]) == []


ALARMED = ("blood_fat", "vanishing", "digits", "digits_convolution")  # whose curves do show something


@pytest.mark.parametrize("name", [n for n in packaged_experiments() if n not in ALARMED])
def test_no_false_alarm_on_the_experiments(name: str) -> None:
    assert trained(name) == []


def test_learning_rates_that_are_too_large() -> None:
    plain = "optimizer.name=gradient_descent"
    assert trained("quadratic", "optimizer.learning_rate=1.01", "training.epochs=100")[0] == "overshoots"
    assert trained("diabetes", plain, "optimizer.learning_rate=0.1", "training.epochs=40", "training.early_stopping=")[
        :1
    ] == ["overshoots"]
    assert trained("wine", plain, "optimizer.learning_rate=30", "training.batch_size=full") == ["diverged"]
    assert "overshoots" in trained("iris", "optimizer.learning_rate=30")


def test_plateau_flatness_and_slowness_of_real_trainings() -> None:
    slow = ["optimizer.name=gradient_descent", "optimizer.learning_rate=0.1"]
    assert trained("xor_hidden", *slow) == ["plateau", "unfinished"]
    assert trained("xor_hidden", *slow, "model.initialization=zeros") == ["flat"]
    assert trained("vanishing") == ["flat"]
    assert "unfinished" in trained("iris", "optimizer.learning_rate=0.0001")


def test_reading_metrics(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(
        "replica,epoch,step,split,learning_rate,cost,error,batch_cost\n"
        "0,1,2,train,0.1,1.5,0.5,1.6\n0,1,2,dev,0.1,1.7,0.5,\n1,1,2,train,0.1,9.5,0.5,1.6\n"
        "0,2,4,train,0.05,1.25,0.5,1.6\n0,2,4,dev,0.05,1.5,0.5,\n0,2,4,test,0.05,1.5,0.5,\n"
    )
    curve = read_curve(path)
    assert curve.train.tolist() == [1.5, 1.25]
    assert curve.dev.tolist() == [1.7, 1.5]
    assert curve.learning_rate.tolist() == [0.1, 0.05]
    path.write_text("a,b\n1,2\n")
    with pytest.raises(RunError, match=r"metrics\.csv"):
        read_curve(path)
    with pytest.raises(RunError, match="no such file"):
        read_curve(tmp_path / "nothing.csv")


def test_a_blow_up_within_the_first_epoch_and_a_cost_that_stays_where_a_constant_answer_is() -> None:
    falling = np.geomspace(50, 0.5, 30)
    known = Curve(falling, np.empty(0), np.full(30, 0.1))
    assert [each.what for each in findings(known, status="stopped", constant=1.1)] == ["overshoots"]
    assert findings(known, status="stopped") == []  # nothing to compare with
    assert findings(known, status="stopped", constant=40.0) == []
    stuck = Curve(np.r_[3.0, 2.6, np.full(28, 2.303)], np.empty(0), np.full(30, 1.0))
    assert [each.what for each in findings(stuck, status="stopped", constant=2.3025)] == ["stuck"]
