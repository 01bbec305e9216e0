"""Data augmentation: what it does to a batch, and that it does nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.errors import ConfigError
from dlrun.rng import fold_in, stream_keys
from dlrun.training.augment import Augment, Augmentation, mirrored_order
from dlrun.training.loop import Training
from dlrun.training.problem import Problem

MakeProblem = Callable[..., Problem]


def applied(x: Any, settings: Augment, *, step: int = 0, shift: Any = None, scale: Any = None, keys: Any = None) -> Any:
    """A copy of scaled inputs (R, B, d) after one step's augmentation, and the column of ones."""
    R, B, d = x.shape
    inputs = np.concatenate([x, np.ones((R, B, 1))], axis=2)
    shift = np.zeros((R, d)) if shift is None else shift
    scale = np.ones((R, d)) if scale is None else scale
    keys = stream_keys([0] * R, list(range(R)), "augmentation") if keys is None else keys
    Augmentation(Backend(), settings, inputs, shift=shift, scale=scale).apply(fold_in(keys, 1), step)
    assert (inputs[:, :, -1] == 1).all()
    return inputs[:, :, :-1]


def test_noise_is_normal_with_the_given_deviation_on_numbers_alone() -> None:
    from scipy import stats

    x = np.zeros((2, 2000, 3))
    change = applied(x, Augment(noise=0.3, mirror=None, numeric=(True, False, True)))
    assert (change[:, :, 1] == 0).all()
    drawn = change[:, :, [0, 2]].ravel() / 0.3
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(change[:, :, 0].ravel(), change[:, :, 2].ravel())[0, 1]) < 4 / np.sqrt(4000)


def test_the_mirror_of_a_picture_has_every_line_backwards() -> None:
    picture = np.arange(12.0).reshape(3, 4)
    mirrored = picture.ravel()[mirrored_order(12, 4)].reshape(3, 4)
    assert (mirrored == np.fliplr(picture)).all()


def test_a_mirrored_row_is_the_scaled_mirror_of_the_raw_row() -> None:
    random = np.random.default_rng(0)
    raw, shift, scale = random.normal(size=(1, 400, 6)), random.normal(size=(1, 6)), random.uniform(0.5, 2, (1, 6))
    found = applied((raw - shift) * scale, Augment(noise=0, mirror=3, numeric=(True,) * 6), shift=shift, scale=scale)[0]
    turned = np.flip(raw.reshape(400, 2, 3), axis=2).reshape(400, 6)
    plain, mirrored = (raw[0] - shift) * scale, (turned - shift) * scale
    is_mirrored = np.isclose(found, mirrored).all(axis=1)
    assert (is_mirrored | np.isclose(found, plain).all(axis=1)).all()
    assert abs(is_mirrored.sum() - 200) < 4 * 10  # half of them, within four deviations


def test_draws_depend_on_replica_step_and_place_alone() -> None:
    settings = Augment(noise=1.0, mirror=None, numeric=(True,) * 3)
    together = applied(np.zeros((3, 5, 3)), settings, step=7)
    alone = applied(np.zeros((1, 4, 3)), settings, step=7, keys=stream_keys([0], [2], "augmentation"))
    assert (together[2, :4] == alone[0]).all()
    assert not (together == applied(np.zeros((3, 5, 3)), settings, step=8)).any()
    assert not (together[0] == together[1]).any()


def trained(p: Problem, numbers: list[int]) -> list[Any]:
    replicas = [p.replica(np.arange(60), np.arange(60, 100), number=n) for n in numbers]
    run = Training(p.stack(Backend(), replicas, shared=p.shared_rows(Backend())))
    for _ in run:
        pass
    return [run.results[n].theta for n in numbers]


@pytest.mark.parametrize("batch_size", ["16", "'full'"])
def test_a_replica_is_trained_as_it_would_be_alone(problem: MakeProblem, batch_size: str) -> None:
    p = problem("iris", "data.augment={noise=0.2,mirror=2}", f"training.batch_size={batch_size}", "training.epochs=3")
    together, alone = trained(p, [0, 1, 2]), trained(p, [1])
    assert (together[1] == alone[0]).all()
    assert (
        together[1] != trained(problem("iris", f"training.batch_size={batch_size}", "training.epochs=3"), [1])[0]
    ).any()


def test_what_is_measured_is_not_changed(problem: MakeProblem) -> None:
    """With a learning rate of almost nothing, the measured cost stays that of the first weights."""
    options = ("training.epochs=2", "optimizer.name='gradient_descent'", "optimizer.learning_rate=1e-30")
    costs = []
    for more in ((), ("data.augment.noise=5.0",)):
        p = problem("iris", *options, *more)
        replica = p.replica(np.arange(0, 150, 2), np.arange(1, 150, 2))
        records = [each[0] for each in Training(p.stack(Backend(), [replica]))]
        costs.append([(r.figures["train"].cost, r.figures["dev"].cost) for r in records])
        assert (abs(records[0].batch_cost - records[0].figures["train"].cost) > 0.1) == bool(more)
    assert costs[0] == costs[1]


def test_nothing_asked_for_is_nothing_done(problem: MakeProblem) -> None:
    assert problem("iris", "data.augment.noise=0.0").augment is None
    assert problem("iris").augment is None


def test_a_picture_must_have_whole_lines(problem: MakeProblem) -> None:
    assert problem("digits", "data.augment.mirror=8").augment is not None
    with pytest.raises(ConfigError, match=r"data\.augment\.mirror = 7: .* digits has 64 features, no multiple of 7"):
        problem("digits", "data.augment.mirror=7")
