"""Where a mixture's fit begins: k-means, k-means++ and random responsibilities, as statistics.

A seed gives the responsibilities that scikit-learn's ``GaussianMixture`` begins with: the same draws, in the same
order, spent in the same way. Two things differ, by design, and make the choices differ now and then:

- Distances are sums of squared differences, and sums over rows are taken in float64. scikit-learn expands the square
  and, for float32 data, adds in float32. So a draw that falls just between two rows, a near tie of two candidates or
  of two centers, or data far from the origin may come out otherwise.
- A row of weight 0 is absent, from the draws and from the tolerance too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import Rows
from latentcore.engine import rows_per_shard
from latentcore.protocols import Array, Family, RealArray
from latentcore.statistics import Statistics, total
from latentcore.structures.mixture import MixtureStatistics
from latentcore.threads import ordered_map

__all__ = [
    "Clusters",
    "InitMethod",
    "RandomState",
    "initial_statistics",
    "kmeans",
    "kmeans_plusplus",
]

InitMethod = Literal["kmeans", "k-means++", "random", "random_from_data"]
RandomState = np.random.RandomState | np.random.Generator
Indices = npt.NDArray[np.intp]
Labels = npt.NDArray[np.int32]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)
R = TypeVar("R")

_BLOCK_ELEMENTS = 1 << 18
"""Size of a (rows x K) block of responsibilities: 2 MiB."""
_SEEDING_ROWS = 1 << 15
"""Most rows that seeding looks at at a time: their distances stay in cache."""
_SEARCH_ELEMENTS = 1 << 18
"""Size of the (rows x D) deviations among which the farthest row is searched: 2 MiB."""


def initial_statistics(
    family: Family[P, S],
    data: Rows,
    n_components: int,
    method: InitMethod,
    random_state: RandomState,
    *,
    n_threads: int = 1,
) -> MixtureStatistics[S]:
    """Statistics of the responsibilities that a fit begins with.

    Parameters
    ----------
    family : Family
    data : Rows
        N rows, at least K of them of positive weight.
    n_components : int
        K >= 1.
    method : {"kmeans", "k-means++", "random", "random_from_data"}
        Responsibilities are: one for the row's cluster after Lloyd's algorithm; one for component k at the k-th row
        that k-means++ picks, no other row counting; uniform numbers, normalised; one for component k at the k-th of
        K rows drawn without replacement, whatever their weights.
    random_state : RandomState or Generator
        Advanced by the draws. A ``RandomState`` gives scikit-learn's responsibilities.
    n_threads : int
        The result does not depend on it.

    Returns
    -------
    MixtureStatistics
        Responsibilities are multiplied by the sample weights. A component may have count 0 if fewer than K rows are
        distinct.

    Raises
    ------
    ValueError
        An unknown method, or fewer than K rows of positive weight.
    """
    if method not in get_args(InitMethod):
        expected = ", ".join(map(repr, get_args(InitMethod)))
        raise ValueError(f"method: expected one of {expected}, got {method!r}")
    _check_enough_rows(data, n_components, "n_components")
    if method == "random":
        blocks = _random_blocks(data, n_components, random_state)
    elif method == "kmeans":
        seeds = kmeans_plusplus(data, n_components, random_state, n_threads=n_threads)
        clusters = kmeans(data, data.x[seeds].astype(np.float64), n_threads=n_threads)
        blocks = _one_hot_blocks(data, clusters.labels, n_components)
    else:
        if method == "k-means++":
            rows = kmeans_plusplus(data, n_components, random_state, n_threads=n_threads)
        else:
            rows = _rows_without_replacement(data, n_components, random_state)
        chosen = Rows(
            data.x[rows], None if data.sample_weight is None else data.sample_weight[rows]
        )
        blocks = _one_hot_blocks(chosen, np.arange(n_components, dtype=np.int32), n_components)
    return total(ordered_map(lambda block: _block_statistics(family, *block), blocks, n_threads))


# -- responsibilities, a block at a time


def _present_blocks(data: Rows, n_components: int) -> Iterator[tuple[Indices, Rows]]:
    """Blocks of the rows of positive weight, and their places in the data."""
    for block in data.shards(max(1, _BLOCK_ELEMENTS // n_components)):
        weight = block.sample_weight
        places = np.arange(len(block)) if weight is None else np.flatnonzero(weight)
        if len(places):
            yield places + (block.start - data.start), _present(block)


def _one_hot_blocks(
    data: Rows, labels: Labels, n_components: int
) -> Iterator[tuple[Rows, RealArray]]:
    for places, block in _present_blocks(data, n_components):
        responsibilities = np.zeros((len(block), n_components), block.x.dtype)
        responsibilities[np.arange(len(block)), labels[places]] = 1.0
        yield block, responsibilities


def _random_blocks(
    data: Rows, n_components: int, random_state: RandomState
) -> Iterator[tuple[Rows, RealArray]]:
    for _, block in _present_blocks(data, n_components):
        uniform = random_state.uniform(size=(len(block), n_components))
        responsibilities = uniform.astype(block.x.dtype)
        responsibilities /= responsibilities.sum(axis=1, keepdims=True)
        yield block, responsibilities


def _block_statistics(
    family: Family[P, S], block: Rows, responsibilities: RealArray
) -> MixtureStatistics[S]:
    if block.sample_weight is not None:
        responsibilities *= block.sample_weight[:, None].astype(responsibilities.dtype)
    counts = responsibilities.sum(axis=0, dtype=np.float64)
    return MixtureStatistics(counts, family.expected_statistics(None, block.x, responsibilities))


# -- rows that count


def _present(data: Rows) -> Rows:
    """The rows of positive weight."""
    weight = data.sample_weight
    if weight is None or weight.all():
        return data
    present = weight > 0
    return Rows(data.x[present], weight[present], data.start)


def _n_present(data: Rows) -> int:
    return len(data) if data.sample_weight is None else int(np.count_nonzero(data.sample_weight))


def _check_enough_rows(data: Rows, n: int, name: str) -> None:
    n_rows = _n_present(data)
    if not 1 <= n <= n_rows:
        which = "rows" if data.sample_weight is None else "rows of positive weight"
        raise ValueError(f"{name}: expected between 1 and the number of {which}, {n_rows}, got {n}")


def _rows_without_replacement(data: Rows, n: int, random_state: RandomState) -> Indices:
    drawn: Indices = random_state.choice(_n_present(data), size=n, replace=False)
    return drawn if data.sample_weight is None else np.flatnonzero(data.sample_weight)[drawn]


# -- seeding


def kmeans_plusplus(
    data: Rows, n_clusters: int, random_state: RandomState, *, n_threads: int = 1
) -> Indices:
    """Rows to begin k-means with, each likely to lie far from those before it.

    The greedy variant: each center after the first is the best of ``2 + floor(log K)`` candidates, the one that
    lowers the sum of weighted squared distances most.

    Parameters
    ----------
    data : Rows
    n_clusters : int
        K, at least 1 and at most the number of rows of positive weight.
    random_state : RandomState or Generator
        Advanced by one draw, and by one for each candidate.
    n_threads : int
        The result does not depend on it.

    Returns
    -------
    (K,) ndarray of intp
        Indices of rows, in the order of choice. Indices repeat if fewer than K rows are distinct.

    Raises
    ------
    ValueError
        Fewer than K rows of positive weight.

    References
    ----------
    Arthur & Vassilvitskii (2007), k-means++: the advantages of careful seeding. SODA.
    """
    _check_enough_rows(data, n_clusters, "n_clusters")
    n_candidates = 2 + int(np.log(n_clusters))
    seeding = _Seeding(data, n_candidates, n_threads)
    rows = np.empty(n_clusters, dtype=np.intp)
    rows[0] = seeding.first(random_state.uniform())
    seeding.add(rows[0])
    for k in range(1, n_clusters):
        candidates = seeding.candidates(random_state.uniform(size=n_candidates))
        rows[k] = candidates[np.argmin(seeding.potentials(candidates))]
        seeding.add(rows[k])
    return rows


class _Seeding:
    """Squared distances of all rows to the nearest center so far."""

    def __init__(self, data: Rows, n_candidates: int, n_threads: int) -> None:
        work_per_row = n_candidates * data.x.shape[1]
        self._data = data
        self._size = min(rows_per_shard(len(data), work_per_row), _SEEDING_ROWS)
        self._n_threads = n_threads
        self._nearest: Array = np.full(len(data), np.inf)
        self._masses: Array = np.empty(0)  # of each block: sum of weight times distance
        self._first_present = 0
        if data.sample_weight is not None:
            self._nearest[data.sample_weight == 0] = 0.0
            self._first_present = int(np.argmax(data.sample_weight > 0))

    def first(self, uniform: float) -> int:
        """The row at a quantile of the weights."""
        weight = self._data.sample_weight
        if weight is None:
            return min(int(uniform * len(self._data)), len(self._data) - 1)
        masses = np.add.reduceat(weight, np.arange(0, len(weight), self._size))
        return self._row_at(masses, lambda block: weight[block], uniform * masses.sum())

    def candidates(self, uniform: Array) -> list[int]:
        """The rows at quantiles of weight times distance."""
        targets = uniform * self._masses.sum()
        return [self._row_at(self._masses, self._block_masses, t) for t in targets]

    def potentials(self, candidates: list[int]) -> Array:
        """The sums of weight times distance, were a candidate to become a center."""

        def of_block(block: slice) -> Array:
            weight = self._weight(block)
            distances = (self._distances(block, row) for row in candidates)
            return np.array([d.sum() if weight is None else d @ weight for d in distances])

        potentials: Array = np.sum(list(self._over_blocks(of_block)), axis=0)
        return potentials

    def add(self, row: int) -> None:
        """Make a row a center."""

        def of_block(block: slice) -> float:
            self._nearest[block] = self._distances(block, row)
            return float(self._block_masses(block).sum())

        self._masses = np.array(list(self._over_blocks(of_block)))

    def _distances(self, block: slice, row: int) -> Array:
        """To the nearest center, the row being one of them."""
        x = self._data.x[block]
        center = self._data.x[row : row + 1].astype(np.float64)
        distances: Array = np.empty(len(x))
        kernels.kmeans_sweep(x, None, center, np.empty(len(x), np.int32), distances)
        np.minimum(distances, self._nearest[block], out=distances)
        return distances

    def _block_masses(self, block: slice) -> Array:
        weight = self._weight(block)
        nearest = self._nearest[block]
        return nearest if weight is None else nearest * weight

    def _weight(self, block: slice) -> Array | None:
        return None if self._data.sample_weight is None else self._data.sample_weight[block]

    def _over_blocks(self, function: Callable[[slice], R]) -> Iterator[R]:
        starts = range(0, len(self._data), self._size)
        blocks = (slice(start, start + self._size) for start in starts)
        return ordered_map(function, blocks, self._n_threads if len(starts) > 1 else 1)

    def _row_at(self, masses: Array, block_masses: Callable[[slice], Array], target: float) -> int:
        """The row at which the running sum of masses reaches the target.

        If rounding puts the target beyond the sum: the last row that adds to it.
        """
        ends = np.cumsum(masses)
        index = min(np.searchsorted(ends, target), np.searchsorted(ends, ends[-1]))
        start = int(index) * self._size
        running = np.cumsum(block_masses(slice(start, start + self._size)))
        target -= ends[index - 1] if index else 0.0
        within = min(np.searchsorted(running, target), np.searchsorted(running, running[-1]))
        return max(start + int(within), self._first_present)


# -- Lloyd's algorithm


@dataclass(frozen=True, slots=True)
class Clusters:
    """The outcome of k-means.

    Attributes
    ----------
    labels : (N,) int32
        The nearest center of each row, the first of equals.
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
    from its center.

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
    threshold = tol * _mean_variance(data, n_threads)
    labels = np.full(len(data), -1, dtype=np.int32)
    for n_iter in range(1, max_iter + 1):
        counts, first, changed = _sweep(data, centers, labels, n_threads)
        moved = _centers_of_mass(data, centers, labels, counts, first)
        shift = float(((moved - centers) ** 2).sum())
        centers = moved
        if not changed:
            return Clusters(labels, centers, n_iter)
        if shift <= threshold:
            break
    _sweep(data, centers, labels, n_threads)
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
            x = _present(shard).x
            _, first, inertia = kernels.kmeans_sweep(x, None, center, np.empty(len(x), np.int32))
            return first, inertia

        size = rows_per_shard(len(data), data.x.shape[1])
        shards = ordered_map(of_shard, data.shards(size), n_threads if len(data) > size else 1)
        first, inertia = zip(*shards, strict=True)
        return np.sum(first, axis=0) / _n_present(data), sum(inertia) / center.shape[1]

    center = data.x[:1].astype(np.float64)
    center = center + moments(center)[0]
    return moments(center)[1] / _n_present(data)
