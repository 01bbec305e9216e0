"""When a training ends, which weights it keeps, and what it says."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from dlrun.backend import Backend
from dlrun.errors import ConfigError
from dlrun.training.evaluation import Evaluator
from dlrun.training.loop import Training


def parts(problem, n_train=90, n_dev=30):
    order = np.random.default_rng(5).permutation(len(problem.dataset))
    return order[:n_train], order[n_train : n_train + n_dev]


def test_records_tell_the_epoch_after_its_updates(problem, trained):
    """The figures are those of the weights of that time; the batch cost is the mean of the costs on the way there."""
    p = problem("iris", "model.hidden=[5]", "training.epochs=3", "training.batch_size=40", "regularization.l2=2.0")
    replica = p.replica(*parts(p))
    records, results = trained(p, [replica])
    assert [(r.epoch, r.step) for r in records[0]] == [(1, 3), (2, 6), (3, 9)]
    stack = p.stack(Backend(), [replica], shared=p.shared_rows(Backend()))
    for record in records[0]:
        costs, rates = stack.run_epoch(record.epoch)
        assert record.batch_cost == pytest.approx(costs.mean(), rel=1e-7)
        assert record.learning_rate == rates[-1, 0]
        evaluator = Evaluator(stack)
        z = evaluator.outputs([replica.train])[0]
        y = p.dataset.target[replica.train]
        penalty = 2.0 / (2 * 40) * sum((W**2).sum() for name, W in stack.net.views(stack.theta).items() if "W" in name)
        cost = -np.log(z[np.arange(len(y)), y]).mean()
        assert record.figures["train"].cost == pytest.approx(cost + penalty, rel=1e-5)
        assert record.figures["train"].error == np.mean(z.argmax(axis=1) != y)
        dev = evaluator.outputs([replica.dev])[0]
        cost = -np.log(dev[np.arange(len(dev)), p.dataset.target[replica.dev]]).mean()
        assert record.figures["dev"].cost == pytest.approx(cost, rel=1e-5)  # without penalty
    np.testing.assert_array_equal(results[0].theta, stack.theta[0])


@pytest.mark.parametrize("monitor", ["cost", "error"])
@pytest.mark.parametrize("min_delta", [0.0, 0.01])
def test_early_stopping_keeps_the_best_weights(problem, trained, monitor, min_delta):
    p = problem(
        "wine",
        "model.hidden=[20]",
        "optimizer.learning_rate=0.1",
        "training.epochs=80",
        f'training.early_stopping={{patience=5,monitor="{monitor}",min_delta={min_delta}}}',
    )
    replica = p.replica(*parts(p))
    records, results = trained(p, [replica])
    values = [getattr(record.figures["dev"], monitor) for record in records[0]]
    best, best_epoch = math.inf, 0
    for epoch, value in enumerate(values, start=1):  # the rule, once more
        if value < best - min_delta:
            best, best_epoch = value, epoch
        elif epoch - best_epoch >= 5:
            break
    result = results[0]
    assert (result.status, result.epoch, result.epochs) == ("stopped", best_epoch, epoch)
    assert len(values) == epoch < 80
    stack = p.stack(Backend(), [dataclasses.replace(replica, epochs=best_epoch)], shared=p.shared_rows(Backend()))
    for n in range(1, best_epoch + 1):
        stack.run_epoch(n)
    np.testing.assert_array_equal(result.theta, stack.theta[0])


def test_early_stopping_that_never_stops_still_keeps_the_best(problem, trained):
    p = problem(
        "wine",
        "model.hidden=[20]",
        "optimizer.learning_rate=0.1",
        "training.epochs=15",
        "training.early_stopping={patience=1000,monitor='cost'}",
    )
    records, results = trained(p, [p.replica(*parts(p))])
    values = [record.figures["dev"].cost for record in records[0]]
    assert results[0].status == "done"
    assert results[0].epochs == 15
    assert results[0].epoch == int(np.argmin(values)) + 1


def test_early_stopping_needs_dev_rows(problem):
    p = problem("iris", "training.early_stopping.patience=3")
    stack = p.stack(Backend(), [p.replica(np.arange(50))])
    with pytest.raises(ConfigError, match=r"data\.split\.dev"):
        Training(stack, early_stopping=p.experiment.training.early_stopping)


def test_stops_when_the_cost_settles(problem, trained):
    p = problem("gaussians_1d")
    rows = np.arange(200)
    records, results = trained(p, [p.replica(rows)])
    costs = [record.figures["train"].cost for record in records[0]]
    changes = np.abs(np.diff(costs))
    assert (changes[:-1] >= 1e-4).all()
    assert changes[-1] < 1e-4
    assert results[0].status == "settled"
    assert results[0].epoch == results[0].epochs == len(costs)


def test_no_epochs_gives_the_first_weights(problem, trained):
    p = problem("iris", "training.epochs=0", "model.hidden=[6]", "model.batch_norm=true")
    records, results = trained(p, [p.replica(*parts(p))])
    assert records == {0: []}
    assert (results[0].status, results[0].epoch, results[0].step) == ("done", 0, 0)
    views = {s.name: results[0].theta[s.start : s.stop] for s in p.architecture([p.replica(np.arange(3))]).slots}
    assert (views["gamma1"] == 1).all()
    assert (views["beta1"] == 0).all()
    assert (views["W1"] != 0).all()
    np.testing.assert_array_equal(results[0].statistics, [0] * 6 + [1] * 6)


def test_parts_without_rows_are_missing_from_their_own_replicas_records_only(problem, trained):
    p = problem("iris", "training.epochs=1")
    train, dev = parts(p)
    records, _ = trained(p, [p.replica(train, dev), p.replica(train, number=1)])
    assert set(records[0][0].figures) == {"train", "dev"}
    assert set(records[1][0].figures) == {"train"}


@pytest.mark.parametrize("rate", [1e2, 1e4, 1e6])
def test_divergence_names_epoch_and_step(problem, trained, rate):
    """Squared errors under a large α: every update makes the weights much larger, until float32 overflows."""
    p = problem(
        "diabetes",
        "model.hidden=[]",
        "optimizer.name='gradient_descent'",
        f"optimizer.learning_rate={rate}",
        "training.batch_size=20",
    )
    records, results = trained(p, [p.replica(np.arange(300), np.arange(300, 400))], early_stopping=None)
    stack = p.stack(Backend(), [p.replica(np.arange(300))], shared=p.shared_rows(Backend()))
    epoch, broken = 0, np.zeros(0, np.int64)
    while not broken.size:
        epoch += 1
        costs, _ = stack.run_epoch(epoch)
        broken = np.flatnonzero(~np.isfinite(costs[:, 0]))
    step = 15 * (epoch - 1) + int(broken[0]) + 1
    result, last = results[0], records[0][-1]
    assert (result.status, result.epochs, result.step) == ("diverged", epoch, step)
    assert result.reason == f"the cost of a batch was {costs[broken[0], 0]} at epoch {epoch}, step {step}"
    assert (last.epoch, last.step) == (epoch, step)
    assert not math.isfinite(last.batch_cost)
    assert all(math.isnan(figure.cost) for figure in last.figures.values())
    assert np.isnan(result.theta).all()
    assert len(records[0]) == epoch  # it ends at once


def test_a_last_update_that_breaks_the_weights_is_noticed(problem, trained):
    """One step per epoch: the cost before it was finite, and only the weights after it are not."""
    p = problem(
        "diabetes",
        "model.hidden=[]",
        "optimizer.name='gradient_descent'",
        "optimizer.learning_rate=1e38",
        "training.batch_size='full'",
        "model.initialization='normal'",
        "model.scale=1e3",
    )
    rows = np.arange(300)
    for measured, part in ((("train",), "the train part"), ((), "a parameter")):
        records, results = trained(p, [p.replica(rows)], parts=measured, early_stopping=None)
        assert results[0].status == "diverged"
        assert "after epoch 1, step 1" in results[0].reason
        assert part in results[0].reason
        assert len(records[0]) == 1


def test_infinite_weights_do_not_hide_behind_a_saturated_unit(problem):
    p = problem("iris", "model.hidden=[3]", "model.activation='tanh'")
    stack = p.stack(Backend(), [p.replica(np.arange(100))])
    stack.theta[0, 0] = np.inf
    run = Training(stack, parts=())
    assert not run._finite()[0]


def test_zeros_never_break_the_symmetry(problem, trained):
    """Equal units get equal gradients: with all weights zero they stay zero but for the last layer's bias."""
    p = problem(
        "iris", "model.hidden=[6, 4]", "model.initialization='zeros'", "model.activation='tanh'", "training.epochs=10"
    )
    rows = np.arange(0, 150, 2)
    stack = p.stack(Backend(), [p.replica(rows)])
    stack.theta[0] = 0.25  # equal, but not zero, so that gradients flow
    views = stack.net.views(stack.theta)
    for epoch in range(1, 11):
        stack.run_epoch(epoch)
        for name in ("W1", "b1", "W2", "b2"):
            assert (views[name][0] == views[name][0][:, :1]).all()  # all units of the layer are one
        assert (views["W3"][0] == views["W3"][0][:1]).all()
    assert (views["W1"][0] != 0.25).any()
    _, results = trained(p, [p.replica(rows)])
    changed = {s.name for s in stack.net.slots if results[0].theta[s.start : s.stop].any()}
    assert changed == {"b3"}


def test_running_averages_are_bias_corrected(problem):
    """v ← βv + (1−β)x over the batches' μ and σ², divided by 1 − βᵗ."""
    p = problem(
        "iris",
        "model.hidden=[4]",
        "model.batch_norm=true",
        "model.batch_norm_momentum=0.8",
        "training.batch_size=32",
        "model.dtype='float64'",
    )
    stack = p.stack(Backend(), [p.replica(np.arange(100))])
    seen = []
    update = stack._update
    stack._update = lambda *a: (update(*a), seen.append(stack.batch_statistics.copy()))
    for epoch in (1, 2):
        stack.run_epoch(epoch)
    v = np.zeros_like(seen[0])
    for batch in seen:
        v = 0.8 * v + 0.2 * batch
    assert len(seen) == 8
    np.testing.assert_allclose(stack.statistics, v / (1 - 0.8**8), rtol=1e-12)


def test_inverted_dropout_keeps_the_mean_and_its_share(problem):
    p = problem("digits", "model.hidden=[500]", "model.keep_prob=0.7", "training.batch_size=200")
    stack = p.stack(Backend(), [p.replica(np.arange(200)), p.replica(np.arange(200), number=1)])
    stack.run_epoch(1)
    (plan,) = stack._plans.values()
    masks = next(iter(plan.masks._layers)).mask
    assert set(np.unique(masks)) == {np.float32(0), np.float32(1 / 0.7)}
    n = masks[0].size  # 100 000 units: standard deviation of the share is 0.0014
    for mask in masks:
        assert (mask > 0).sum() / n == pytest.approx(0.7, abs=0.006)
        assert mask.mean() == pytest.approx(1, abs=0.009)
    assert (masks[0] != masks[1]).any()
    before = masks.copy()
    stack.run_epoch(2)
    assert (before != masks).mean() == pytest.approx(2 * 0.7 * 0.3, abs=0.01)  # a new, independent mask


def test_dropout_is_absent_at_evaluation(problem):
    p = problem("iris", "model.hidden=[50]", "model.keep_prob=0.5")
    rows = np.arange(100)
    replica = p.replica(rows)
    theta = np.random.default_rng(0).normal(size=(1, p.architecture([replica]).parameters))
    plain = problem("iris", "model.hidden=[50]")
    a = Evaluator(p.stack(Backend(), [replica], theta=theta)).outputs([rows])[0]
    b = Evaluator(plain.stack(Backend(), [plain.replica(rows)], theta=theta)).outputs([rows])[0]
    np.testing.assert_array_equal(a, b)


def test_dropout_keeps_almost_nothing_where_asked_to(problem):
    p = problem("iris", "model.hidden=[50]", "model.keep_prob=1e-12", "training.epochs=1")
    stack = p.stack(Backend(), [p.replica(np.arange(100))])
    stack.run_epoch(1)
    mask = next(iter(stack._plans.values())).masks._layers[0].mask
    assert not mask.any()
