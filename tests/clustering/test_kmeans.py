"""k-means beside scikit-learn, and what must hold of any of its results."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlrun.clustering.kmeans import STARTS, first_centres, kmeans, squared_distances
from dlrun.clustering.scores import adjusted_rand_index, silhouettes
from dlrun.data.generators import generate
from dlrun.errors import ConfigError

FloatArray = npt.NDArray[np.float64]


def blobs(seed: int = 0, rows: int = 150) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    table = generate("blobs", rows=rows, noise=1.0, seed=seed)
    X = np.stack([np.asarray(table.columns[name], np.float64) for name in ("x1", "x2")], axis=1)
    return X, np.asarray(table.columns["class"]).astype(np.int64)


@pytest.mark.parametrize("clusters", [2, 3, 5])
def test_from_the_same_start_it_ends_where_scikit_learn_does(clusters: int) -> None:
    from sklearn.cluster import KMeans

    X, _ = blobs()
    first = np.stack([X[seed : seed + clusters] for seed in range(4)])
    ours = kmeans(X, clusters, first=first)
    for r in range(4):
        theirs = KMeans(clusters, init=first[r], n_init=1, algorithm="lloyd", tol=0).fit(X)
        assert ours.inertia[r] == pytest.approx(theirs.inertia_, rel=1e-9)
        assert ours.centres[r] == pytest.approx(theirs.cluster_centers_, rel=1e-9)
        assert (ours.labels[r] == theirs.labels_).all()


def test_the_best_of_ten_starts_is_scikit_learns_best() -> None:
    from sklearn.cluster import KMeans

    X, labels = blobs()
    ours = kmeans(X, 3, starts=10)
    theirs = KMeans(3, n_init=10, random_state=0).fit(X)
    assert ours.inertia.min() == pytest.approx(theirs.inertia_, rel=1e-9)
    assert adjusted_rand_index(ours.labels[ours.best], labels) > 0.95


@pytest.mark.parametrize("start", STARTS)
def test_a_start_gives_the_same_alone_and_in_a_stack(start: str) -> None:
    X, _ = blobs()
    together = kmeans(X, 4, starts=8, seed=3, start=start)
    fewer = kmeans(X, 4, starts=3, seed=3, start=start)
    for name in ("centres", "labels", "inertia", "iterations"):
        assert (getattr(together, name)[:3] == getattr(fewer, name)).all()


def test_k_means_plus_plus_starts_better_than_random_rows() -> None:
    """Twenty clusters far apart: by random rows some are missed, and their neighbours stay together."""
    centres = 50.0 * np.stack(np.divmod(np.arange(20), 5), axis=1)
    X = np.repeat(centres, 10, axis=0) + np.random.default_rng(0).normal(size=(200, 2))
    plus, plain = (kmeans(X, 20, starts=40, start=start).inertia for start in STARTS)
    assert plus.mean() < 0.7 * plain.mean()
    assert plus.min() == pytest.approx(400 * 0.9, rel=0.15)  # 200 rows of 2 coordinates, 9 of 10 degrees of freedom


def test_the_first_centres_are_drawn_by_squared_distance() -> None:
    """Rows at 0, 1 and −3: after a first centre at 0 the second is −3 with probability 9/(9 + 1)."""
    X = np.array([[0.0], [1.0], [-3.0]])
    drawn = np.array([first_centres(X, 2, "k-means++", np.random.default_rng(s))[:, 0] for s in range(3000)])
    second = drawn[drawn[:, 0] == 0.0, 1]
    assert np.mean(second == -3.0) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / len(second)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(6, 40), st.integers(1, 4))
def test_every_row_is_with_its_nearest_centre_and_every_centre_in_the_middle(seed: int, k: int, n: int, d: int) -> None:
    X = np.random.default_rng(seed).normal(size=(n, d))
    found = kmeans(X, k, starts=3, seed=seed)
    distances = squared_distances(X, found.centres)
    assert found.converged.all()
    assert found.inertia == pytest.approx(distances.min(axis=2).sum(axis=1))
    for r in range(3):
        for c in range(k):
            rows = X[found.labels[r] == c]
            assert len(rows)
            assert rows.mean(axis=0) == pytest.approx(found.centres[r, c])


def test_one_cluster_is_the_mean_and_its_inertia_the_spread() -> None:
    X, _ = blobs()
    found = kmeans(X, 1, starts=2)
    assert found.centres[0, 0] == pytest.approx(X.mean(axis=0))
    assert found.inertia[0] == pytest.approx(len(X) * X.var(axis=0).sum())


def test_as_many_clusters_as_rows_leave_nothing_over() -> None:
    X = np.arange(6.0)[:, None] ** 2
    assert kmeans(X, 6, starts=3).inertia == pytest.approx(0)


def test_more_clusters_than_different_rows_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--clusters 3: should be from 1 to 2"):
        kmeans(np.array([[0.0], [0.0], [1.0]]), 3)


def test_large_offsets_cost_no_digits() -> None:
    X, _ = blobs()
    near, far = kmeans(X, 3, starts=2), kmeans(X + 1e6, 3, starts=2)
    assert far.inertia == pytest.approx(near.inertia, rel=1e-6)


@pytest.mark.parametrize("clusters", [2, 3, 6])
def test_silhouettes_are_scikit_learns(clusters: int) -> None:
    from sklearn.metrics import silhouette_samples

    X, _ = blobs()
    labels = kmeans(X, clusters, starts=1).labels[0]
    labels[0] = 77  # a row alone in its cluster
    assert silhouettes(X, labels) == pytest.approx(silhouette_samples(X, labels), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_rand_index_is_scikit_learns(seed: int) -> None:
    from sklearn.metrics import adjusted_rand_score

    random = np.random.default_rng(seed)
    a, b = random.integers(0, 4, 60), random.integers(0, 3, 60)
    b[: 10 * seed] = a[: 10 * seed]
    assert adjusted_rand_index(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)
    assert adjusted_rand_index(a, a) == 1.0
