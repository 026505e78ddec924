"""k-means by Lloyd's algorithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentcore import kernels
from latentcore.arrays import Labels, Rows, without_absent
from latentcore.engine import rows_per_shard
from latentcore.initialization.labels import labelled_means, unlabelled
from latentcore.initialization.rows import Indices, n_present
from latentcore.protocols import Array, RealArray
from latentcore.threads import ordered_map

_SEARCH_ELEMENTS = 1 << 18
"""Size of the (rows x D) deviations among which the farthest row is searched: 2 MiB."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """The outcome of k-means.

    Attributes
    ----------
    labels : (N,) int32
        The nearest center of each row, the first of equals; those of the data where they were known.
    centers : (K, D)
    n_iter : int
        Sweeps that moved centers.
    """

    labels: Labels
    centers: Array
    n_iter: int


def kmeans(
    data: Rows, centers: Array, *, tol: float = 1e-4, max_iter: int = 300, n_threads: int = 1
) -> Clusters:
    """Weighted k-means by Lloyd's algorithm.

    It stops when no label changes, when the squared moves of the centers add up to no more than ``tol`` times the mean
    variance of the features, or after ``max_iter`` sweeps. A cluster that loses all its weight gets the row farthest
    from its center. Rows with a label >= 0 belong to that cluster throughout.

    Parameters
    ----------
    data : Rows
    centers : (K, D) ndarray of float64
        To begin with; not changed.
    tol : float, >= 0
    max_iter : int, >= 1
    n_threads : int
        The result does not depend on it.

    Returns
    -------
    Clusters

    References
    ----------
    Lloyd (1982), Least squares quantization in PCM. IEEE Transactions on Information Theory 28.
    """
    known, masses, means = labelled_means(data)
    free = unlabelled(data)
    threshold = tol * _mean_variance(free, n_threads)
    labels = np.full(len(data), -1, dtype=np.int32)
    for n_iter in range(1, max_iter + 1):  # noqa: B007
        counts, first, changed = _sweep(free, centers, labels, n_threads)
        counts[known] += masses
        first[known] += masses[:, None] * (means - centers[known])
        moved = _centers_of_mass(free, centers, labels, counts, first)
        shift = float(((moved - centers) ** 2).sum())
        centers = moved
        if not changed:
            break
        if shift <= threshold:
            _sweep(free, centers, labels, n_threads)
            break
    else:
        _sweep(free, centers, labels, n_threads)
    if data.labels is not None:
        labels = np.where(data.labels < 0, labels, data.labels)
    return Clusters(labels, centers, n_iter)


def _sweep(data: Rows, centers: Array, labels: Labels, n_threads: int) -> tuple[Array, Array, bool]:
    """Assign all rows anew: counts, first moments about the centers, and whether any label changed."""

    def of_shard(shard: Rows) -> tuple[Array, Array, bool]:
        new = np.empty(len(shard), dtype=np.int32)
        old = labels[shard.start - data.start :][: len(shard)]
        counts, first, _ = kernels.kmeans_sweep(shard.x, shard.sample_weight, centers, new)
        changed = not np.array_equal(new, old)
        old[:] = new
        return counts, first, changed

    size = rows_per_shard(len(data), centers.size)
    shards = ordered_map(of_shard, data.shards(size), n_threads if len(data) > size else 1)
    counts, first, changed = zip(*shards, strict=True)
    return np.sum(counts, axis=0), np.sum(first, axis=0), any(changed)


def _centers_of_mass(
    data: Rows, centers: Array, labels: Labels, counts: Array, first: Array
) -> Array:
    moved = centers.copy()
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        for k, row in zip(empty, _farthest(data, centers, labels, len(empty)), strict=False):
            weight = 1.0 if data.sample_weight is None else data.sample_weight[row]
            counts[labels[row]] -= weight
            first[labels[row]] -= weight * (data.x[row] - centers[labels[row]])
            counts[k] = weight
            moved[k] = data.x[row]
    alive = counts > 0
    moved[alive] += first[alive] / counts[alive, None]
    moved[~alive] = moved[np.argmax(counts)]
    return moved


def _farthest(data: Rows, centers: Array, labels: Labels, n: int) -> Indices:
    """The n rows farthest from their centers, in scikit-learn's order; none if all rows lie on theirs."""
    size = max(n, _SEARCH_ELEMENTS // centers.shape[1])
    found = np.empty(0, dtype=np.intp)
    distances = np.empty(0)
    for start in range(0, len(data), size):
        rows = slice(start, start + size)
        new = _squared_norms(data.x[rows], centers, labels[rows])
        if data.sample_weight is not None:
            new[data.sample_weight[rows] == 0] = -1.0
        found = np.concatenate([found, np.arange(start, start + len(new))])
        distances = np.concatenate([distances, new])
        last = np.argpartition(distances, -n)[-n:]
        found, distances = found[last], distances[last]
    return found[::-1] if distances.max() > 0 else found[:0]


def _squared_norms(x: RealArray, centers: Array, labels: Labels) -> Array:
    deviations = x - centers[labels]
    norms: Array = np.einsum("nd,nd->n", deviations, deviations)
    return norms


def _mean_variance(data: Rows, n_threads: int) -> float:
    """Of the features over the rows, whatever their weights."""

    def moments(center: Array) -> tuple[Array, float]:
        def of_shard(shard: Rows) -> tuple[Array, float]:
            x = without_absent(shard).x
            _, first, inertia = kernels.kmeans_sweep(x, None, center, np.empty(len(x), np.int32))
            return first, inertia

        size = rows_per_shard(len(data), data.x.shape[1])
        shards = ordered_map(of_shard, data.shards(size), n_threads if len(data) > size else 1)
        first, inertia = zip(*shards, strict=True)
        return np.sum(first, axis=0) / n_present(data), sum(inertia) / center.shape[1]

    center = data.x[:1].astype(np.float64)
    center = center + moments(center)[0]
    return moments(center)[1] / n_present(data)
