"""Linear, logistic, softmax and ridge regression, trained to their optimum, are scikit-learn's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import PolynomialFeatures

from dlrun.backend import Backend
from dlrun.training.evaluation import Evaluator

LINEAR = (
    "model.hidden=[]",
    "model.dtype='float64'",
    "training.batch_size='full'",
    "optimizer.name='momentum'",
    "model.initialization='zeros'",
    "training.early_stopping.patience=100000",
    "optimizer.beta1=0.95",
)


def converged(problem, replicas):
    stack = problem.stack(Backend(), replicas, shared=problem.shared_rows(Backend()))
    for epoch in range(1, 30_000):
        before = stack.theta.copy()
        stack.run_epoch(epoch)
        if np.abs(stack.theta - before).max() < 1e-11:
            return stack
    raise AssertionError("did not converge")


def standardized(problem, rows):
    return problem.normalization([rows]).apply(problem.dataset.features)


def test_linear_and_ridge_regression(problem):
    """Mean squared error + λ/(2m)·‖w‖² is, times m, ‖Xw − y‖² + (λ/2)·‖w‖²: Ridge's α is λ/2, on the scaled target."""
    p = problem("diabetes", *LINEAR, "optimizer.learning_rate=0.5", "regularization.l2=0.0")
    rows = np.arange(0, 442, 2)
    lambdas = [0.0, 10.0, 200.0]
    replicas = [dataclasses.replace(p.replica(rows, number=i), l2=lam) for i, lam in enumerate(lambdas)]
    stack = converged(p, replicas)
    x, y = standardized(p, rows), p.dataset.target
    scaled = (y[rows] - y[rows].mean()) / y[rows].std()
    for r, lam in enumerate(lambdas):
        theirs = (Ridge(alpha=lam / 2) if lam else LinearRegression()).fit(x[rows], scaled)
        np.testing.assert_allclose(stack.theta[r], [*theirs.coef_, theirs.intercept_], atol=1e-7)
        answers = Evaluator(stack).outputs([np.arange(442)] * 3)[r][:, 0]
        np.testing.assert_allclose(answers, theirs.predict(x) * y[rows].std() + y[rows].mean(), rtol=1e-7)
        figures = Evaluator(stack).figures([rows] * 3)[r]
        assert figures.error == pytest.approx(np.sqrt(np.mean((answers[rows] - y[rows]) ** 2)), rel=1e-9)


def test_logistic_regression(problem):
    """Mean cross-entropy + λ/(2m)·‖w‖² is, times m/λ, C·Σℓ + ½‖w‖² with C = 1/λ."""
    p = problem("breast_cancer", *LINEAR, "optimizer.learning_rate=0.3", "regularization.l2=20.0")
    rows = np.arange(0, 569, 2)
    stack = converged(p, [p.replica(rows)])
    x = standardized(p, rows)
    theirs = LogisticRegression(C=1 / 20, tol=1e-12, max_iter=10_000).fit(x[rows], p.dataset.target[rows])
    np.testing.assert_allclose(stack.theta[0], [*theirs.coef_[0], theirs.intercept_[0]], atol=1e-6)
    answers = Evaluator(stack).outputs([np.arange(569)])[0]
    np.testing.assert_allclose(answers, theirs.predict_proba(x), atol=1e-6)


def test_softmax_regression(problem):
    p = problem("wine", *LINEAR, "optimizer.learning_rate=0.3", "regularization.l2=5.0")
    rows = np.arange(0, 178, 2)
    stack = converged(p, [p.replica(rows)])
    x = standardized(p, rows)
    theirs = LogisticRegression(C=1 / 5, tol=1e-12, max_iter=10_000).fit(x[rows], p.dataset.target[rows])
    W = stack.theta[0].reshape(14, 3)
    np.testing.assert_allclose(W[:-1], theirs.coef_.T, atol=1e-6)
    np.testing.assert_allclose(W[-1] - W[-1].mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-6)
    answers = Evaluator(stack).outputs([np.arange(178)])[0]
    np.testing.assert_allclose(answers, theirs.predict_proba(x), atol=1e-6)


def test_softmax_of_two_classes_trains_as_logistic_regression_at_twice_the_rate(problem):
    """w = W₁ − W₀ falls by α(dW₁ − dW₀) = 2α·dw: the paths are one, from zeros, with α and 2α."""
    paths = []
    for loss, rate in (("cross_entropy", 0.05), ("binary_cross_entropy", 0.1)):
        p = problem(
            "breast_cancer",
            *LINEAR,
            f"model.loss={loss!r}",
            f"optimizer.learning_rate={rate}",
            "optimizer.name='gradient_descent'",
            "regularization.l2=0.0",
        )
        stack = p.stack(Backend(), [p.replica(np.arange(300))])
        costs = [stack.run_epoch(epoch)[0][0, 0] for epoch in range(1, 101)]
        W = stack.theta[0].reshape(31, -1)
        answers = Evaluator(stack).outputs([np.arange(569)])[0]
        paths.append((costs, W[:, -1] - W[:, 0] if W.shape[1] == 2 else W[:, 0], answers))
    for two, one in zip(*paths, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-12)


def test_polynomial_regression(problem):
    p = problem(
        "diabetes",
        *LINEAR,
        'model.feature_map={name="polynomial",degree=2}',
        "optimizer.learning_rate=0.05",
        "regularization.l2=200.0",
        "data.features=['bmi','bp','ltg']",
    )
    rows = np.arange(200)
    stack = converged(p, [p.replica(rows)])
    terms = PolynomialFeatures(2, include_bias=False).fit_transform(standardized(p, rows))
    y = p.dataset.target
    theirs = Ridge(alpha=100).fit(terms[rows], (y[rows] - y[rows].mean()) / y[rows].std())
    answers = Evaluator(stack).outputs([np.arange(442)])[0][:, 0]
    np.testing.assert_allclose(answers, theirs.predict(terms) * y[rows].std() + y[rows].mean(), rtol=1e-6)


def test_nearest_neighbour(problem, run):
    _, made = run(problem("wine", "model.kind='nearest_neighbor'"))
    x, y, split = standardized(made.problem, made.split.train), made.problem.dataset.target, made.split
    theirs = KNeighborsClassifier(1).fit(x[split.train], y[split.train])
    for part in ("dev", "test"):
        rows = getattr(split, part)
        assert made.outcome.figures[part].error == pytest.approx(1 - theirs.score(x[rows], y[rows]), abs=1e-12)
    assert made.outcome.figures["train"].error == 0
    answers = made.outcome.model.answers(x, Backend())
    np.testing.assert_array_equal(answers, theirs.predict_proba(x))
