"""Starts of Gaussians: the statistics of scikit-learn's responsibilities, absent rows, little data, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import kmeans_plusplus as sklearn_kmeans_plusplus

from initialization.expected import (
    CHOOSING,
    DTYPES,
    METHODS,
    assert_statistics,
    blobs,
    expected_responsibilities,
    our_kmeans,
    same_statistics,
    sklearn_kmeans,
    weights,
)
from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian
from latentcore.initialization import (
    InitMethod,
    RandomState,
    initial_statistics,
    responsibilities,
)
from latentcore.structures.mixture import MixtureStatistics


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block_elements", [40, 1 << 18], ids=["blocks", "whole"])
def test_statistics_are_those_of_the_responsibilities(
    method: InitMethod, dtype: Any, block_elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responsibilities, "BLOCK_ELEMENTS", block_elements)
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
    monkeypatch.setattr(responsibilities, "BLOCK_ELEMENTS", block_elements)
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


@pytest.mark.parametrize("method", METHODS)
def test_absent_row_may_lie_at_an_infinite_distance(method: InitMethod) -> None:
    x = blobs(100, 2, 0, np.float32)
    w = np.ones(100)
    x[7], w[7] = 1e30, 0.0  # its square is not a float32
    stats = initial_statistics(Gaussian(), Rows(x, w), 3, method, np.random.RandomState(0))
    assert np.abs(stats.components.means).max() < 100
    assert np.isfinite(stats.components.scatters).all()


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
