from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.preprocessing import PolynomialFeatures

from dlrun.graph.node import constant
from dlrun.graph.plan import Plan
from dlrun.nn.features import feature_count, fixed_tensors, mapped


def apply_map(backend, feature_map, x, **fixed):
    nodes = {name: constant(value) for name, value in fixed.items()}
    node = mapped(feature_map, constant(x), nodes)
    plan = Plan(backend, [node], {})
    plan.run()
    return backend.to_host(plan.outputs[node])


def sorted_columns(matrix):
    return np.array(sorted(np.asarray(matrix).T.tolist()))


@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_polynomial_terms_are_scikit_learns(backend, rng, d, degree):
    x = rng.normal(size=(2, 7, d))
    found = apply_map(backend, SimpleNamespace(name="polynomial", degree=degree), x)
    for replica in range(2):
        theirs = PolynomialFeatures(degree, include_bias=False).fit_transform(x[replica])
        assert found[replica].shape == theirs.shape
        np.testing.assert_allclose(sorted_columns(found[replica]), sorted_columns(theirs), rtol=1e-12)
    assert feature_count(SimpleNamespace(name="polynomial", degree=degree), d) == found.shape[-1]


def test_rbf_features(backend, rng):
    """φ_j(x) = exp(−γ‖x − c_j‖²)"""
    x, centres = rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 3, 5))
    found = apply_map(backend, SimpleNamespace(name="rbf", count=5, gamma=0.3), x, centres=centres)
    distance = ((x[:, :, :, None] - centres[:, None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(found, np.exp(-0.3 * distance), rtol=1e-12)


@pytest.mark.parametrize("count", [4, 10, 25])
def test_centres_are_training_rows(rng, count):
    """Each row once while there are enough; (d, M) as the graph takes them."""
    rows = np.random.default_rng(1).normal(size=(10, 3))
    centres = fixed_tensors(SimpleNamespace(name="rbf", count=count), rows, rng)["centres"]
    assert centres.shape == (3, count)
    places = [int(np.flatnonzero((rows == centre).all(axis=1))[0]) for centre in centres.T]
    if count <= 10:
        assert len(set(places)) == count


def test_no_map():
    assert feature_count(None, 3) == 3
    assert fixed_tensors(None, np.ones((2, 3)), np.random.default_rng(0)) == {}
