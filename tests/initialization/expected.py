"""Rows to start from, and the starts that scikit-learn and the definitions give."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.cluster import kmeans_plusplus as sklearn_kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from latentcore.arrays import Rows
from latentcore.initialization import Clusters, InitMethod, kmeans, kmeans_plusplus
from latentcore.structures.mixture import MixtureStatistics

METHODS = get_args(InitMethod)
CHOOSING = ("k-means++", "random_from_data")
DTYPES = (np.float64, np.float32)


def blobs(n: int, d: int, seed: int, dtype: Any = np.float64) -> npt.NDArray[Any]:
    rng = np.random.default_rng(seed)
    centers = 4 * rng.normal(size=(5, d))
    x: npt.NDArray[Any] = (centers[rng.integers(0, 5, n)] + rng.normal(size=(n, d))).astype(dtype)
    return x


def weights(n: int, seed: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0.1, 3.0, n)


def three_blobs(n: int = 300) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Rows about (0, 0), (50, 0) and (0, 50), and whose they are."""
    rng = np.random.default_rng(2)
    truth = rng.integers(3, size=n).astype(np.int32)
    centers = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    return centers[truth] + rng.normal(size=(n, 2)), truth


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
