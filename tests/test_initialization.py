"""Starts of a fit: the draws and the choices of scikit-learn, and the statistics of its responsibilities."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.cluster import KMeans
from sklearn.cluster import kmeans_plusplus as sklearn_kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from latentcore import initialization
from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian
from latentcore.initialization import (
    Clusters,
    InitMethod,
    RandomState,
    initial_statistics,
    kmeans,
    kmeans_plusplus,
)
from latentcore.structures.mixture import MixtureStatistics

METHODS = get_args(InitMethod)
CHOOSING = ("k-means++", "random_from_data")
DTYPES = (np.float64, np.float32)

# Shapes of data: (rows, features, clusters).
SHAPES = [
    (1, 1, 1), (2, 3, 2), (7, 2, 7), (50, 1, 3), (200, 2, 8), (500, 5, 20), (999, 13, 4), (3000, 8, 16),
    (5000, 3, 2), (20000, 2, 10),
]  # fmt: skip


def blobs(n: int, d: int, seed: int, dtype: Any = np.float64) -> npt.NDArray[Any]:
    rng = np.random.default_rng(seed)
    centers = 4 * rng.normal(size=(5, d))
    x: npt.NDArray[Any] = (centers[rng.integers(0, 5, n)] + rng.normal(size=(n, d))).astype(dtype)
    return x


def weights(n: int, seed: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0.1, 3.0, n)


def our_kmeans(data: Rows, k: int, seed: int, n_threads: int = 1) -> Clusters:
    rows = kmeans_plusplus(data, k, np.random.RandomState(seed), n_threads=n_threads)
    return kmeans(data, data.x[rows].astype(np.float64), n_threads=n_threads)


def sklearn_kmeans(
    x: npt.NDArray[Any], k: int, seed: int, sample_weight: npt.NDArray[Any] | None = None
) -> KMeans:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        return KMeans(k, n_init=1, random_state=seed).fit(x, sample_weight=sample_weight)


def expected_responsibilities(
    x: npt.NDArray[Any], k: int, method: str, seed: int
) -> npt.NDArray[np.float64]:
    """What scikit-learn's mixtures begin with, by its public functions."""
    random_state = np.random.RandomState(seed)
    if method == "random":
        r = random_state.uniform(size=(len(x), k))
        r /= r.sum(axis=1, keepdims=True)
        return r
    r = np.zeros((len(x), k))
    if method == "kmeans":
        r[np.arange(len(x)), sklearn_kmeans(x, k, seed).labels_] = 1
    elif method == "k-means++":
        r[sklearn_kmeans_plusplus(x, k, random_state=random_state)[1], np.arange(k)] = 1
    else:
        r[random_state.choice(len(x), size=k, replace=False), np.arange(k)] = 1
    return r


def assert_statistics(
    stats: MixtureStatistics[Any], x: npt.NDArray[Any], r: npt.NDArray[np.float64], rtol: float
) -> None:
    """Full-covariance statistics equal the plain sums; those of count 0 have no mean to compare."""
    x = x.astype(np.float64)
    counts = r.sum(axis=0)
    np.testing.assert_allclose(stats.counts, counts, rtol=rtol)
    np.testing.assert_allclose(stats.components.counts, counts, rtol=rtol)
    scale = np.abs(x - x.mean(axis=0)).max() + np.abs(x).max()
    for j in np.flatnonzero(counts):
        mean = r[:, j] @ x / counts[j]
        scatter = (r[:, j, None] * (x - mean)).T @ (x - mean)
        np.testing.assert_allclose(stats.components.means[j], mean, atol=rtol * scale)
        found = stats.components.scatters[j]
        np.testing.assert_allclose(found, scatter, atol=rtol * counts[j] * scale**2)


def same_statistics(a: MixtureStatistics[Any], b: MixtureStatistics[Any]) -> bool:
    return (
        np.array_equal(a.counts, b.counts)
        and np.array_equal(a.components.means, b.components.means)
        and np.array_equal(a.components.scatters, b.components.scatters)
    )


# -- the choices of scikit-learn


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
    monkeypatch.setattr(initialization, "_SEARCH_ELEMENTS", 30)
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


# -- little data


@pytest.mark.parametrize("dtype", DTYPES)
def test_fewer_distinct_rows_than_clusters_fill_as_many_clusters_as_sklearn(dtype: Any) -> None:
    x = np.repeat(np.array([[0.0, 1.0], [3.0, 1.0], [5.0, -2.0]], dtype), [5, 7, 9], axis=0)
    for seed in range(10):
        ours, theirs = our_kmeans(Rows(x), 6, seed), sklearn_kmeans(x, 6, seed)
        np.testing.assert_array_equal(ours.labels, theirs.labels_)
        np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, atol=1e-6)
        stats = initial_statistics(Gaussian(), Rows(x), 6, "kmeans", np.random.RandomState(seed))
        assert sorted(stats.counts) == [0, 0, 0, 5, 7, 9]
        assert np.isfinite(stats.components.means).all()
        np.testing.assert_allclose(stats.components.scatters, 0.0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_constant_data_and_one_row_work(method: InitMethod) -> None:
    for n in (1, 10):
        x = np.full((n, 2), 7.5)
        k = min(n, 3)
        stats = initial_statistics(Gaussian(), Rows(x), k, method, np.random.RandomState(0))
        np.testing.assert_allclose(stats.counts.sum(), k if method in CHOOSING else n)
        np.testing.assert_allclose(stats.components.means, 7.5)
        np.testing.assert_allclose(stats.components.scatters, 0.0, atol=1e-28)


def test_as_many_clusters_as_rows_takes_every_row() -> None:
    x = blobs(30, 2, 0)
    rows = kmeans_plusplus(Rows(x), 30, np.random.RandomState(0))
    assert sorted(rows) == list(range(30))
    assert sorted(our_kmeans(Rows(x), 30, 0).labels) == list(range(30))


# -- statistics


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block_elements", [40, 1 << 18], ids=["blocks", "whole"])
def test_statistics_are_those_of_the_responsibilities(
    method: InitMethod, dtype: Any, block_elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(initialization, "_BLOCK_ELEMENTS", block_elements)
    x = blobs(257, 3, 1, dtype) + dtype(20)
    stats = initial_statistics(Gaussian(), Rows(x), 4, method, np.random.RandomState(1))
    r = expected_responsibilities(x, 4, method, 1)
    assert_statistics(stats, x, r, 1e-12 if dtype == np.float64 else 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_statistics_carry_sample_weights(method: InitMethod) -> None:
    x, w = blobs(257, 3, 1), weights(257, 2)
    stats = initial_statistics(Gaussian(), Rows(x, w), 4, method, np.random.RandomState(1))
    if method in CHOOSING:
        random_state = np.random.RandomState(1)
        if method == "k-means++":
            rows = sklearn_kmeans_plusplus(x, 4, random_state=random_state, sample_weight=w)[1]
        else:
            rows = random_state.choice(257, size=4, replace=False)
        r = np.zeros((257, 4))
        r[rows, np.arange(4)] = 1
    elif method == "kmeans":
        r = np.eye(4)[sklearn_kmeans(x, 4, 1, w).labels_]
    else:
        r = expected_responsibilities(x, 4, method, 1)
    assert_statistics(stats, x, r * w[:, None], 1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_weights_of_one_change_nothing(method: InitMethod) -> None:
    x = blobs(257, 3, 1)
    none = initial_statistics(Gaussian(), Rows(x), 4, method, np.random.RandomState(1))
    ones = initial_statistics(
        Gaussian(), Rows(x, np.ones(257)), 4, method, np.random.RandomState(1)
    )
    assert same_statistics(none, ones)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("block_elements", [40, 1 << 18], ids=["blocks", "whole"])
def test_rows_of_weight_zero_are_absent(
    method: InitMethod, block_elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they come first, fill whole blocks, and lie far away."""
    monkeypatch.setattr(initialization, "_BLOCK_ELEMENTS", block_elements)
    x, w = blobs(300, 2, 4), weights(300, 5)
    present = np.random.default_rng(0).random(300) < 0.7
    present[:50] = present[280:] = False
    x[~present] += 1e6
    w[~present] = 0
    for seed in range(5):
        all_rows = initial_statistics(
            Gaussian(), Rows(x, w), 5, method, np.random.RandomState(seed)
        )
        those_present = initial_statistics(
            Gaussian(), Rows(x[present], w[present]), 5, method, np.random.RandomState(seed)
        )
        np.testing.assert_allclose(all_rows.counts, those_present.counts, rtol=1e-12)
        a, b = all_rows.components, those_present.components
        np.testing.assert_allclose(a.means, b.means, rtol=1e-11)
        np.testing.assert_allclose(a.scatters, b.scatters, rtol=1e-9, atol=1e-9)


def test_absent_row_is_not_the_farthest() -> None:
    x = np.array([[0.0], [1.0], [2.0], [50.0], [9.0]])
    w = np.array([1.0, 1.0, 1.0, 0.0, 1.0])
    clusters = kmeans(Rows(x, w), np.array([[1.0], [1e4]]))
    np.testing.assert_allclose(np.sort(clusters.centers[:, 0]), [1.0, 9.0])


@pytest.mark.parametrize("method", METHODS)
def test_absent_row_may_lie_at_an_infinite_distance(method: InitMethod) -> None:
    x = blobs(100, 2, 0, np.float32)
    w = np.ones(100)
    x[7], w[7] = 1e30, 0.0  # its square is not a float32
    stats = initial_statistics(Gaussian(), Rows(x, w), 3, method, np.random.RandomState(0))
    assert np.abs(stats.components.means).max() < 100
    assert np.isfinite(stats.components.scatters).all()


def test_equal_rows_that_are_first_and_absent_are_not_chosen() -> None:
    w = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    rows = kmeans_plusplus(Rows(np.zeros((5, 1)), w), 3, np.random.RandomState(0))
    assert (w[rows] > 0).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_number_of_threads_changes_no_bit(method: InitMethod, weighted: bool) -> None:
    x = blobs(70_000, 4, 0)
    data = Rows(x, weights(len(x), 0) if weighted else None)
    one, three = (
        initial_statistics(Gaussian(), data, 6, method, np.random.RandomState(3), n_threads=n)
        for n in (1, 3)
    )
    assert same_statistics(one, three)


@pytest.mark.parametrize("method", METHODS)
def test_generator_is_accepted_and_its_seed_decides(method: InitMethod) -> None:
    x = blobs(400, 2, 0)

    def start(random_state: RandomState) -> MixtureStatistics[Any]:
        return initial_statistics(Gaussian(), Rows(x), 7, method, random_state)

    first, again, other = (start(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert same_statistics(first, again)
    assert not same_statistics(first, other)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("method", METHODS)
def test_every_covariance_type_has_a_start(method: InitMethod, covariance_type: Any) -> None:
    family = Gaussian(covariance_type, reg_covar=1e-6)
    stats = initial_statistics(family, Rows(blobs(90, 2, 0)), 3, method, np.random.RandomState(0))
    params = family.maximize(stats.components)
    assert np.isfinite(params.precisions_cholesky).all()


# -- errors


def test_unknown_method_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"^method: expected one of 'kmeans', .*, got 'k-medoids'$"
    ):
        initial_statistics(
            Gaussian(), Rows(np.ones((3, 1))), 2, "k-medoids", np.random.RandomState(0)  # type: ignore[arg-type]
        )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_fewer_rows_than_components_is_an_error(method: InitMethod) -> None:
    x = np.arange(4.0)[:, None]
    with pytest.raises(
        ValueError, match=r"^n_components: expected between 1 and the number of rows, 4, got 5$"
    ):
        initial_statistics(Gaussian(), Rows(x), 5, method, np.random.RandomState(0))
    with pytest.raises(ValueError, match=r"^n_components: .* rows of positive weight, 2, got 3$"):
        initial_statistics(
            Gaussian(), Rows(x, np.array([1.0, 0, 1, 0])), 3, method, np.random.RandomState(0)
        )
