"""k-means and k-means++: the draws and the choices of scikit-learn, and those with known labels by definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.cluster import kmeans_plusplus as sklearn_kmeans_plusplus

from initialization.expected import DTYPES, blobs, our_kmeans, sklearn_kmeans, three_blobs, weights
from latentcore.arrays import Rows
from latentcore.initialization import kmeans, kmeans_plusplus, lloyd

# Shapes of data: (rows, features, clusters).
SHAPES = [
    (1, 1, 1), (2, 3, 2), (7, 2, 7), (50, 1, 3), (200, 2, 8), (500, 5, 20), (999, 13, 4), (3000, 8, 16),
    (5000, 3, 2), (20000, 2, 10),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_float64_rows_and_labels_are_those_of_sklearn(
    shape: tuple[int, int, int], weighted: bool
) -> None:
    n, d, k = shape
    for seed in range(8):
        x = blobs(n, d, seed)
        w = weights(n, seed) if weighted else None
        theirs = sklearn_kmeans_plusplus(
            x, k, random_state=np.random.RandomState(seed), sample_weight=w
        )[1]
        rows = kmeans_plusplus(Rows(x, w), k, np.random.RandomState(seed))
        np.testing.assert_array_equal(rows, theirs)
        reference = sklearn_kmeans(x, k, seed, w)
        clusters = our_kmeans(Rows(x, w), k, seed)
        np.testing.assert_array_equal(clusters.labels, reference.labels_)
        np.testing.assert_allclose(clusters.centers, reference.cluster_centers_, rtol=1e-9)
        assert clusters.n_iter == reference.n_iter_


def test_float32_labels_are_mostly_those_of_sklearn() -> None:
    """scikit-learn sums float32 distances in float32, so that draws may fall on another row: 2 of 100 were seen."""
    different = 0
    for seed in range(40):
        x = blobs(1000, 4, seed, np.float32)
        ours, theirs = our_kmeans(Rows(x), 6, seed), sklearn_kmeans(x, 6, seed)
        different += np.mean(ours.labels != theirs.labels_) > 0.01
    assert different <= 4


def test_random_state_is_left_where_sklearn_leaves_it() -> None:
    x = blobs(300, 3, 0)
    ours, theirs = np.random.RandomState(5), np.random.RandomState(5)
    kmeans_plusplus(Rows(x), 9, ours)
    sklearn_kmeans_plusplus(x, 9, random_state=theirs)
    assert ours.random_sample() == theirs.random_sample()


@pytest.mark.parametrize("dtype", DTYPES)
def test_lost_clusters_get_the_farthest_rows_as_in_sklearn(dtype: Any) -> None:
    x = blobs(400, 3, 3, dtype)
    centers = np.vstack([x[:3], np.full((2, 3), 1e3)]).astype(np.float64)  # two that no row is near
    theirs = KMeans(5, init=centers.astype(dtype), n_init=1).fit(x)
    ours = kmeans(Rows(x), centers)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)
    np.testing.assert_allclose(
        ours.centers, theirs.cluster_centers_, rtol=1e-4 if dtype == np.float32 else 1e-9
    )
    assert ours.n_iter == theirs.n_iter_
    assert (np.bincount(ours.labels, minlength=5) > 0).all()


def test_farthest_rows_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = blobs(400, 3, 3)
    centers = np.vstack([x[:3], np.full((2, 3), 1e3)])
    whole = kmeans(Rows(x), centers)
    monkeypatch.setattr(lloyd, "_SEARCH_ELEMENTS", 30)
    blocks = kmeans(Rows(x), centers)
    order = [np.lexsort(found.centers.T) for found in (whole, blocks)]  # the two may swap names
    np.testing.assert_allclose(blocks.centers[order[1]], whole.centers[order[0]], rtol=1e-12)


@pytest.mark.parametrize("max_iter", [1, 2, 5])
def test_kmeans_stops_after_max_iter_with_labels_of_its_centers(max_iter: int) -> None:
    x = blobs(800, 2, 1)
    theirs = KMeans(9, init=x[:9], n_init=1, max_iter=max_iter, tol=0).fit(x)
    ours = kmeans(Rows(x), x[:9], tol=0, max_iter=max_iter)
    assert ours.n_iter == theirs.n_iter_ == max_iter
    np.testing.assert_array_equal(ours.labels, theirs.labels_)
    nearest = ((x[:, None] - ours.centers) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(ours.labels, nearest)


def test_without_tolerance_kmeans_stops_when_no_label_changes() -> None:
    for seed in range(5):
        x = blobs(800, 2, seed)
        theirs = KMeans(9, init=x[:9], n_init=1, tol=0).fit(x)
        ours = kmeans(Rows(x), x[:9], tol=0)
        assert ours.n_iter == theirs.n_iter_ < 300
        np.testing.assert_array_equal(ours.labels, theirs.labels_)


def test_kmeans_leaves_the_given_centers_alone() -> None:
    x = blobs(100, 2, 0)
    centers = x[:4].copy()
    kmeans(Rows(x), centers)
    np.testing.assert_array_equal(centers, x[:4])


def test_far_from_the_origin_labels_are_those_at_the_origin() -> None:
    """An expanded square would lose all digits here."""
    x = np.round(blobs(600, 3, 2) * 2**10) / 2**10  # exact in both places
    near, far = our_kmeans(Rows(x), 5, 0), our_kmeans(Rows(x + 2.0**30), 5, 0)
    np.testing.assert_array_equal(far.labels, near.labels)


def test_as_many_clusters_as_rows_takes_every_row() -> None:
    x = blobs(30, 2, 0)
    rows = kmeans_plusplus(Rows(x), 30, np.random.RandomState(0))
    assert sorted(rows) == list(range(30))
    assert sorted(our_kmeans(Rows(x), 30, 0).labels) == list(range(30))


def test_absent_row_is_not_the_farthest() -> None:
    x = np.array([[0.0], [1.0], [2.0], [50.0], [9.0]])
    w = np.array([1.0, 1.0, 1.0, 0.0, 1.0])
    clusters = kmeans(Rows(x, w), np.array([[1.0], [1e4]]))
    np.testing.assert_allclose(np.sort(clusters.centers[:, 0]), [1.0, 9.0])


def test_equal_rows_that_are_first_and_absent_are_not_chosen() -> None:
    w = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    rows = kmeans_plusplus(Rows(np.zeros((5, 1)), w), 3, np.random.RandomState(0))
    assert (w[rows] > 0).all()


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_labelled_rows_stay_in_their_clusters(weighted: bool, dtype: Any) -> None:
    """Lloyd's algorithm with labels, by its definition; labels are wrong on purpose, so that they pull."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=(200, 2)), 3 + rng.normal(size=(100, 2))]).astype(dtype)
    labels = np.where(rng.uniform(size=300) < 0.2, rng.integers(0, 2, 300), -1).astype(np.int32)
    weight = rng.uniform(0.5, 2, 300) if weighted else np.ones(300)
    centers = rng.normal(size=(4, 2))
    found = kmeans(
        Rows(x, weight if weighted else None, labels=labels), centers, tol=0.0, max_iter=1000
    )
    for _ in range(1000):
        nearest = ((x[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
        assigned = np.where(labels >= 0, labels, nearest)
        centers = np.stack(
            [np.average(x[assigned == k], axis=0, weights=weight[assigned == k]) for k in range(4)]
        )
    np.testing.assert_array_equal(found.labels, assigned)
    np.testing.assert_allclose(found.centers, centers, rtol=1e-12 if dtype == np.float64 else 1e-5)
    np.testing.assert_array_equal(found.labels[labels >= 0], labels[labels >= 0])
    assert (nearest != assigned).any()


def test_kmeans_plusplus_goes_where_no_center_is() -> None:
    x, truth = three_blobs()
    for seed in range(20):
        rows = kmeans_plusplus(
            Rows(x), 2, np.random.RandomState(seed), centers=np.array([[50.0, 0.0]])
        )
        assert sorted(truth[rows]) == [0, 2]


def test_no_center_given_is_as_none() -> None:
    x = blobs(200, 3, 0)
    without, empty = (
        kmeans_plusplus(Rows(x), 5, np.random.RandomState(1), centers=centers)
        for centers in (None, np.empty((0, 3)))
    )
    np.testing.assert_array_equal(empty, without)
