"""Starts of a fit: the draws and the choices of scikit-learn, and the statistics of its responsibilities.

Then what scikit-learn has not: other families, sparse rows, missing entries, known labels, too few rows.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.cluster import KMeans
from sklearn.cluster import kmeans_plusplus as sklearn_kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from latentcore import initialization
from latentcore.arrays import CSR, Rows
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson
from latentcore.initialization import (
    Clusters,
    InitMethod,
    RandomState,
    initial_statistics,
    kmeans,
    kmeans_plusplus,
)
from latentcore.structures.mixture import Mixture, MixtureStatistics
from laws.cases import PRECISIONS, ByBlocks, Case, assert_identical, assert_near, cases, every_case

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


# -- every family


def started(case: Case, data: Rows, method: InitMethod, n_components: int = 3) -> Any:
    """The start's model, parameters and statistics; Gaussians have the floor that estimators give them."""
    family = case.of.family
    if isinstance(family, Gaussian):
        family = replace(family, reg_covar=1e-6)
    elif isinstance(getattr(family, "family", None), Gaussian):
        family = ByBlocks(replace(family.family, reg_covar=1e-6))
    stats = initial_statistics(
        family, data, n_components, method, np.random.RandomState(1), allow_repeats=True
    )
    return Mixture(family), Mixture(family).maximize(stats), stats


def with_gaps(x: Any) -> Any:
    """A third of the entries missing, and one row entirely."""
    x = x.copy()
    x[np.random.default_rng(7).uniform(size=x.shape) < 0.3] = np.nan
    x[5] = np.nan
    return x


@every_case
@pytest.mark.parametrize("method", METHODS)
def test_every_row_is_possible_at_the_start(case: Case, method: InitMethod) -> None:
    data = case.weighted_rows
    model, params, stats = started(case, data, method)
    assert np.isfinite(model.log_density(params, data.x)).all()
    assert (stats.counts > 0).all()


@cases(lambda of: of.missing, dtypes=PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
def test_every_row_with_missing_entries_is_possible_at_the_start(
    case: Case, method: InitMethod
) -> None:
    rows = case.weighted_rows
    data = replace(rows, x=with_gaps(rows.x))
    model, params, stats = started(case, data, method)
    assert np.isfinite(model.log_density(params, data.x)).all()
    assert (stats.counts > 0).all()


@every_case
@pytest.mark.parametrize("method", METHODS)
def test_more_components_than_rows_all_begin_somewhere(case: Case, method: InitMethod) -> None:
    data = case.rows.take(np.arange(2))
    model, params, stats = started(case, data, method)
    assert np.isfinite(model.log_density(params, data.x)).all()
    assert (stats.counts > 0).all()
    with pytest.raises(ValueError, match=r"^n_components: expected between 1 and .* 2, got 3$"):
        initial_statistics(case.of.family, data, 3, method, np.random.RandomState(0))


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random_from_data"])
def test_components_beyond_the_rows_are_shared_out_among_them(method: InitMethod) -> None:
    """Rows 0 and 100, seven components: four on the one and three on the other, a tenth of each in common."""
    data = Rows(np.array([[0.0], [100.0]]))
    stats = initial_statistics(
        Gaussian(), data, 7, method, np.random.RandomState(0), allow_repeats=True
    )
    np.testing.assert_allclose(stats.counts, 1.0)
    means = sorted(stats.components.means[:, 0])
    assert means in (pytest.approx([5] * 4 + [95] * 3), pytest.approx([5] * 3 + [95] * 4))


def test_start_of_a_family_is_nine_tenths_its_clusters_and_one_tenth_all_rows() -> None:
    x = np.repeat([[0.0, 3.0], [100.0, 0.0]], [30, 10], axis=0)
    for weight in (None, np.full(40, 2.0)):
        stats = initial_statistics(
            Poisson(), Rows(x, weight), 2, "kmeans", np.random.RandomState(0)
        )
        scale = 1 if weight is None else 2
        order = np.argsort(stats.counts)
        np.testing.assert_allclose(stats.counts[order], scale * np.array([9 + 2, 27 + 2]))
        pooled = 0.1 * np.array([1000 / 2, 90 / 2])
        sums = np.array([[900 + pooled[0], pooled[1]], [pooled[0], 81 + pooled[1]]])
        np.testing.assert_allclose(stats.components.sums[order], scale * sums)


@every_case
@pytest.mark.parametrize("method", METHODS)
def test_absent_rows_of_any_family_change_nothing(case: Case, method: InitMethod) -> None:
    rows = case.weighted_rows
    weight = rows.sample_weight
    assert weight is not None
    weight[::3] = 0
    labels = np.where(np.arange(len(rows)) % 20 < 2, np.arange(len(rows)) % 3, -1).astype(np.int32)
    for data in (rows, replace(rows, labels=labels)):
        all_rows, present = (
            initial_statistics(case.of.family, d, 3, method, np.random.RandomState(4))
            for d in (data, data.take(weight > 0))
        )
        assert_near(all_rows, present, 1e-3 if case.dtype is np.float32 else 1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("labelled", [False, True], ids=["unlabelled", "labelled"])
def test_number_of_threads_changes_no_bit_of_a_family(method: InitMethod, labelled: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.poisson(rng.uniform(1, 20, size=(5, 4))[rng.integers(5, size=70_000)]).astype(float)
    labels = rng.integers(-9, 5, len(x)).clip(-1).astype(np.int32) if labelled else None
    one, three = (
        initial_statistics(
            Poisson(), Rows(x, labels=labels), 6, method, np.random.RandomState(3), n_threads=n
        )
        for n in (1, 3)
    )
    assert_identical(one, three)


# -- samples of the rows


class Watched:
    """A Poisson family that tells how many rows it embeds."""

    def __init__(self) -> None:
        self.embedded: list[int] = []
        self.expected_statistics = Poisson().expected_statistics

    def embedding(self, x: Any) -> Any:
        self.embedded.append(len(x))
        return x.toarray() if isinstance(x, CSR) else x


def own_words(n: int) -> CSR:
    """Documents of two words in common, by kind, and one that no other has."""
    columns = np.column_stack([np.arange(n) % 2, 2 + np.arange(n)]).ravel().astype(np.int32)
    return CSR(np.ones(2 * n), columns, np.arange(0, 2 * n + 1, 2), n + 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("limit", [1, 1 << 22], ids=["sample", "all rows"])
def test_words_of_one_document_leave_every_document_possible(
    method: InitMethod, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(initialization, "_EMBEDDED_ELEMENTS", limit)
    words = own_words(300)
    stats = initial_statistics(Poisson(), Rows(words), 2, method, np.random.RandomState(0))  # type: ignore[arg-type]
    params = Poisson().maximize(stats.components, None)
    assert np.isfinite(Poisson().log_likelihood(params, words)).all()  # type: ignore[arg-type]
    dense = initial_statistics(
        Poisson(), Rows(words.toarray()), 2, method, np.random.RandomState(0)
    )
    assert_near(stats, dense, 1e-13)


@pytest.mark.parametrize("method", ["kmeans", "k-means++"])
@pytest.mark.parametrize(
    ("limit", "n_embedded"), [(1, 20), (2 * 123, 123), (2 * 500, 500), (2 * 501, 500)]
)
def test_kmeans_sees_as_many_rows_as_fit(
    method: InitMethod, limit: int, n_embedded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(initialization, "_EMBEDDED_ELEMENTS", limit)
    x = np.random.default_rng(0).poisson(4.0, size=(500, 2)).astype(float)
    family: Any = Watched()
    stats = initial_statistics(family, Rows(x), 2, method, np.random.RandomState(0))
    assert family.embedded == [20, n_embedded]
    assert stats.counts.sum() == pytest.approx(n_embedded if method == "kmeans" else 2)


def test_sample_has_rows_of_every_label_and_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels 0 and 1 are rare, and so are the rows of component 3, which has no labels."""
    monkeypatch.setattr(initialization, "_EMBEDDED_ELEMENTS", 1)
    rng = np.random.default_rng(0)
    kinds = np.full(4000, 2)
    kinds[:36] = np.repeat([0, 1, 3], 12)
    x = rng.poisson(np.array([5.0, 100.0, 400.0, 1000.0])[kinds])[:, None].astype(float)
    labels = np.where(kinds == 3, -1, kinds).astype(np.int32)
    stats = initial_statistics(
        Poisson(), Rows(x, labels=labels), 4, "kmeans", np.random.RandomState(0)
    )
    rates = (stats.components.sums / stats.components.counts)[:, 0]
    assert (np.diff(rates) > 0).all()
    assert rates[3] > 600


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (np.zeros((3, 2)), "got an array of shape (3, 2)"), (np.zeros(10), "got an array of shape (10,)"),
        (np.full((10, 1), np.nan), "got an array of shape (10, 1)"),
    ],
)  # fmt: skip
def test_unusable_embedding_is_refused(made: Any, message: str) -> None:
    class Odd:
        def embedding(self, x: Any) -> Any:
            return made

        def __repr__(self) -> str:
            return "Odd()"

    with pytest.raises(ValueError, match=r"^family: expected an embedding of 10 rows") as info:
        initial_statistics(Odd(), Rows(np.ones((10, 2))), 1, "kmeans", np.random.RandomState(0))  # type: ignore[arg-type]
    assert message in str(info.value)
    assert "Odd()" in str(info.value)


# -- known labels


def three_blobs(n: int = 300) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Rows about (0, 0), (50, 0) and (0, 50), and whose they are."""
    rng = np.random.default_rng(2)
    truth = rng.integers(3, size=n).astype(np.int32)
    centers = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    return centers[truth] + rng.normal(size=(n, 2)), truth


@every_case
@pytest.mark.parametrize("method", METHODS)
def test_labels_of_nothing_change_no_bit(case: Case, method: InitMethod) -> None:
    rows = case.weighted_rows
    unknown = np.full(len(rows), -1, np.int32)
    without, with_labels = (
        initial_statistics(case.of.family, data, 3, method, np.random.RandomState(2))
        for data in (rows, replace(rows, labels=unknown))
    )
    assert_identical(with_labels, without)


@cases(lambda of: not of.hidden, PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
def test_start_from_all_labels_is_the_supervised_fit(case: Case, method: InitMethod) -> None:
    rows = case.weighted_rows
    assert rows.sample_weight is not None
    labels = (np.arange(len(rows)) % 3).astype(np.int32)
    stats = initial_statistics(
        case.of.family, replace(rows, labels=labels), 3, method, np.random.RandomState(2)
    )
    r = (np.eye(3)[labels] * rows.sample_weight[:, None]).astype(case.dtype)
    expected = case.of.family.expected_statistics(None, rows.x, r)
    assert_near(stats.components, expected, 10 * case.tolerance)
    np.testing.assert_allclose(stats.counts, r.sum(axis=0, dtype=float), rtol=1e-12)


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random_from_data"])
@pytest.mark.parametrize("family", [Gaussian(), Poisson()], ids=["gaussian", "poisson"])
@pytest.mark.parametrize("known", [(0, 1, 2), (2,), (1, 2)], ids=str)
def test_components_begin_where_their_labels_are(
    method: InitMethod, family: Any, known: tuple[int, ...]
) -> None:
    x, truth = three_blobs()
    x = abs(x)
    labels = np.where(np.isin(truth, known) & (np.arange(300) % 3 == 0), truth, -1).astype(np.int32)
    for seed in range(5):
        stats = initial_statistics(
            family, Rows(x, labels=labels), 3, method, np.random.RandomState(seed)
        )
        components = stats.components
        means = components.means if family == Gaussian() else components.sums / components.counts
        nearest = np.linalg.norm(
            means[:, None] - [[0.8, 0.8], [50, 0.8], [0.8, 50]], axis=2
        ).argmin(axis=1)
        assert nearest[list(known)].tolist() == list(known)
        if method != "random_from_data":
            assert set(nearest) == {0, 1, 2}


def test_random_responsibilities_of_labelled_rows_are_certain() -> None:
    x, truth = three_blobs()
    labels = np.where(np.arange(300) % 3 == 0, truth, -1).astype(np.int32)
    stats = initial_statistics(
        Gaussian(), Rows(x, labels=labels), 3, "random", np.random.RandomState(6)
    )
    r = expected_responsibilities(x, 3, "random", 6)
    r[::3] = np.eye(3)[truth[::3]]
    assert_statistics(stats, x, r, 1e-12)


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
    rows = [
        kmeans_plusplus(Rows(x), 5, np.random.RandomState(1), centers=centers)
        for centers in (None, np.empty((0, 3)))
    ]
    np.testing.assert_array_equal(*rows)


def test_row_drawn_for_a_labelled_component_is_labelled() -> None:
    x = np.arange(50.0)[:, None]
    labels = np.full(50, -1, np.int32)
    labels[[3, 30, 31]] = [0, 2, 2]
    drawn = set()
    for seed in range(30):
        stats = initial_statistics(
            Poisson(), Rows(x, labels=labels), 3, "random_from_data", np.random.RandomState(seed)
        )
        pooled = 0.1 * x.mean()
        rows = (stats.components.sums[:, 0] - pooled) / 0.9
        assert rows[0] == pytest.approx(3)
        drawn.add(round(rows[2], 9))
        assert round(rows[1], 9) not in (3, 30, 31)
    assert drawn == {30, 31}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_gaussian_with_few_labelled_rows_begins_proper(
    method: InitMethod, covariance_type: Any
) -> None:
    """All rows but one are labelled, one of component 2 among them: nothing else keeps it from a point."""
    x, truth = three_blobs()
    labels = np.where(truth == 2, 1, truth).astype(np.int32)
    labels[:2] = [2, -1]
    family = Gaussian(covariance_type)  # without a floor
    stats = initial_statistics(family, Rows(x, labels=labels), 3, method, np.random.RandomState(0))
    params = family.maximize(stats.components)
    assert np.isfinite(Mixture(family).family.log_likelihood(params, x)).all()


def test_gaussian_with_many_labelled_rows_is_not_blended() -> None:
    x, truth = three_blobs()
    labels = np.where(np.arange(300) < 60, truth, -1).astype(np.int32)
    stats = initial_statistics(
        Gaussian(), Rows(x, labels=labels), 3, "kmeans", np.random.RandomState(0)
    )
    assert_statistics(stats, x, np.eye(3)[truth], 1e-12)
